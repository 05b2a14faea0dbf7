"""The resources of the HTTP API, one module each, with the same parts: handlers, and `ROUTES` at the end."""
