"""Planted defects: each patch here breaks one promise, and the oracles must see it without knowing what was broken."""
