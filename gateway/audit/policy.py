"""The policy file (C2SP tlog-policy): the log's key, the witnesses, and how many of them must have cosigned.

    log <vkey>
    witness <name> <vkey>
    group all-of-them <number> <name> …
    quorum all-of-them

Rules
- One group is written, with a threshold; others' files may have any groups, and are for others' tools.
- It is published beside the log for convenience. Whoever verifies takes it from elsewhere, like the log's key.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.audit.note import VerifierKey

__all__ = ["COSIGNED", "POLICY", "policy"]

POLICY = "policy.txt"
"""Its place below the log's root."""

COSIGNED = "cosigned-checkpoint"
"""The newest checkpoint that enough witnesses cosigned; `checkpoint` itself is renewed faster than they answer."""


def policy(log: VerifierKey, witnesses: Sequence[VerifierKey], quorum: int) -> str:
    """The file's text."""
    if not witnesses or not quorum:
        return f"log {log}\nquorum none\n"
    named = [(f"witness-{place}", key) for place, key in enumerate(witnesses, 1)]
    lines = [f"log {log}", *(f"witness {name} {key}" for name, key in named)]
    lines += [f"group witnesses {quorum} {' '.join(name for name, _ in named)}", "quorum witnesses"]
    return "\n".join(lines) + "\n"
