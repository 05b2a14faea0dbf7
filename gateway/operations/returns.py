"""Takes a browser back in: what a person brought from a partner's page, and the steps that follow.

Rules
- The operation is found by `state`, which only we and the partner's page know, and its return is used once.
- What the scheme cannot prove is a doorbell: the partner is asked, and nothing that came along is used.
- A refusal by the person goes no further by itself either: the partner is asked what stands.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from gateway.adapters.verbs import Verb
from gateway.model.clock import Clock
from gateway.model.initiations import Continuation
from gateway.model.message import Returned
from gateway.model.problems import Conflicting, NotFound, NotProven, NotUnderstood
from gateway.model.states import State
from gateway.operations import assemble
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Engine
from gateway.operations.facts import Source
from gateway.operations.inquiry import Inquirer
from gateway.operations.kinds import KINDS, starting_verb
from gateway.operations.running import Run, Runner, trail
from gateway.store.interface import OperationChanged, Stale, Store, Unchanged
from gateway.store.operation import Operation
from gateway.store.work import Work

__all__ = ["Returns"]

log = logging.getLogger(__name__)
TRIES = 5


@dataclass(frozen=True, slots=True)
class _Step:
    connection: Connection
    operation: Operation
    verb: Verb[Any, Any]
    returned: Returned | None


class Returns:
    """Continues operations that waited for a person."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        engine: Engine,
        door: Door,
        runner: Runner,
        inquirer: Inquirer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._connections = connections
        self._engine = engine
        self._door = door
        self._runner = runner
        self._inquirer = inquirer
        self._clock = clock

    async def receive(self, connection_name: str, returned: Returned) -> Operation:
        """A browser came back. Raises `NotFound` for a state that was never given out, `StorageError`."""
        connection = self._connections.named(connection_name)
        state = returned.parameters.get("state", "")
        operation = await self._store.operation_by_state_key(connection.name, state) if state else None
        if operation is None or operation.handoff is None:
            raise NotFound("nothing waits for this return; start again from the shop")
        if operation.state is not State.REQUIRES_ACTION:
            return operation  # used already, or overtaken by other news
        try:
            handoff = assemble.handoff_of(operation)
            proven = connection.adapter.scheme.verify_return(returned, handoff, connection.keys)
        except (NotProven, NotUnderstood) as failure:
            log.warning("a return for %s proves nothing: %s", operation.id, failure)
            return await self._doorbell(operation)
        # A scheme is a plugin's code too: what it stumbles over is not proven.
        except Exception as failure:  # noqa: BLE001 - see above
            log.warning("the scheme of %s stumbled over a return (%s)", connection.name, trail(failure))
            return await self._doorbell(operation)
        verb = self._next(connection, operation)
        if verb is None or "error" in proven.parameters:
            return await self._doorbell(operation)
        return await self._proceed(_Step(connection, operation, verb, proven))

    async def proceed(self, operation: Operation) -> Operation:
        """Go on after the person did what was asked without a return. Raises `Conflicting` if nothing waits."""
        connection = self._connections.named(operation.connection)
        if operation.state is not State.REQUIRES_ACTION:
            raise Conflicting(f"{operation.id} is {operation.state.value}; there is no step to take", kind="no_step")
        verb = self._next(connection, operation)
        if verb is None:
            return await self._doorbell(operation)
        return await self._proceed(_Step(connection, operation, verb, None))

    def _next(self, connection: Connection, operation: Operation) -> Verb[Any, Any] | None:
        """The verb that goes on from here, where there is one."""
        verb = KINDS[operation.kind].proceed
        if verb is None or verb.of(connection.adapter) is None or operation.memory is None:
            return None
        return verb

    async def _doorbell(self, operation: Operation) -> Operation:
        return await self._engine.own(self._inquirer.inquire(operation))

    async def _proceed(self, step: _Step) -> Operation:
        """Claim the step by a commit of its own, so that a second return finds it taken, then run it."""
        question = self._question(step)  # before the claim: an adapter that knows its memory no more claims nothing
        now = self._clock.now()
        claimed = step.operation.changed(
            now,
            state=State.PROCESSING,
            may_have_acted=True,
            acted_verb=step.verb.name,
            first_sent_at=now,
            last_sent_at=now + step.connection.deadline,
            next_inquiry_at=now + step.connection.deadline + timedelta(seconds=5),
        )
        try:
            await self._store.commit([OperationChanged(claimed, in_flight=True)])
        except Stale:
            return await self._store.operation(step.operation.id) or step.operation
        # A consent stands at the bank whatever becomes of our step: a step that fails is no end, the bank is asked.
        doubted = step.operation.may_have_acted or step.operation.kind == "consent"
        return await self._engine.own(self._run(replace(step, operation=claimed), question, doubted))

    def _question(self, step: _Step) -> Continuation[Any, Any]:
        operation, adapter = step.operation, step.connection.adapter
        kind = KINDS[operation.kind]
        body = kind.new.model_validate(operation.body)
        _, model = starting_verb(kind, body, None)
        options = assemble.options(operation, adapter)
        initiation = assemble.initiation(model, body, operation, parent=None, options=options)
        return assemble.continuation(initiation, operation, adapter, step.returned)

    async def _run(self, step: _Step, question: Continuation[Any, Any], doubted: bool) -> Operation:
        operation, connection, verb = step.operation, step.connection, step.verb
        code = step.returned.parameters.get("code") if step.returned else None
        for _ in range(TRIES):
            work = Work(self._store)
            # What was cancelled or settled since the claim is not gone on with: the intent is refused.
            work.add(Unchanged(operation.id, operation.version))
            run = Run(connection, operation, work, Source.REPLY, code=code, doubted=doubted)
            exchange = self._runner.exchange(run, verb)
            try:
                said = await self._runner.run(run, verb, question, exchange)
            except Stale:
                operation, code = await self._store.operation(operation.id) or operation, exchange.code
                claimed_anew = operation.first_sent_at != step.operation.first_sent_at
                if operation.state is not State.PROCESSING or claimed_anew:
                    return operation
                continue
            acted = verb.name if exchange.acted else None
            return await self._door.apply(operation, said, work, acted_verb=acted, **exchange.summary(operation))
        return operation  # nothing was sent; the inquiry that is due finds out how it stands
