"""The HTTP API: what a lending platform, an operator and an auditor call. The only floor that knows HTTP as a server."""
