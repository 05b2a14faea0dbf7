"""From operations to answers: which status says what, and where the operation can be read.

| the operation | a new call | a repeated call |
|---|---|---|
| succeeded, processing, requires_action, cancelled, returned | 201 | 200 |
| unknown, or the call still runs | 202 | 202 |
| failed | a problem with the operation | the same problem |

A repeated call carries `Idempotent-Replayed: true`. Doubt is never success (200, 201) and never failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.api.auth import visible_to
from gateway.api.handler import Answer, Inbound
from gateway.api.problems import Problem, not_found, of_operation
from gateway.model.states import State
from gateway.operations.engine import Answered, Call
from gateway.operations.view import public
from gateway.store.operation import Kind, Operation

__all__ = ["acted", "call_of", "found", "location", "shown", "still_running"]

PLACES: Final[Mapping[Kind, str]] = {
    "payment": "/v1/payments",
    "refund": "/v1/refunds",
    "transfer": "/v1/transfers",
    "credit_report": "/v1/credit-reports",
    "quote": "/v1/insurance/quotes",
    "policy": "/v1/insurance/policies",
    "claim": "/v1/insurance/claims",
    "consent": "/v1/consents",
}
"""Where each kind is read; the others at /v1/operations."""

LONGEST_ID: Final = 64


def location(operation: Operation) -> str:
    """The path at which the operation can be read."""
    return f"{PLACES.get(operation.kind, '/v1/operations')}/{operation.id}"


def call_of(call: Inbound[Any, Any]) -> Call:
    """What the engine must know. The path is part of it: the same body under another parent is another call."""
    return Call(client=call.client.name, key=call.key, route=f"{call.method} {call.target}", wait=call.wait)


def acted(answered: Answered) -> Answer | Problem:
    """The answer to a call that acts."""
    operation = answered.operation
    headers = {"Location": location(operation)}
    if answered.replayed:
        headers["Idempotent-Replayed"] = "true"
    if operation.state is State.FAILED:
        return replace(of_operation(operation), more_headers=headers)
    if operation.state is State.UNKNOWN or still_running(operation):
        return Answer(public(operation), 202, headers)
    return Answer(public(operation), 200 if answered.replayed else 201, headers)


def still_running(operation: Operation) -> bool:
    """Whether its first call has not come to an end: nothing of it has been counted yet."""
    return operation.open and operation.attempts == 0


def shown(operation: Operation) -> Answer:
    """The operation as it stands, whatever its state: it was only asked for."""
    return Answer(public(operation))


async def found(call: Inbound[Any, Any], *kinds: Kind) -> Operation:
    """The operation that the path names, if this client may see it. Raises `Refused` (404)."""
    id = call.path["id"][:LONGEST_ID]
    operation = await call.gateway.store.operation(id, visible_to(call.client))
    if operation is None or (kinds and operation.kind not in kinds):
        raise not_found(kinds[0].replace("_", " ") if kinds else "operation", id)
    return operation
