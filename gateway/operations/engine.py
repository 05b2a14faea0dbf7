"""The engine: takes a call from the floor above, opens an operation, runs its verb, and gives back what is durable.

A call, step by step
  1. find the connection, its adapter and the verb; enforce the terms            (nothing exists yet)
  2. answer a repeat of an earlier call                                          (nothing is opened)
  3. derive the partner's key and draw the handoff; stage claim, operation, reservation in one Work
  4. run the verb in a task that the engine owns; the first intent commits all that is staged
  5. what came of it goes through the one door; its commit precedes the answer
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.adapters.verbs import Verb
from gateway.audit.vault import Vault
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.initiations import Initiation, New
from gateway.model.insurance import NewPolicy, NewQuote, Offer
from gateway.model.message import Handoff
from gateway.model.problems import Conflicting, FieldError, Invalid, NotFound, Overloaded, Refused, Retry, Unsupported
from gateway.model.states import Meaning, State
from gateway.model.terms import Terms
from gateway.operations import assemble
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.facts import Said, Source
from gateway.operations.kinds import KINDS, KindOf, starting_verb
from gateway.operations.quarantine import Confinement
from gateway.operations.requirements import check
from gateway.operations.running import Run, Runner
from gateway.operations.view import storable
from gateway.store.interface import KeyClaimed, OperationOpened, Reserved, Store, Taken
from gateway.store.operation import Kind, Operation, Reason
from gateway.store.work import Work

__all__ = ["Answered", "Call", "Engine"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and how: `wait` bounds how long the caller waits; the act itself goes on."""

    client: str
    key: str  # Idempotency-Key
    route: str
    wait: float | None = None  # seconds; None: as long as the verb's deadline


@dataclass(frozen=True, slots=True)
class Answered:
    """The operation as it stands, durably."""

    operation: Operation
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """A call that was checked: everything that is needed to open and run it."""

    call: Call
    kind: KindOf
    connection: Connection
    verb: Verb[Any, Any]
    terms: Terms
    operation: Operation
    question: Initiation
    despite: tuple[str, ...]
    parent: Operation | None


class Engine:
    """Opens operations and runs their verbs."""

    def __init__(
        self,
        *,
        store: Store,
        connections: Connections,
        door: Door,
        runner: Runner,
        clock: Clock,
        ids: Identifiers,
        secret: bytes,
        mode: Any,
        public_url: str,
        quarantine: Confinement | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.store = store
        self.connections = connections
        self.door = door
        self.runner = runner
        self.clock = clock
        self._ids = ids
        self._secret = secret
        self._mode = mode
        self._public_url = public_url.rstrip("/")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._quarantine = quarantine
        self._vault = vault
        self._draining = False

    async def initiate(self, kind: Kind, body: New, call: Call, *, parent: str | None = None) -> Answered:
        """Open an operation and run its verb. Raises `Refused` (nothing was sent) and `StorageError`."""
        self._refuse_at_the_end()
        print_ = assemble.fingerprint(call.route, body)
        replay = await self._replayed(call, print_)
        if replay is not None:
            return replay
        plan = await self._plan(KINDS[kind], body, call, print_, parent)
        known = await self._known_after_a_restore(plan)
        self._refuse_at_the_end()  # nothing is awaited from here until `drain` can see the task
        task = self.own(self._begin(plan) if known is None else self._take(plan, known))
        try:
            return Answered(await self._wait(task, plan))
        except Taken as taken:
            return await self._lost(taken, plan, print_)

    def own(self, work: Coroutine[Any, Any, Operation]) -> asyncio.Task[Operation]:
        """Run something to its end whatever the caller does."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    async def drain(self, limit: timedelta) -> None:
        """Take no new calls and let the running ones come to their end, at most for `limit`."""
        self._draining = True
        until = asyncio.get_running_loop().time() + limit.total_seconds()
        while self._tasks and (left := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(tuple(self._tasks), timeout=left)  # a return or a refresh may have begun meanwhile

    def _refuse_at_the_end(self) -> None:
        if self._draining:
            raise Overloaded("the gateway is shutting down", retry=Retry.SAME_KEY, retry_after_seconds=5)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.debug("a call ended with %r", task.exception())

    # 1. and 3.

    async def _plan(self, kind: KindOf, body: New, call: Call, print_: str, parent_id: str | None) -> _Plan:
        parent = await self._parent(kind, call.client, parent_id, body)
        connection = self.connections.named(parent.connection if parent else body.connection)
        verb, model = starting_verb(kind, body, parent.kind if parent else None)
        adapter = connection.adapter
        if verb.of(adapter) is None:
            raise Unsupported(f"{adapter.name} does not {verb.name.replace('_', ' ')}", members={"verb": verb.name})
        method = getattr(getattr(body, "method", None), "type", parent.method if parent else None)
        terms = adapter.terms[verb.name].for_method(method)
        options = check(terms, body, adapter.name)
        quoted = await self._quoted(call.client, body)
        operation = self._operation(kind, connection, verb, terms, body, call, parent, quoted, print_, method)
        known = assemble.known(parent, adapter) if parent else None
        question = assemble.initiation(model, body, operation, parent=known, options=options, quoted=quoted)
        return _Plan(call, kind, connection, verb, terms, operation, question, body.despite, parent)

    async def _parent(self, kind: KindOf, client: str, parent_id: str | None, body: New) -> Operation | None:
        if not kind.follows:
            return None
        parent = await self.store.operation(parent_id or "", client)
        if parent is None or parent.kind not in kind.follows:
            raise NotFound(f"there is no {' or '.join(kind.follows)} {parent_id!r}")
        if body.connection != parent.connection:
            detail = f"must be {parent.connection}, where the {parent.kind} was made"
            raise Invalid(detail, fields=[FieldError("connection", detail)])
        amount = assemble.amount_of(body, None)
        if amount is not None and parent.amount is not None and amount.currency != parent.amount.currency:
            detail = f"must be {parent.amount.currency}, as the {parent.kind} was"
            raise Invalid(detail, fields=[FieldError("amount.currency", detail)])
        return parent

    async def _quoted(self, client: str, body: New) -> tuple[NewQuote, Offer] | None:
        if not isinstance(body, NewPolicy) or body.quote is None:
            return None
        quote = await self.store.operation(body.quote, client)
        if quote is None or quote.kind != "quote" or quote.state is not State.SUCCEEDED:
            raise Invalid("there is no such quote", fields=[FieldError("quote", "there is no such quote")])
        request, offer = assemble.quoted(quote, body)
        if assemble.expired(offer, self.clock.now()):
            raise Invalid("the offer has expired: ask for a new quote", fields=[FieldError("offer", "has expired")])
        return request, offer

    def _operation(
        self,
        kind: KindOf,
        connection: Connection,
        verb: Verb[Any, Any],
        terms: Terms,
        body: New,
        call: Call,
        parent: Operation | None,
        quoted: tuple[NewQuote, Offer] | None,
        print_: str,
        method: str | None,
    ) -> Operation:
        now = self.clock.now()
        key = assemble.partner_key(self._secret, call.client, connection.name, kind, body, terms)
        return Operation.begun(
            id=self._ids.new(kind.prefix),
            client=call.client,
            kind=kind.name,
            mode=self._mode,
            partner=connection.partner,
            connection=connection.name,
            verb=verb.name,
            state=State.PROCESSING,
            reference=body.reference,
            partner_key=key,
            created_at=now,
            updated_at=now,
            amount=assemble.amount_of(body, quoted[1] if quoted else None),
            method=method,
            subject=body.subject or (parent.subject if parent else None),
            parent=parent.id if parent else None,
            links_to=body.links_to,
            body=storable(body),
            fingerprint=print_,
            metadata=body.metadata,
            handoff=assemble.stored(self._handoff(connection)),
            may_have_acted=True,
            acted_verb=verb.name,
            # Until the run says it exactly: a key's life counts from the first moment, a settle window from the last.
            first_sent_at=now,
            last_sent_at=now + connection.deadline,
            # Should the process die in the middle, the inquiry after the deadline finds out what became of it.
            next_inquiry_at=now + connection.deadline + timedelta(seconds=5),
        )

    def _handoff(self, connection: Connection) -> Handoff:
        return Handoff(
            state=self._ids.nonce(),
            nonce=self._ids.nonce(),
            code_verifier=self._ids.nonce(32),
            return_url=f"{self._public_url}/v1/returns/{connection.name}",
            callback_url=f"{self._public_url}/v1/callbacks/{connection.partner}/{connection.callback_token}",
        )

    # 4. and 5.

    async def _known_after_a_restore(self, plan: _Plan) -> Said | None:
        """What the partner knows of an act that the store may have lost. Raises `Refused` where nobody can tell."""
        if self._quarantine is None:
            return None
        return await self._quarantine.admit(plan.operation, plan.connection, plan.terms, plan.parent)

    async def _take(self, plan: _Plan, known: Said) -> Operation:
        """Open an operation whose act was done before the store was put back: it takes the fact, nothing is sent."""
        return await self.door.apply(plan.operation, known, self._opening(plan), attempts=1)

    async def _begin(self, plan: _Plan) -> Operation:
        work, operation = self._opening(plan), plan.operation
        if self._vault is not None:
            await self._vault.bind(operation.id, operation.client, operation.subject)
        run = Run(plan.connection, operation, work, Source.REPLY)
        exchange = self.runner.exchange(run, plan.verb)
        said = await self.runner.run(run, plan.verb, plan.question, exchange)
        if not work.committed:
            raise _nothing_began(said, plan)
        acted = plan.verb.name if exchange.acted else None
        return await self.door.apply(operation, said, work, acted_verb=acted, **exchange.summary(operation))

    def _opening(self, plan: _Plan) -> Work:
        """Claim, operation and reservation, staged for one commit."""
        work = Work(self.store)
        operation = plan.operation
        work.add(
            KeyClaimed(plan.call.client, plan.call.key, operation.fingerprint, operation.id, operation.created_at),
            OperationOpened(
                operation,
                siblings="" if plan.parent else _link_text(operation),
                despite=plan.despite,
                state_key=(operation.handoff or {}).get("state"),
            ),
        )
        if plan.kind.reserves and plan.parent is not None and operation.amount is not None:
            work.add(Reserved(operation.client, plan.parent.id, operation.amount.minor()))
        return work

    async def _wait(self, task: asyncio.Task[Operation], plan: _Plan) -> Operation:
        """The end of the run, or what stands when the caller's patience ends. A caller who leaves changes nothing."""
        if plan.call.wait is None:
            return await asyncio.shield(task)
        done, _ = await asyncio.wait({task}, timeout=plan.call.wait)
        while not done:
            standing = await self.store.operation(plan.operation.id, plan.call.client)
            if standing is not None:
                return standing
            done, _ = await asyncio.wait({task}, timeout=0.05)
        return task.result()

    # 2. Repeats and races

    async def _replayed(self, call: Call, print_: str) -> Answered | None:
        claimed = await self.store.claimed(call.client, call.key)
        if claimed is None:
            return None
        if claimed.fingerprint != print_:
            raise Refused(
                "this Idempotency-Key was used for another call; use a new key for a new call",
                kind="idempotency_key_reused",
                members={"operation": claimed.operation},
            )
        return await self._repeat(claimed.operation, call.client)

    async def _repeat(self, operation_id: str, client: str) -> Answered:
        operation = await self.store.operation(operation_id, client)
        if operation is None:
            raise NotFound(f"there is no operation {operation_id}")
        if operation.attempts == 0 and operation.open:
            raise Conflicting(
                "the first call with this Idempotency-Key is still running",
                kind="call_in_progress",
                retry=Retry.SAME_KEY,
                retry_after_seconds=1,
                members={"operation": operation.id},
            )
        return Answered(operation, replayed=True)

    async def _lost(self, taken: Taken, plan: _Plan, print_: str) -> Answered:
        """Somebody was first: say who and what to do. Nothing was sent for this call."""
        members = {"operation": taken.operation} if taken.operation else {}
        if taken.what == "key":
            replay = await self._replayed(plan.call, print_)
            if replay is not None:
                return replay
        if taken.what == "reference":
            first = await self.store.operation_by_reference(plan.call.client, plan.kind.name, plan.operation.reference)
            if first is not None and first.fingerprint == print_:
                detail = f"this call was made before, with another Idempotency-Key: it is {first.id}"
                raise Conflicting(detail, kind="reference_taken", members={"operation": first.id}) from None
            detail = "this reference was used for another call; a new obligation needs a new reference"
            # Whoever obeyed `new_reference` by a program, with a body that varies by mistake, would pay twice.
            raise Refused(detail, kind="reference_reused", members=members) from None
        if taken.what == "sibling":
            detail = f"{taken.operation} for the same {', '.join(plan.operation.links_to)} has not ended yet"
            raise Conflicting(
                f"{detail}; wait for it, or say `despite` with its id",
                kind="open_sibling",
                retry=Retry.AFTER,
                members=members,
            ) from None
        if taken.what == "reservation":
            raise Refused(
                f"the {plan.parent.kind if plan.parent else 'parent'} does not leave that much",
                kind="amount_not_available",
                members={"parent": plan.operation.parent or ""},
            ) from None
        detail = "the partner knows another act under this business key"
        if taken.operation and await self.store.operation(taken.operation, plan.call.client) is None:
            members = {}  # it is another client's, who shares the connection
        raise Conflicting(detail, kind="partner_key_taken", members=members) from None


def _link_text(operation: Operation) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(operation.links_to.items()))


def _nothing_began(said: Said, plan: _Plan) -> Refused:
    """The verb ended before its first intent: no operation exists, neither key nor reference is burnt."""
    reason = said.reason or Reason(code="not_sent")
    detail = reason.detail or "nothing was sent"
    if reason.code == "adapter_error" or said.meaning not in (Meaning.NOT_PROCESSED, Meaning.UNDECLARED):
        return Refused(detail, kind="adapter_error", status=502, retry=Retry.SAME_KEY)
    return Overloaded(
        f"{plan.connection.partner} cannot be reached now: {detail}",
        kind="partner_unreachable",
        retry=Retry.SAME_KEY,
        retry_after_seconds=5,
    )
