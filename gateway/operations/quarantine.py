"""Quarantine: the store was put back to an older day, so the partner may know of acts that the store does not.

What holds while it lasts, for each connection until somebody clears it
  1. What was open in the store is in doubt: it may have acted. It is inquired, never sent again by itself.
  2. Before an act is sent for the first time the partner is asked about its derived key, where it can be.
     Found: the new operation takes that fact, and nothing is sent.
  3. Proven not found: it may be sent when the settle window is over, counted from the moment of the restore (the last
     instant at which the lost process can have sent); or at once where the partner still remembers every key that may
     be lost, because then the same key acts once.
  4. It cannot be asked, but remembers every key that may be lost: sending with the same key is safe by itself.
  5. Otherwise it is refused before an operation exists: key and reference stay free, and it may be tried again later.

Rules
- A refusal or a silence never counts as "not found".
- What moves and costs nothing when it comes twice passes: consents, quotes, and cancellations.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.problems import Conflicting, Invalid, Refused, Retry
from gateway.model.states import OPEN, Meaning, State
from gateway.model.terms import ByKey, Natural, Remembered, Terms
from gateway.operations import assemble
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.facts import Said, Source
from gateway.operations.kinds import KINDS
from gateway.operations.running import Run, Runner
from gateway.store.interface import OperationChanged, Recorded, Row, Stale, Store
from gateway.store.operation import Operation, Reason
from gateway.store.quarantine import EVERY_CONNECTION, Quarantine, QuarantineCleared, QuarantinePrepared
from gateway.store.work import Work

__all__ = ["Confinement", "Window"]

log = logging.getLogger(__name__)

HARMLESS_TWICE: Final = frozenset({"consent", "quote", "cancellation"})
FOUND: Final = frozenset(
    {
        Meaning.SUCCEEDED,
        Meaning.PROCESSING,
        Meaning.REQUIRES_ACTION,
        Meaning.FAILED,
        Meaning.CANCELLED,
        Meaning.RETURNED,
    }
)
"""Genuine words about the act itself."""

ASK_AGAIN_SECONDS: Final = 30
PERSON_SECONDS: Final = 3600
"""How long a caller should wait where only a person can help."""

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Window:
    """Of one connection: until when the lost process can have sent, and since when what it sent may be lost."""

    restored_at: datetime
    lost_since: datetime | None


class Confinement:
    """The quarantines of one store, as this process knows them; `refresh` reads what others did."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        door: Door,
        runner: Runner,
        journal: Journal,
        clock: Clock,
        ids: Identifiers,
    ) -> None:
        self._store = store
        self._connections = connections
        self._door = door
        self._runner = runner
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._known: tuple[Quarantine, ...] = ()
        self.refused: dict[str, int] = {}  # calls by connection, for metrics
        self.found: dict[str, int] = {}

    async def refresh(self) -> None:
        """Read what stands, also what another process cleared or began."""
        self._known = tuple(one for one in await self._store.quarantines() if EVERY_CONNECTION not in one.cleared)

    def standing(self) -> dict[str, list[Quarantine]]:
        """The quarantines that are on, for each working or broken connection that they hold."""
        names = sorted({one.name for one in self._connections} | set(self._connections.broken))
        held = {name: [one for one in self._known if one.holds(name)] for name in names}
        return {name: found for name, found in held.items() if found}

    def window(self, connection: str) -> Window | None:
        """What may be lost there; None outside of a quarantine."""
        held = [one for one in self._known if one.holds(connection)]
        if not held:
            return None
        since = [one.lost_since for one in held if one.lost_since is not None]
        return Window(max(one.began_at for one in held), min(since) if len(since) == len(held) else None)

    # 1. What was open

    async def prepare(self) -> int:
        """Put everything that was open in doubt, before anything is served. How much it was. Raises `StorageError`."""
        await self.refresh()
        count = 0
        for quarantine in self._known:
            if quarantine.prepared:
                continue
            for state in sorted(OPEN):
                count += await self._doubt_all(state, quarantine)
            await self._store.commit([QuarantinePrepared(quarantine.id)])
        await self.refresh()
        return count

    async def _doubt_all(self, state: State, quarantine: Quarantine) -> int:
        ids: list[str] = []  # first all of them: what is put in doubt moves from one state to another
        before: str | None = None
        while page := await self._store.operations(state=state.value, before=before, limit=PAGE):
            ids += [one.id for one in page]
            before = page[-1].id
        for id_ in ids:
            operation = await self._store.operation(id_)
            if operation is not None and operation.open and operation.created_at <= quarantine.began_at:
                await self._doubt(operation, quarantine)
        return len(ids)

    async def _doubt(self, operation: Operation, quarantine: Quarantine) -> None:
        step = self._lost_step(operation)
        if operation.state is State.REQUIRES_ACTION and step is None:
            # We have nothing to send here: only the person, and they tell the partner.
            due = operation.changed(self._clock.now(), next_inquiry_at=self._clock.now())
            with suppress(Stale):  # somebody else works on it already
                await self._store.commit([OperationChanged(due)])
            return
        detail = "the store was put back to an older day; the partner is asked what became of it"
        said = Said(Meaning.UNDECLARED, Source.RECOVERY, reason=Reason(code="restored", detail=detail), in_doubt=True)
        await self._door.apply(
            operation,
            said,
            Work(self._store),
            may_have_acted=True,
            acted_verb=step or operation.acted_verb or operation.verb,
            attempts=max(1, operation.attempts),
            first_sent_at=operation.first_sent_at or operation.created_at,
            last_sent_at=quarantine.began_at,
            next_inquiry_at=self._clock.now(),
        )

    def _lost_step(self, operation: Operation) -> str | None:
        """The step after a person's act that the lost process may have taken."""
        proceed, connection = KINDS[operation.kind].proceed, self._connections.get(operation.connection)
        if operation.state is not State.REQUIRES_ACTION or proceed is None or operation.memory is None:
            return None
        return None if connection is None or proceed.of(connection.adapter) is None else proceed.name

    # 2. to 5. What is about to be sent

    async def admit(
        self, operation: Operation, connection: Connection, terms: Terms, parent: Operation | None
    ) -> Said | None:
        """Before `operation` is opened: what the partner says about its key, or None if it may be sent.

        `terms` are those of the verb that begins it. Raises `Refused`; then nothing was sent.
        """
        window = self.window(connection.name)
        if window is None or operation.kind in HARMLESS_TWICE:
            return None
        safe = self._remembers_all(terms, window, connection.deadline)
        fetch = KINDS[operation.kind].fetch
        if fetch is None or fetch.of(connection.adapter) is None or ByKey() not in terms.inquiry:
            if safe:  # 4.
                return None
            raise self._refused(
                connection, "the partner cannot be asked about it: an operator must clear", PERSON_SECONDS
            )
        said = await self._asked(operation, connection, parent)
        if said.meaning in FOUND:  # 2.
            self.found[connection.name] = self.found.get(connection.name, 0) + 1
            return said
        if said.meaning is not Meaning.NOT_FOUND:
            raise self._refused(connection, "the partner gave no clear answer about it", ASK_AGAIN_SECONDS)
        left = (window.restored_at + terms.settle_window - self._clock.now()).total_seconds()
        if safe or left <= 0:  # 3.
            return None
        raise self._refused(connection, "the partner does not know it, and it may still arrive", math.ceil(left))

    def _remembers_all(self, terms: Terms, window: Window, deadline: timedelta) -> bool:
        """Whether the partner acts once under every key that the lost process can have used."""
        if isinstance(terms.key, Natural):
            return True
        if not isinstance(terms.key, Remembered):
            return False
        if terms.key.life is None:
            return True
        return window.lost_since is not None and self._clock.now() + deadline < window.lost_since + terms.key.life

    async def _asked(self, operation: Operation, connection: Connection, parent: Operation | None) -> Said:
        """Ask about the key of an operation that does not exist yet: the records stand in a chain of their own."""
        kind, work = KINDS[operation.kind], Work(self._store)
        assert kind.fetch is not None, "admit has looked"
        run = Run(connection, operation, work, Source.INQUIRY, acts=False)
        exchange = self._runner.exchange(run, kind.fetch)
        exchange.chain, exchange.operation = self._ids.new("read"), None
        question = assemble.inquiry(kind, operation, connection.adapter, parent)
        try:
            return await self._runner.run(run, kind.fetch, question, exchange)
        finally:
            await work.commit()

    def _refused(self, connection: Connection, why: str, seconds: int) -> Refused:
        self.refused[connection.name] = self.refused.get(connection.name, 0) + 1
        return Refused(
            f"{connection.name} is in quarantine, as the gateway's store was put back to an older day: this may have"
            f" been done before, and {why}",
            kind="quarantined",
            status=503,
            retry=Retry.AFTER,
            retry_after_seconds=seconds,
            members={"connection": connection.name},
        )

    # A person's word

    async def clear(self, connection: str | None, reason: str, actor: str) -> list[str]:
        """End it for one connection, or for all; on record with who and why. Which connections it held.

        Raises `Invalid`, `Conflicting` (there is none), `StorageError`.
        """
        if not reason.strip():
            raise Invalid("say why it is safe to send again")
        await self.refresh()
        standing = self.standing()
        if connection not in ({None} | standing.keys() if standing else ()):
            raise Conflicting(f"{connection or 'nothing'} is not in quarantine", kind="no_quarantine")
        held = [one for one in self._known if connection is None or one.holds(connection)]
        act = self._journal.act(
            actor=actor, what=f"clear quarantine of {connection or 'all connections'}", reason=reason
        )
        now, name = self._clock.now(), connection or EVERY_CONNECTION
        rows: list[Row] = [Recorded(act), *(QuarantineCleared(one.id, name, now, actor) for one in held)]
        await self._store.commit(rows)
        await self.refresh()
        return [connection] if connection else sorted(standing)
