"""The HTTP API: what platforms, operators and auditors call. The only floor that knows HTTP as a server."""
