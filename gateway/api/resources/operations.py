"""Operations: all acts in one list, the records behind each, and the step that a person's act makes possible."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints

from gateway.api.acts import reads, within
from gateway.api.answers import found, shown, still_running
from gateway.api.auth import ALL, visible_to
from gateway.api.handler import Answer, Inbound, NoBody, Route
from gateway.api.problems import running, wrong_parameter
from gateway.api.query import NoQuery
from gateway.api.shapes import OperationPage, OperationView, Timeline
from gateway.model.schema import Line, Model, Reference
from gateway.model.states import State
from gateway.operations.desk import Desk, Settlement
from gateway.operations.view import public
from gateway.store.interface import Entry
from gateway.store.operation import Kind

__all__ = ["ROUTES", "readable"]

TAG: Final = "Operations"

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]


class Search(Model):
    """What an operation must match. `link` is `name=value` of its `links_to`, such as `loan=LN-1001`."""

    reference: Reference | None = None
    kind: Kind | None = None
    state: State | None = None
    connection: Word | None = None
    link: Annotated[
        str | None, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}=.{1,64}$"), Field(examples=["loan=LN-1001"])
    ] = None
    parent: Word | None = None
    attention: Annotated[bool, Field(description="Only those that a person should look at")] = False
    client: Annotated[Word | None, Field(description="For operators and auditors: whose operations")] = None
    cursor: Annotated[Word | None, Field(description="The `next_cursor` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


async def search(call: Inbound[None, Search]) -> Answer:
    """Operations that match everything that was asked for, newest first."""
    asked = call.query
    name, _, value = (asked.link or "").partition("=")
    operations = await call.gateway.store.operations(
        client=whose(call, asked.client),
        kind=asked.kind,
        state=asked.state.value if asked.state else None,
        connection=asked.connection,
        reference=asked.reference,
        link=(name, value) if asked.link else None,
        parent=asked.parent,
        attention=asked.attention,
        before=asked.cursor,
        limit=asked.limit + 1,
    )
    page: dict[str, Any] = {"operations": [public(operation) for operation in operations[: asked.limit]]}
    if len(operations) > asked.limit:
        page["next_cursor"] = operations[asked.limit - 1].id
    return Answer(page)


def whose(call: Inbound[Any, Any], client: str | None) -> str | None:
    """Whose things a call is about: its own client's, or for readers anybody's. Raises `Refused`."""
    own = visible_to(call.client)
    if own is not None and client not in (None, own):
        raise wrong_parameter("client", "is for operators and auditors; a platform sees its own operations")
    return own or client


async def timeline(call: Inbound[None, NoQuery]) -> Answer:
    """Every record of an operation, in order, each with its hash."""
    operation = await found(call)
    records = await call.gateway.store.chain(operation.id)
    return Answer({"operation": operation.id, "records": [readable(entry) for entry in records]})


def readable(entry: Entry) -> dict[str, Any]:
    """A record as it is shown."""
    return {
        "number": entry.number,
        "id": entry.id,
        "kind": entry.kind,
        "at": entry.at.isoformat().replace("+00:00", "Z"),
        "hash": entry.hash,
        "record": json.loads(entry.leaf),
    }


async def proceed(call: Inbound[NoBody, NoQuery]) -> Answer:
    """Go on after a person did what was asked and no browser came back."""
    operation = await found(call)
    if still_running(operation):
        raise running(operation)
    engine, returns = call.gateway.engine, call.gateway.returns
    return shown(await within(call, operation, engine.own(returns.proceed(operation))))


class Settling(Model):
    """A person's word about what became of an operation. Reason and evidence are kept for ever; name no customer."""

    state: Literal["succeeded", "failed"]
    reason: Annotated[Line, StringConstraints(min_length=1)]
    evidence: Annotated[Line, StringConstraints(min_length=1), Field(examples=["Statement 2026-03-02, line 14"])]


async def settle(call: Inbound[Settling, NoQuery]) -> Answer:
    """Settle by hand what nobody can be asked about. The actor is the authenticated key."""
    operation = await found(call)
    if still_running(operation):
        raise running(operation)
    word, gateway = call.body, call.gateway
    settlement = Settlement(word.state, word.reason, word.evidence, call.client.actor)
    return shown(await Desk(gateway.store, gateway.door, gateway.journal).settle(operation.id, settlement))


ROUTES: Final = (
    Route(
        "GET",
        "/v1/operations",
        "Search operations",
        search,
        TAG,
        {200: OperationPage},
        ALL,
        query=Search,
        description="A platform sees its own; operators and auditors see everybody's.",
    ),
    Route("GET", "/v1/operations/{id}", "Read any operation", reads(), TAG, {200: OperationView}, ALL),
    Route(
        "GET",
        "/v1/operations/{id}/timeline",
        "Read the records of an operation",
        timeline,
        TAG,
        {200: Timeline},
        ALL,
        description="What was sent, answered, told and decided. Bodies are there as commitments, never in clear.",
    ),
    Route(
        "POST",
        "/v1/operations/{id}/continue",
        "Take the next step",
        proceed,
        TAG,
        {200: OperationView},
        body=NoBody,
        waits=True,
        problems=("no_step", "call_in_progress"),
        description="For steps that end without a browser's return, such as a confirmation in an app.",
    ),
    Route(
        "POST",
        "/v1/operations/{id}/settle",
        "Settle an operation by hand",
        settle,
        TAG,
        {200: OperationView},
        frozenset({"operator"}),
        body=Settling,
        problems=("nothing_to_settle", "partner_key_taken", "call_in_progress"),
        description="For doubt that no inquiry ends. Recorded with the key that did it, the reason and the evidence.",
    ),
)
