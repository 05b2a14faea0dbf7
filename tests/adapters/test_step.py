"""A verb may await the wire and nothing else; the driver needs no event loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.adapters import step
from gateway.model.message import Asked, Reply, Request, Wire
from gateway.model.problems import AdapterError, OutcomeUnknown

REPLY = Reply(200, (), b"{}", datetime(2026, 1, 1, tzinfo=UTC))


def by_hand(verb: Any, replies: list[Reply | Exception]) -> Any:
    """Run a verb to its end without an event loop."""
    waiting = list(replies)
    asked: list[Asked] = []

    async def send(one: Asked) -> Reply:
        asked.append(one)
        reply = waiting.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply

    driver = step.run(verb, send)
    try:
        driver.send(None)
    except StopIteration as done:
        return done.value, asked
    raise AssertionError("the driver waited for an event loop")


async def two_questions(wire: Wire) -> int:
    first = await wire.ask(Request.get("http://bank/a"))
    second = await wire.act(Request.post("http://bank/b", b"x"))
    return first.status + second.status


def test_a_verb_with_several_requests_runs_without_an_event_loop() -> None:
    answer, asked = by_hand(two_questions(Wire()), [REPLY, REPLY])

    assert answer == 400
    assert [(one.request.method, one.effect) for one in asked] == [("GET", False), ("POST", True)]


def test_what_the_wire_raises_arrives_in_the_verb() -> None:
    async def careful(wire: Wire) -> str:
        try:
            await wire.act(Request.post("http://bank/b", b"x"))
        except OutcomeUnknown:
            return "caught"
        return "not reached"

    assert by_hand(careful(Wire()), [OutcomeUnknown("lost")])[0] == "caught"


@pytest.mark.parametrize("foreign", [lambda: asyncio.sleep(0), lambda: asyncio.sleep(0.01)])
async def test_a_foreign_await_is_caught_at_once(foreign: Any) -> None:
    async def impatient(wire: Wire) -> None:
        await foreign()

    with pytest.raises(AdapterError, match="nothing else"):
        await step.run(impatient(Wire()), _never)


def test_what_a_verb_raises_passes_through() -> None:
    async def broken(wire: Wire) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        by_hand(broken(Wire()), [])


async def _never(asked: Asked) -> Reply:
    raise AssertionError("nothing was asked")
