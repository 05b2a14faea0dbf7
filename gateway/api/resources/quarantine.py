"""Quarantine: what the gateway does not trust its store about, and the operator's word that ends it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from gateway.api.auth import READERS
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.query import NoQuery
from gateway.api.resources.operations import Word
from gateway.model.schema import Instant, Line, Model

__all__ = ["ROUTES"]

TAG: Final = "Quarantine"


class Clearing(Model):
    """Why it is safe to send again, and where: for one connection, or for all. The reason is kept for ever."""

    reason: Annotated[Line, StringConstraints(min_length=1), Field(examples=["Compared with the statement of 2 March"])]
    connection: Word | None = None


class QuarantineView(Model):
    """Why the store is not trusted, and what may be lost."""

    id: str
    began_at: Instant
    cause: str
    record: Annotated[int, Field(description="The last record that the store held when it was put back")]
    mark: Annotated[int | None, Field(description="The last record that was known outside")] = None
    lost_since: Annotated[Instant | None, Field(description="Nothing older is lost; not there: nobody knows")] = None


class HeldConnection(Model):
    """A connection in quarantine. `found` and `refused` count new acts in this process."""

    connection: str
    quarantines: list[QuarantineView]
    found: int
    refused: int


class Standing(Model):
    """Every connection that is in quarantine now."""

    connections: list[HeldConnection]


class Cleared(Model):
    """The connections that are trusted again."""

    cleared: list[str]


async def show(call: Inbound[None, NoQuery]) -> Answer:
    """What is in quarantine, and why."""
    quarantine = call.gateway.quarantine
    await quarantine.refresh()
    held = [
        HeldConnection(
            connection=name,
            quarantines=[
                QuarantineView(
                    id=one.id,
                    began_at=one.began_at,
                    cause=one.cause,
                    record=one.number,
                    mark=one.mark,
                    lost_since=one.lost_since,
                )
                for one in found
            ],
            found=quarantine.found.get(name, 0),
            refused=quarantine.refused.get(name, 0),
        )
        for name, found in quarantine.standing().items()
    ]
    return Answer(Standing(connections=held).model_dump(mode="json", exclude_none=True))


async def clear(call: Inbound[Clearing, NoQuery]) -> Answer:
    """End it. The actor is the authenticated key."""
    word = call.body
    cleared = await call.gateway.quarantine.clear(word.connection, word.reason, call.client.actor)
    return Answer({"cleared": cleared})


ROUTES: Final = (
    Route(
        "GET",
        "/v1/quarantine",
        "Read what is in quarantine",
        show,
        TAG,
        {200: Standing},
        READERS,
        description="After the store was put back, new acts are inquired before they are sent, until somebody clears.",
    ),
    Route(
        "POST",
        "/v1/quarantine/clear",
        "Clear a quarantine",
        clear,
        TAG,
        {200: Cleared},
        frozenset({"operator"}),
        body=Clearing,
        problems=("no_quarantine",),
        description="For one connection or for all. Recorded with the key that did it and the reason.",
    ),
)
