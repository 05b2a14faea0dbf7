"""Picks entries for an auditor to look at, in a way that anybody can repeat and nobody can steer.

The i-th pick (from 0) of the population of n entries is

    SHA-256("lendgate sample v1" ‖ 0x0a ‖ origin ‖ 0x0a ‖ size ‖ 0x0a ‖ root in hexadecimal ‖ 0x0a ‖ seed ‖ 0x0a ‖ i)

read as a big-endian number, modulo n; a pick that was drawn before is skipped, and i goes on.

Rules
- The auditor names the seed after the checkpoint is fixed: whoever runs the gateway knew neither when it was written.
- 256 bits over a population below 2^48 leave a bias that no sample can show.
"""

from __future__ import annotations

from hashlib import sha256

from gateway.audit.checkpoint import Checkpoint

__all__ = ["pick"]


def pick(checkpoint: Checkpoint, seed: str, count: int, population: int) -> list[int]:
    """Distinct places in 0 … `population` - 1, in the order in which they were drawn; at most all of them."""
    head = f"lendgate sample v1\n{checkpoint.origin}\n{checkpoint.size}\n{checkpoint.root.hex()}\n{seed}\n"
    if count >= population:
        return list(range(population))
    picked: dict[int, None] = {}
    draw = 0
    while len(picked) < count:
        place = int.from_bytes(sha256(f"{head}{draw}".encode()).digest(), "big") % population
        picked.setdefault(place)
        draw += 1
    return list(picked)
