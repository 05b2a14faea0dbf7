"""What people do to operations by hand: settle a doubt, clear an attention. Each act names who, why and the evidence.

Rules
- An act is recorded in the same commit as what it changes, under the authenticated key of whoever did it.
- It enters by the one door like any fact; only a person who names evidence may change an end.
- What a person says is not proof about the partner: a later contradiction still raises attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.audit.journal import Journal
from gateway.model.problems import Conflicting, FieldError, Invalid, NotFound
from gateway.model.states import Meaning
from gateway.operations.door import Door
from gateway.operations.facts import Said, Source
from gateway.store.interface import Recorded, Store
from gateway.store.operation import Operation, Reason
from gateway.store.work import Work

__all__ = ["Desk", "Settlement"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """A person's word: what became of it, why that is known, and where the evidence lies."""

    state: Literal["succeeded", "failed"]
    reason: str
    evidence: str
    actor: str


class Desk:
    """Where operators act."""

    def __init__(self, store: Store, door: Door, journal: Journal) -> None:
        self._store = store
        self._door = door
        self._journal = journal

    async def settle(self, operation_id: str, settlement: Settlement) -> Operation:
        """Settle an operation by hand; where it stands so already, that clears what called for attention.

        Raises `NotFound`, `Invalid`, `Conflicting` (it stands so already, and nothing calls for attention).
        """
        missing = [name for name in ("reason", "evidence") if not getattr(settlement, name).strip()]
        if missing:
            raise Invalid("say why, and where the evidence is", fields=[FieldError(n, "is needed") for n in missing])
        operation = await self._store.operation(operation_id)
        if operation is None:
            raise NotFound(f"there is no operation {operation_id!r}")
        if operation.state.value == settlement.state and not operation.attention:
            raise Conflicting(f"{operation_id} is {settlement.state} already", kind="nothing_to_settle")
        act = self._journal.act(
            actor=settlement.actor,
            what=f"settle as {settlement.state}",
            operation=operation.id,
            reason=settlement.reason,
            evidence=settlement.evidence,
            client=operation.client,
        )
        said = Said(
            meaning=Meaning(settlement.state),
            source=Source.PERSON,
            proof="person",
            reason=Reason(code="settled_by_person", detail=settlement.reason),
            evidence=act.id,
        )
        work = Work(self._store)
        work.add(Recorded(act))
        return await self._door.apply(operation, said, work)
