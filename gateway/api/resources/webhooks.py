"""Webhook endpoints: where a platform is told what happened, what was not delivered, and how to have it again."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from gateway.api.answers import LONGEST_ID
from gateway.api.auth import ALL, PLATFORM, visible_to
from gateway.api.handler import Answer, Inbound, NoBody, Route
from gateway.api.query import LARGEST_NUMBER, NoQuery
from gateway.api.resources.operations import Word, whose
from gateway.api.shapes import (
    DeliveryPage,
    DeliveryView,
    EndpointList,
    EndpointView,
    EndpointWithSecret,
    TestView,
)
from gateway.model.schema import Model
from gateway.operations.endpoints import WithSecret
from gateway.store.webhooks import Delivery, DeliveryState, Endpoint

__all__ = ["ROUTES", "NewEndpoint"]

TAG: Final = "Webhooks"
PLATFORM_OR_OPERATOR: Final = PLATFORM | {"operator"}

Pattern = Annotated[str, StringConstraints(pattern=r"^[a-z_*]{1,40}\.[a-z_*]{1,40}$")]


class NewEndpoint(Model):
    """Where to be told, and what."""

    url: Annotated[
        str,
        StringConstraints(min_length=8, max_length=2000, pattern=r"^https?://"),
        Field(description="https, with a public address; in a sandbox also http on this machine"),
    ]
    kinds: Annotated[
        tuple[Pattern, ...],
        Field(max_length=64, description="Types of events, `*` for any part: `payment.*`; none means all of them"),
    ] = ()


class Whose(Model):
    """For operators and auditors: whose endpoints."""

    client: Annotated[Word | None, Field(description="For operators and auditors: whose endpoints")] = None


class Rotation(Model):
    """How the old secret ends."""

    immediately: Annotated[
        bool, Field(description="The old secret stops at once; otherwise it signs beside the new one for 24 hours")
    ] = False


class Page(Model):
    """Which deliveries."""

    state: Annotated[DeliveryState | None, Field(description="`dead`: given up after the last try")] = None
    cursor: Annotated[
        int | None, Field(ge=1, le=LARGEST_NUMBER, description="The `next_cursor` of the page before")
    ] = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


async def add(call: Inbound[NewEndpoint, NoQuery]) -> Answer:
    """Tell the caller from now on."""
    client = call.client
    made = await call.gateway.endpoints.add(client.name, client.actor, call.body.url, call.body.kinds)
    return Answer(_with_secret(made), 201)


async def list_endpoints(call: Inbound[None, Whose]) -> Answer:
    """Endpoints, oldest first."""
    found = await call.gateway.store.endpoints(whose(call, call.query.client))
    return Answer({"endpoints": [_shown(endpoint) for endpoint in found]})


async def read(call: Inbound[None, NoQuery]) -> Answer:
    """One endpoint."""
    return Answer(_shown(await _found(call)))


async def remove(call: Inbound[None, NoQuery]) -> Answer:
    """Tell it nothing any more; answers with what it was."""
    endpoint = await _found(call)
    await call.gateway.endpoints.remove(endpoint, call.client.actor)
    return Answer({**_shown(endpoint), "active": False})


async def rotate(call: Inbound[NoBody, Rotation]) -> Answer:
    """A new secret."""
    endpoint, immediately = await _found(call), call.query.immediately
    made = await call.gateway.endpoints.renew_secret(endpoint, call.client.actor, immediately=immediately)
    return Answer(_with_secret(made))


async def test(call: Inbound[NoBody, NoQuery]) -> Answer:
    """Send a test now, once."""
    sent = await call.gateway.endpoints.test(await _found(call), call.client.actor)
    return Answer(_without_none({"delivered": sent.delivered, "status": sent.status, "detail": sent.detail}))


async def list_deliveries(call: Inbound[None, Page]) -> Answer:
    """Deliveries to one endpoint, newest first."""
    endpoint, asked = await _found(call), call.query
    found = await call.gateway.store.deliveries(
        endpoint.id, state=asked.state, before=asked.cursor, limit=asked.limit + 1
    )
    page: dict[str, Any] = {"deliveries": [_delivery(one) for one in found[: asked.limit]]}
    if len(found) > asked.limit:
        page["next_cursor"] = found[asked.limit - 1].cursor
    return Answer(page)


async def redeliver(call: Inbound[NoBody, NoQuery]) -> Answer:
    """Deliver one event now."""
    endpoint, event = await _found(call), call.path["event"][:LONGEST_ID]
    return Answer(_delivery(await call.gateway.endpoints.redeliver(endpoint, event, call.client.actor)))


async def _found(call: Inbound[Any, Any]) -> Endpoint:
    return await call.gateway.endpoints.find(call.path["id"][:LONGEST_ID], visible_to(call.client))


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "client": endpoint.client,
        "url": endpoint.url,
        "kinds": list(endpoint.kinds),
        "active": endpoint.active,
        "created_at": endpoint.created_at,
    }


def _with_secret(made: WithSecret) -> dict[str, Any]:
    return {**_shown(made.endpoint), "secret": made.secret}


def _delivery(delivery: Delivery) -> dict[str, Any]:
    shown = {
        "event": delivery.event,
        "type": delivery.type,
        "operation": delivery.operation,
        "cursor": delivery.cursor,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.due_at,
        "last_status": delivery.status,
        "last_detail": delivery.detail,
        "updated_at": delivery.at,
    }
    return _without_none(shown)


def _without_none(shown: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in shown.items() if value is not None}


ONE: Final = "/v1/webhook-endpoints/{id}"

ROUTES: Final = (
    Route(
        "POST",
        "/v1/webhook-endpoints",
        "Add an endpoint",
        add,
        TAG,
        {201: EndpointWithSecret},
        body=NewEndpoint,
        problems=("conflict",),
        description="It is told what happens from now on. The secret is shown here and never again.",
    ),
    Route("GET", "/v1/webhook-endpoints", "List endpoints", list_endpoints, TAG, {200: EndpointList}, ALL, query=Whose),
    Route("GET", ONE, "Read an endpoint", read, TAG, {200: EndpointView}, ALL),
    Route(
        "DELETE",
        ONE,
        "Remove an endpoint",
        remove,
        TAG,
        {200: EndpointView},
        description="Its deliveries go with it; the events stay in the feed.",
    ),
    Route(
        "POST",
        f"{ONE}/rotate",
        "Renew the secret",
        rotate,
        TAG,
        {200: EndpointWithSecret},
        body=NoBody,
        query=Rotation,
        problems=("conflict",),
        description="For 24 hours deliveries are signed under the old secret and the new one.",
    ),
    Route(
        "POST",
        f"{ONE}/test",
        "Send a test",
        test,
        TAG,
        {200: TestView},
        PLATFORM_OR_OPERATOR,
        body=NoBody,
        problems=("conflict",),
        description="Sends an event of the type `webhook.test`, once. One that takes it is active from then on.",
    ),
    Route(
        "GET",
        f"{ONE}/deliveries",
        "List deliveries",
        list_deliveries,
        TAG,
        {200: DeliveryPage},
        ALL,
        query=Page,
        description="`state=dead` lists what was given up.",
    ),
    Route(
        "POST",
        f"{ONE}/deliveries/{{event}}/redeliver",
        "Deliver an event again",
        redeliver,
        TAG,
        {200: DeliveryView},
        PLATFORM_OR_OPERATOR,
        body=NoBody,
        problems=("conflict",),
        description="What has ended is pending again, with every try; what is tried later is tried now. An event that "
        "waits for an earlier one of its operation goes on waiting.",
    ),
)
