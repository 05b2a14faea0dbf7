"""Settles doubt: asks the partner, at its own rhythm, what became of an operation, until it is known.

Rules
- The schedule is in the store, so it survives a restart; one worker at a time holds an operation.
- The forms of inquiry are tried in the order of the terms: by key, by the partner's id, by parent, by replay.
- A replay runs the same verb again, inside the key's life only, and the wire refuses other bytes.
- Not knowing is an answer: nothing here turns silence into failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from gateway.adapters.verbs import VERBS, Verb
from gateway.model.clock import Clock
from gateway.model.initiations import New
from gateway.model.insurance import NewPolicy, NewQuote, Offer
from gateway.model.problems import GatewayError, StorageError
from gateway.model.states import Meaning, State
from gateway.model.terms import ByKey, ByParent, ByPartnerId, Inquiry, Remembered, Replay, Terms
from gateway.operations import assemble
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.facts import HORIZON, Said, Source
from gateway.operations.kinds import KINDS, starting_verb
from gateway.operations.running import Run, Runner, trail
from gateway.store.interface import Stale, Store, Unchanged
from gateway.store.operation import Operation, Reason
from gateway.store.work import Work

__all__ = ["Inquirer"]

log = logging.getLogger(__name__)

BATCH = 32
LEASE = timedelta(seconds=60)
IDLE_SECONDS = 0.5
POSTPONED = timedelta(minutes=5)
POSTPONED_AT_MOST = timedelta(hours=1)


class Inquirer:
    """Asks. `run` is the worker; `inquire` asks about one operation now."""

    def __init__(
        self, store: Store, connections: Connections, door: Door, runner: Runner, clock: Clock, worker: str
    ) -> None:
        self._store = store
        self._connections = connections
        self._door = door
        self._runner = runner
        self._clock = clock
        self._worker = worker
        self._stopping = asyncio.Event()

    async def recover(self) -> int:
        """After a start: what the last process left in the middle of a call is asked about at once."""
        return await self._store.in_flight_to_doubt(self._clock.now())

    async def run(self) -> None:
        """Work until `stop`. One that waits for a slow partner keeps no other back, and one that fails comes later."""
        stopped = asyncio.create_task(self._stopping.wait())
        asking: set[asyncio.Task[None]] = set()
        try:
            while not self._stopping.is_set():
                asking |= await self._claim(BATCH - len(asking))
                ended, _ = await asyncio.wait(
                    {stopped, *asking}, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                )
                asking -= ended
                self._look_at(task.exception() for task in ended if not task.cancelled())
        finally:
            stopped.cancel()
            for task in asking if not self._stopping.is_set() else ():
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()

    async def round(self) -> int:
        """Ask about everything that is due now, and wait for the answers. How many."""
        asking = await self._claim(BATCH)
        self._look_at(await asyncio.gather(*asking, return_exceptions=True))
        return len(asking)

    async def _claim(self, limit: int) -> set[asyncio.Task[None]]:
        """Begin to ask about what is due, at most `limit` of it."""
        now = self._clock.now()
        due = await self._store.due(now, now + LEASE, self._worker, limit) if limit else []
        return {asyncio.create_task(self._one(operation)) for operation in due}

    def _look_at(self, ends: Iterable[BaseException | None]) -> None:
        for failure in filter(None, ends):
            if isinstance(failure, StorageError):
                raise failure
            log.error("an inquiry could not be put off (%s); its lease holds it back", type(failure).__name__)

    async def _one(self, operation: Operation) -> None:
        try:
            await self.inquire(operation)
        except StorageError:
            raise
        # What went wrong may go wrong each time: it must come again later, and must not stand before all others.
        except Exception as failure:  # noqa: BLE001 - see above
            why = str(failure) if isinstance(failure, GatewayError) else trail(failure)
            log.warning("the inquiry about %s failed: %s", operation.id, why)
            await self._put_off(operation, f"the inquiry failed ({type(failure).__name__}); see the gateway's log")
        await self._store.release(operation.id, self._worker)

    async def _put_off(self, operation: Operation, why: str) -> None:
        reason = Reason(code="adapter_error", detail=why)
        await self._apply(operation, Said(Meaning.NOT_PROCESSED, Source.INQUIRY, reason=reason), Work(self._store))

    async def inquire(self, operation: Operation) -> Operation:
        """Ask about one operation now and apply what is learnt. Raises `StorageError`, and what assembling raises."""
        work = Work(self._store)
        connection = self._connections.get(operation.connection)
        if connection is None:
            return await self._postpone(operation, work, "its connection is not configured or not working")
        if operation.attempts == 0 and not await self._acted(operation):
            reason = Reason(code="not_sent", detail="the gateway stopped before anything that acts had left")
            return await self._apply(operation, Said(Meaning.NOT_PROCESSED, Source.RECOVERY, reason=reason), work)
        form = self._form(operation, connection)
        if form is None:
            return await self._postpone(operation, work, "this partner can be asked no more")
        if isinstance(form, Replay):
            return await self._replay(operation, connection, work)
        return await self._fetch(operation, connection, form, work)

    async def _fetch(self, operation: Operation, connection: Connection, form: Inquiry, work: Work) -> Operation:
        kind = KINDS[operation.kind]
        if kind.fetch is None or kind.fetch.of(connection.adapter) is None:
            return await self._postpone(operation, work, f"the adapter cannot fetch a {operation.kind}")
        parent = await self._store.operation(operation.parent) if operation.parent else None
        question = assemble.inquiry(kind, operation, connection.adapter, parent)
        run = Run(connection, operation, work, Source.INQUIRY, acts=False)
        exchange = self._runner.exchange(run, kind.fetch)
        said = await self._runner.run(run, kind.fetch, question, exchange)
        consumed = isinstance(form, ByParent) and said.meaning is Meaning.PROCESSING
        also: dict[str, Any] = {"parent_consumed": True} if consumed else {}
        return await self._apply(operation, said, work, **also)

    async def _replay(self, operation: Operation, connection: Connection, work: Work) -> Operation:
        """Run the verb that may have acted once more. Its answer is about the same act, by the partner's promise."""
        kind = KINDS[operation.kind]
        verb: Verb[Any, Any] = VERBS[operation.acted_verb or operation.verb]
        body = kind.new.model_validate(operation.body)
        parent = await self._store.operation(operation.parent) if operation.parent else None
        _, model = starting_verb(kind, body, parent.kind if parent else None)
        known = assemble.known(parent, connection.adapter) if parent else None
        options = assemble.options(operation, connection.adapter)
        quoted = await self._quoted(body)
        question: Any = assemble.initiation(model, body, operation, parent=known, options=options, quoted=quoted)
        if verb is kind.proceed:
            question = assemble.continuation(question, operation, connection.adapter, None)
        content = await self._content(operation)
        run = Run(connection, operation, work, Source.INQUIRY, expected_content=content, doubted=True)
        exchange = self._runner.exchange(run, verb)
        # A worker that was paused until its lease went to another sends nothing: its intent is refused.
        work.add(Unchanged(operation.id, operation.version))
        try:
            said = await self._runner.run(run, verb, question, exchange)
        except Stale:
            return await self._store.operation(operation.id) or operation
        if said.meaning is Meaning.SEEN:  # it says again that it knows the act, and nothing about its fate
            said = replace(said, meaning=Meaning.PROCESSING)
        return await self._apply(operation, said, work, **exchange.summary(operation))

    async def _quoted(self, body: New) -> tuple[NewQuote, Offer] | None:
        """The offer that a policy was bound by; whether it still stands is no question any more."""
        quote = await self._store.operation(body.quote) if isinstance(body, NewPolicy) and body.quote else None
        return assemble.quoted(quote, body) if quote is not None and isinstance(body, NewPolicy) else None

    def _form(self, operation: Operation, connection: Connection) -> Inquiry | None:
        terms = self._door.terms(operation)
        return next((form for form in terms.inquiry if self._possible(form, operation, terms)), None)

    def _possible(self, form: Inquiry, operation: Operation, terms: Terms) -> bool:
        match form:
            case ByKey():
                return True
            case ByPartnerId(name):
                return name in operation.partner_references
            case ByParent():
                return not operation.parent_consumed
            case Replay():
                return self._key_lives(operation, terms)

    def _key_lives(self, operation: Operation, terms: Terms) -> bool:
        if operation.acted_verb is None:
            return False  # nothing acted, so there is nothing to repeat
        if not isinstance(terms.key, Remembered) or terms.key.life is None:
            return isinstance(terms.key, Remembered)
        return self._clock.now() < (operation.first_sent_at or operation.created_at) + terms.key.life

    async def _acted(self, operation: Operation) -> bool:
        """Whether an intent of an act is on record: a process died, and its memory of the call with it."""
        return any(entry.content is not None for entry in await self._store.chain(operation.id))

    async def _content(self, operation: Operation) -> str | None:
        contents = [entry.content for entry in await self._store.chain(operation.id) if entry.content is not None]
        return contents[-1] if contents else None

    async def _apply(self, operation: Operation, said: Said, work: Work, **also: Any) -> Operation:
        if operation.attempts == 0:
            also.setdefault("attempts", 1)
        return await self._door.apply(operation, said, work, **also)

    async def _postpone(self, operation: Operation, work: Work, why: str) -> Operation:
        """Nobody can be asked now; its time comes again, less often the older it is."""
        now = self._clock.now()
        said = Said(Meaning.UNDECLARED, Source.INQUIRY, reason=Reason(code="no_inquiry", detail=why))
        begun = operation.last_sent_at or operation.created_at
        # What no person can do anything about any more is as much in doubt as what the partner works on.
        over = operation.state is State.REQUIRES_ACTION and now >= (operation.next_action_until or begun + HORIZON)
        if operation.state is State.PROCESSING or over:
            said = replace(said, source=Source.RECOVERY)
        again = now + min(max(POSTPONED, (now - begun) / 8), POSTPONED_AT_MOST)
        also: dict[str, Any] = {"next_inquiry_at": again} if operation.open else {}
        return await self._apply(operation, said, work, **also)
