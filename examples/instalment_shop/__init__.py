"""A small lending application: a plain client of the gateway's HTTP API, and a demo that runs it."""
