"""Events: what happened, by cursor, so that a missed webhook is never a lost payment."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from pydantic import Field

from gateway.api.auth import ALL
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.problems import wrong_parameter
from gateway.api.query import LARGEST_NUMBER
from gateway.api.resources.operations import Word, whose
from gateway.api.shapes import EventPage
from gateway.model.schema import Model
from gateway.operations.view import announced
from gateway.store.interface import EventRow

__all__ = ["LONGEST_POLL_SECONDS", "ROUTES"]

TAG: Final = "Events"

LONGEST_POLL_SECONDS: Final = 30.0

LOOK_AGAIN_SECONDS: Final = 1.0
"""Another process may have written an event, and nobody here is told."""


class After(Model):
    """From where on, and of which operation."""

    after: Annotated[
        int, Field(ge=0, le=LARGEST_NUMBER, description="The cursor of the last event that was read; 0: from the start")
    ] = 0
    operation: Word | None = None
    client: Annotated[Word | None, Field(description="For operators and auditors: whose events; they must say")] = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


async def read_events(call: Inbound[None, After]) -> Answer:
    """Events behind a cursor. With `Prefer: wait=N` an empty page waits for the first of them."""
    client = whose(call, call.query.client)
    if client is None:
        raise wrong_parameter("client", "is needed: whose events?")
    rows = await _rows(call, client, min(call.wait or 0.0, LONGEST_POLL_SECONDS))
    last = rows[-1].cursor if rows else call.query.after
    return Answer({"events": [_shown(row) for row in rows], "next_after": last})


async def _rows(call: Inbound[None, After], client: str, patience: float) -> list[EventRow]:
    news, asked = call.context.news, call.query
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    while True:
        told = news.listen(client)
        rows = await call.gateway.store.events(client, after=asked.after, operation=asked.operation, limit=asked.limit)
        left = until - clock()
        if rows or left <= 0 or news.closing:
            return rows
        try:
            await asyncio.wait_for(told.wait(), min(left, LOOK_AGAIN_SECONDS))
        except TimeoutError:
            continue


def _shown(row: EventRow) -> dict[str, Any]:
    return announced(row.cursor, row.id, row.document)


ROUTES: Final = (
    Route(
        "GET",
        "/v1/events",
        "Read events behind a cursor",
        read_events,
        TAG,
        {200: EventPage},
        ALL,
        query=After,
        waits=True,
        description="Each event carries the operation as it stood then. `Prefer: wait=N` (at most 30) long-polls.",
    ),
)
