"""Erasure and legal hold: an operator makes what is known about a person unreadable, or keeps it from being made so."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from gateway.api.handler import Answer, Inbound, Route
from gateway.api.problems import refused
from gateway.api.query import NoQuery
from gateway.api.resources.operations import Word
from gateway.model.parties import Subject
from gateway.model.schema import Line, Model
from gateway.operations.erasing import Erasing, Person

__all__ = ["ROUTES"]

TAG: Final = "Audit"
OPERATOR: Final = frozenset({"operator"})


class About(Model):
    """Whom it is about, and why. The reason is kept for ever: name no customer in it."""

    client: Annotated[Word, Field(description="The platform that knows the person", examples=["shop"])]
    subject: Annotated[Subject, Field(description="The platform's id for the person, or an operation that names none")]
    reason: Annotated[Line, StringConstraints(min_length=3), Field(examples=["Request E-17, contract ended 2026-02"])]


class ErasedView(Model):
    """What was erased. `left` values were written before there were keys, and can still be read."""

    record: Annotated[str, Field(description="The record of the act")]
    operations: int
    keys: int
    left: int


class HoldView(Model):
    """The record of the act."""

    record: str


def _erasing(call: Inbound[About, NoQuery]) -> Erasing:
    if call.gateway.erasing is None:
        raise refused("not_found", "this gateway keeps no keys that can be destroyed")
    return call.gateway.erasing


async def erase(call: Inbound[About, NoQuery]) -> Answer:
    """Destroy the keys of everything about a person. The actor is the authenticated key."""
    word = call.body
    done = await _erasing(call).erase(Person(word.client, word.subject), word.reason, call.client.actor)
    shown = ErasedView(record=done.record, operations=done.operations, keys=done.keys, left=done.left)
    return Answer(shown.model_dump())


async def hold(call: Inbound[About, NoQuery]) -> Answer:
    """Put a person's data under legal hold."""
    word = call.body
    record = await _erasing(call).hold(Person(word.client, word.subject), word.reason, call.client.actor)
    return Answer({"record": record})


async def release(call: Inbound[About, NoQuery]) -> Answer:
    """End a legal hold."""
    word = call.body
    record = await _erasing(call).release(Person(word.client, word.subject), word.reason, call.client.actor)
    return Answer({"record": record})


ROUTES: Final = (
    Route(
        "POST",
        "/v1/audit/erasures",
        "Erase a person",
        erase,
        TAG,
        {200: ErasedView},
        OPERATOR,
        body=About,
        problems=("not_found", "legal_hold", "operations_open"),
        description="For ever: what was sent, received and known about the person can be read by nobody any more. "
        "States, amounts and the log stay, and the log still verifies. Recorded with the key that did it and the "
        "reason.",
    ),
    Route(
        "POST",
        "/v1/audit/holds",
        "Put a person under legal hold",
        hold,
        TAG,
        {200: HoldView},
        OPERATOR,
        body=About,
        problems=("not_found",),
        description="Nothing about the person is erased until the hold is released.",
    ),
    Route(
        "POST",
        "/v1/audit/holds/release",
        "Release a legal hold",
        release,
        TAG,
        {200: HoldView},
        OPERATOR,
        body=About,
        problems=("not_found", "no_legal_hold"),
        description="Recorded with the key that did it and the reason.",
    ),
)
