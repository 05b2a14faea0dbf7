"""The handlers that most resources share: begin an operation, follow one up, read one, ask about one now.

Each function here makes a handler for one kind of operation; a resource's table of routes names it.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from gateway.api.answers import acted, call_of, found, shown, still_running
from gateway.api.auth import ALL, PLATFORM
from gateway.api.handler import Answer, Handler, Inbound, NoBody, Route
from gateway.api.problems import Problem, running
from gateway.api.query import NoQuery
from gateway.api.shapes import OperationView
from gateway.model.initiations import New
from gateway.store.operation import Kind, Operation

__all__ = ["begins", "creating", "following", "follows", "reading", "reads", "refreshes", "refreshing", "within"]

ACT_PROBLEMS: Final = (
    *("invalid_fields", "unknown_connection", "unsupported_verb", "idempotency_key_reused", "call_in_progress"),
    *("reference_taken", "reference_reused", "partner_key_taken", "declined", "not_sent", "failed"),
    *("overloaded", "partner_unreachable", "adapter_error"),
)
"""What every call that acts can come to, beside what every call can."""


def begins(kind: Kind) -> Handler:
    """Begins an operation."""

    async def begin(call: Inbound[New, NoQuery]) -> Answer | Problem:
        return acted(await call.gateway.engine.initiate(kind, call.body, call_of(call)))

    return begin


def follows(kind: Kind, *parents: Kind) -> Handler:
    """Begins an operation that follows the one in the path, which must be one of `parents`."""

    async def follow(call: Inbound[New, NoQuery]) -> Answer | Problem:
        parent = await found(call, *parents)
        return acted(await call.gateway.engine.initiate(kind, call.body, call_of(call), parent=parent.id))

    return follow


def reads(*kinds: Kind) -> Handler:
    """Reads the operation in the path."""

    async def read(call: Inbound[None, NoQuery]) -> Answer:
        return shown(await found(call, *kinds))

    return read


def refreshes(*kinds: Kind) -> Handler:
    """Asks the partner now about the operation in the path, and shows what stands afterwards."""

    async def refresh(call: Inbound[NoBody, NoQuery]) -> Answer:
        operation = await found(call, *kinds)
        if still_running(operation):
            raise running(operation)
        engine, inquirer = call.gateway.engine, call.gateway.inquirer
        return shown(await within(call, operation, engine.own(inquirer.inquire(operation))))

    return refresh


async def within(call: Inbound[Any, Any], before: Operation, task: asyncio.Task[Operation]) -> Operation:
    """What stands when the task ends, or when the caller's patience does; the task goes on either way."""
    if call.wait is None:
        return await asyncio.shield(task)
    done, _ = await asyncio.wait({task}, timeout=call.wait)
    if done:
        return task.result()
    return await call.gateway.store.operation(before.id) or before


def creating(
    path: str, kind: Kind, body: type[New], tag: str, summary: str, *, description: str = "", more: tuple[str, ...] = ()
) -> Route:
    """The route that begins an operation of `kind`."""
    return _acting(path, begins(kind), body, tag, summary, description, ("open_sibling", *more))


def following(
    path: str,
    kind: Kind,
    parents: tuple[Kind, ...],
    body: type[New],
    tag: str,
    summary: str,
    *,
    description: str = "",
    more: tuple[str, ...] = (),
) -> Route:
    """The route that follows up an operation of one of `parents`."""
    return _acting(path, follows(kind, *parents), body, tag, summary, description, more)


def reading(path: str, kind: Kind, tag: str, summary: str) -> Route:
    """The route that reads one operation of `kind`."""
    return Route("GET", path, summary, reads(kind), tag, {200: OperationView}, ALL)


def refreshing(path: str, kind: Kind, tag: str) -> Route:
    """The route that asks the partner about one operation of `kind` now. An operator may, too: it only asks."""
    return Route(
        "POST",
        path,
        "Ask the partner now",
        refreshes(kind),
        tag,
        {200: OperationView},
        PLATFORM | {"operator"},
        body=NoBody,
        waits=True,
        problems=("call_in_progress", "overloaded"),
        description="Asks what became of it and answers with the operation as it stands afterwards.",
    )


def _acting(
    path: str, handler: Handler, body: type[New], tag: str, summary: str, description: str, more: tuple[str, ...]
) -> Route:
    return Route(
        "POST",
        path,
        summary,
        handler,
        tag,
        {201: OperationView, 200: OperationView, 202: OperationView},
        body=body,
        idempotent=True,
        waits=True,
        problems=(*ACT_PROBLEMS, *more),
        description=description,
    )
