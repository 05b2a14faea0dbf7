"""Carries what `facts.decide` decided into the store, at once and only on the newest version.

In one commit: the operation's next version, what it gives back to its parent, the record of the change, and the event
that tells the platform. If somebody else was faster, it reads again and decides again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.problems import Conflicting, StorageError
from gateway.model.states import Meaning, State
from gateway.model.terms import Terms
from gateway.operations.connections import Connections
from gateway.operations.facts import HORIZON, Change, Said, Source, conflict, decide
from gateway.operations.view import public
from gateway.store.interface import EventStaged, OperationChanged, Recorded, Released, Row, Stale, Store
from gateway.store.operation import Operation
from gateway.store.work import Work

__all__ = ["Door"]

log = logging.getLogger(__name__)
TRIES = 20
LET_GO = frozenset({State.FAILED, State.CANCELLED})
"""States in which the store lets go of the partner key."""

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Door:
    """The only writer of states."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        connections: Connections,
        clock: Clock,
        ids: Identifiers,
        horizon: timedelta = HORIZON,
    ) -> None:
        self._store = store
        self._journal = journal
        self._connections = connections
        self._clock = clock
        self._ids = ids
        self._horizon = horizon
        self.listeners: list[Callable[[Operation, tuple[str, ...]], None]] = []

    async def apply(self, operation: Operation, said: Said, work: Work, **also: Any) -> Operation:
        """Apply `said` to `operation` in the commit of `work`; `also` are fields that the caller knows (attempts, …).

        Raises `StorageError`, and `Conflicting` for a person's word about what another operation holds by now; then
        nothing changed, and nothing may be told.
        """
        for _ in range(TRIES):
            change = await self._decide(operation, said)
            if also:
                change = replace(change, operation=change.operation.model_copy(update=also))
            work.add(*self._rows(operation, change, said))
            changes = [change, *await self._follow_up(change, work)]
            try:
                await work.commit()
            except Stale:
                work.drop_changes()
                operation = await self._again(operation)
                continue
            for one in changes:
                for listener in self.listeners:
                    listener(one.operation, one.events)
            return change.operation
        raise StorageError(f"{operation.id} was changed {TRIES} times while one fact waited")

    def terms(self, operation: Operation) -> Terms:
        """The terms of the verb that began it (or of the step that acted); empty where the adapter is gone."""
        connection = self._connections.get(operation.connection)
        if connection is None:
            return Terms()
        declared = connection.adapter.terms
        found = declared.get(operation.acted_verb or "") or declared.get(operation.verb) or Terms()
        if not found.inquiry and operation.verb in declared:
            found = declared[operation.verb]
        return found.for_method(operation.method)

    async def _decide(self, operation: Operation, said: Said) -> Change:
        terms, now = self.terms(operation), self._clock.now()
        change = decide(operation, said, terms, now, self._horizon)
        if operation.state not in LET_GO or change.operation.state in LET_GO:
            return change
        # It would come back to life. Its partner key was free meanwhile: what the partner says may be about another.
        holder = await self._store.operation_by_partner_key(operation.connection, operation.kind, operation.partner_key)
        if holder is None or holder.id == operation.id:
            return change
        why = f"its partner key belongs to {holder.id} now"
        if said.source is Source.PERSON:
            raise Conflicting(f"{why}; settle that one", kind="partner_key_taken", members={"operation": holder.id})
        return conflict(operation, said, why, terms, now)

    async def _again(self, operation: Operation) -> Operation:
        found = await self._store.operation(operation.id)
        if found is None:
            raise StorageError(f"{operation.id} has vanished from the store")
        return found

    def _rows(self, before: Operation, change: Change, said: Said) -> list[Row]:
        new = change.operation
        record = self._journal.change(
            chain=new.id,
            client=new.client,
            connection=new.connection,
            partner=new.partner,
            operation=new.id,
            before=before.state.value,
            after=new.state.value,
            status=new.status,
            source=said.source.value,
            proof=said.proof,
            code=said.fact.code if said.fact else None,
            meaning=said.meaning.value,
            raised=tuple(item.value for item in change.raised),
        )
        rows: list[Row] = [OperationChanged(new), Recorded(record)]
        if change.released and new.parent is not None:
            rows.append(Released(new.client, new.parent, change.released))
        first = new.sequence - len(change.events)
        rows.extend(self._event(before, new, name, first + n + 1, said) for n, name in enumerate(change.events))
        return rows

    def _event(self, before: Operation, new: Operation, name: str, sequence: int, said: Said) -> EventStaged:
        kind = "partner.drift" if name == "drift" else f"{new.kind}.{name}"
        at = self._clock.now()
        document: dict[str, Any] = {
            "type": kind,
            "at": at.isoformat().replace("+00:00", "Z"),
            "sequence": sequence,
            "previous_state": before.state.value,
            "data": public(new),
        }
        if name == "drift":
            document["undeclared_code"] = said.fact.code if said.fact else None
        return EventStaged(self._ids.new("evt"), new.client, new.id, kind, at, ENCODER.encode(document))

    async def _follow_up(self, change: Change, work: Work) -> list[Change]:
        """A cancellation that succeeded is proof about its parent, in the same commit: no crash comes in between."""
        new = change.operation
        if new.kind != "cancellation" or new.state is not State.SUCCEEDED or change.previous is State.SUCCEEDED:
            return []
        parent = await self._store.operation(new.parent or "")
        if parent is None:
            return []
        status = {"consent": "revoked", "policy": "cancelled"}.get(parent.kind)
        meaning = Meaning.SUCCEEDED if status else Meaning.CANCELLED
        said = Said(meaning, Source.FOLLOW_UP, status=status, evidence=new.id)
        follows = await self._decide(parent, said)
        work.add(*self._rows(parent, follows, said))
        return [follows]
