"""Deterministic simulation: the gateway's own code in one process, on a virtual clock, every chance drawn by a seed.

A seed is a story: platforms call, the network and the bank misbehave, processes crash, stall and start again. Then the
faults end, everything is settled, and oracles compare what the platforms were told, what the gateway has on record and
what the bank has in its ledger. `python -m tests.simulation --seeds 1000` runs many, `--seed N --verbose` tells one.
"""
