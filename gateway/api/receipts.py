"""Receipts: what an answer says about the record that was made of it, so that its holder can prove an omission.

    Audit-Receipt: record="rec_…", chain="pay_…", number=3, leaf="<SHA-256>", proof="/v1/audit/records/pay_…/3"

Rules
- A receipt names the newest record of the operation at the time of the answer. Each record holds the hash of the one
  before it, so the receipt stands for all of them.
- The record is durable before the answer is written; its index follows within about a second, at the address `proof`.
- It is a dictionary of RFC 9651. Whoever keeps it needs nothing else: a log that has no entry of that hash, under a
  checkpoint that is older than the answer by more than the stated delay, has left it out.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.api.problems import Problem
from gateway.store.interface import Store

__all__ = ["RECEIPT", "chain_of", "place_of", "receipt"]

RECEIPT: Final = "Audit-Receipt"


def place_of(chain: str, number: int | str) -> str:
    """Where the record and its proof are read."""
    return f"/v1/audit/records/{chain}/{number}"


async def receipt(store: Store, chain: str) -> str | None:
    """The receipt for a chain's newest record; None if it has none. Raises `StorageError`."""
    last = await store.last_record(chain)
    if last is None:
        return None
    place = place_of(chain, last.number)
    return f'record="{last.id}", chain="{chain}", number={last.number}, leaf="{last.hash}", proof="{place}"'


def chain_of(answer: Any) -> str | None:
    """The operation that an answer is about, where it is about one."""
    operation = answer.members.get("operation") if isinstance(answer, Problem) else answer.body
    id = operation.get("id") if isinstance(operation, dict) else operation
    return id if isinstance(id, str) else None
