"""Bad days: lost, cut, altered and invented answers, and what may be seen afterwards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel

from gateway.adapters.adapter import Adapter
from gateway.model.message import Headers, Reply
from gateway.model.problems import NotProven, Refused
from gateway.model.schema import PERSONAL, marked
from gateway.model.states import State
from gateway.model.terms import Proof
from gateway.sandbox import Point
from gateway.store.operation import Operation
from gateway.testing.conformance.cases import Bench, Day
from gateway.testing.conformance.checks import check, fail
from gateway.testing.conformance.scenario import Scenario
from gateway.testing.house import House

__all__ = ["LOST", "BadDays", "altered_bodies", "altered_headers", "patience", "require_settled"]

LOST: Final = tuple(point for point in Point if point not in (Point.DELAY_BEFORE, Point.DELAY_AFTER))
"""Delays are left out: time belongs to the test here, so an answer is either there or lost."""

PLACES: Final = 40
"""How many bytes of a message are altered, one by one."""

ALWAYS: Final = 1000


class BadDays:
    """Checks on what goes wrong."""

    adapter: type[Adapter[Any]]

    @check("DOUBT-01", "DOUBT-02")
    def test_doubt_01_a_lost_answer_moves_nothing_twice(
        self, bench: Bench, day: Day, lossy: Scenario, tmp_path: Path
    ) -> None:
        """At every fault point: lost once; then for as long as anybody asks, until the partner can be heard again."""
        asyncio.run(_lost(bench, day.names.get(lossy.name, "*"), lossy, tmp_path))

    @check("ASK-01")
    def test_ask_01_an_inquiry_without_an_answer_says_nothing(
        self, bench: Bench, day: Day, lossy: Scenario, tmp_path: Path
    ) -> None:
        """At every fault point, about an act that is in doubt."""
        asyncio.run(_asked(bench, day.names.get(lossy.name, "*"), lossy, tmp_path))

    @check("PROOF-01")
    def test_proof_01_an_altered_reply_is_not_believed(self, day: Day) -> None:
        """Every kind of reply of the day, altered in many places; pure, so it takes no time."""
        if all(terms.proof is Proof.CHANNEL for terms in self.adapter.terms.values()):
            pytest.skip("does not apply: this partner signs nothing, its TLS channel is the proof")
        seen: set[tuple[str, int]] = set()
        for one in day.watched.replies:
            kind = (one.request.method, len(one.reply.body) // 64)
            if kind in seen:
                continue
            seen.add(kind)
            for what, reply in _altered(one.reply):
                try:
                    proven = day.adapter.scheme.verify(reply, one.request, day.keys)
                except NotProven:
                    continue
                except Exception as failure:  # noqa: BLE001 - whatever a scheme raises is what its author must see
                    fail("PROOF-01", f"{what}: the scheme stumbled ({type(failure).__name__}: {failure})")
                if proven != one.proven:
                    fail("PROOF-01", f"{what}: it was believed, and says {proven[:80]!r}")

    @check("SECRET-01")
    def test_secret_01_no_secret_stands_in_clear(self, day: Day) -> None:
        """In records, logs and the store's files."""
        places = {"a record": b"\n".join(e.leaf for e in day.entries), "a log": day.logs.encode()}
        for name, secret in {**day.secrets, **dict(_tokens(day))}.items():
            for place, text in {**places, "the store": day.database}.items():
                if len(secret) >= 8 and secret.encode() in text:
                    fail("SECRET-01", f"{name} stands in {place}")

    @check("SECRET-02")
    def test_secret_02_no_personal_value_stands_in_clear(self, day: Day) -> None:
        """What the models mark as personal."""
        leaves, logs = b"\n".join(e.leaf for e in day.entries).decode(), day.logs
        for ran in day.watched.runs:
            for path, value in _personal(ran.question):
                for place, text in (("a record", leaves), ("a log", logs)):
                    if value in text:
                        fail("SECRET-02", f"{ran.name}: {path} stands in {place}")


# Lost answers


def _points(adapter: type[Adapter[Any]], scenario: Scenario) -> tuple[Point, ...]:
    """Where only the channel proves, nobody can alter a reply on its way unseen."""
    channel = adapter.terms[scenario.verb].proof is Proof.CHANNEL
    return tuple(point for point in LOST if point is not Point.TAMPER or not channel)


async def _lost(bench: Bench, name: str, scenario: Scenario, directory: Path) -> None:
    """One house for all points, because opening one takes longer than a case; every point is tried before it fails."""
    wrong: list[str] = []
    async with bench.house(directory) as house:
        for point in _points(bench.adapter, scenario):
            try:
                await _lost_at(house, name, scenario, point)
            except pytest.fail.Exception as failure:
                wrong.append(f"{failure} ({point.value})")
    if wrong:
        pytest.fail("\n".join(wrong))


async def _lost_at(house: House[Any], name: str, scenario: Scenario, point: Point) -> None:
    once = await _acted(house, scenario, name, point, times=1)
    if once is not None:
        _honest(house, scenario, once)
        _honest(house, scenario, await house.settle(once))
    doubtful = await _acted(house, scenario, name, point, times=ALWAYS)
    if doubtful is None:
        return
    _honest(house, scenario, doubtful)
    settled = await house.settle(doubtful, hours=patience(house, doubtful))
    if settled.open and scenario.happened(house, settled):
        await scenario.people(house, settled)
        settled = await house.settle(settled)
    require_settled(house, scenario, settled)


async def _acted(house: House[Any], scenario: Scenario, name: str, point: Point, *, times: int) -> Operation | None:
    """The act under a fault; None where the gateway refused it, and then nothing may have happened."""
    before = await scenario.before(house)
    effects = len(house.simulator.ledger.effects)
    house.simulator.faults.arm(point, name, times=times)
    operation = None
    try:
        operation = await scenario.act(house, before, scenario.body())
    except Refused as refusal:
        if len(house.simulator.ledger.effects) != effects:
            fail("DOUBT-01", f"{scenario.name}: the call was refused ({refusal}), and yet it happened")
    (fault,) = house.simulator.faults.armed
    house.simulator.faults.clear()
    if fault.times == times:
        fail("DOUBT-01", f"{scenario.name}: no request called {name!r} came, so nothing was tried")
    return operation


def patience(house: House[Any], operation: Operation) -> float:
    """Hours after which even an act that never arrived is known to be none."""
    terms = house.door.terms(operation)
    return terms.settle_window.total_seconds() / 3600 * 2 + 1


def _honest(house: House[Any], scenario: Scenario, operation: Operation) -> None:
    happened = scenario.happened(house, operation)
    if happened and operation.state in (State.FAILED, State.CANCELLED):
        fail("DOUBT-01", f"{scenario.name}: it happened, and is shown as {operation.state.value}: {operation.reason}")
    if happened == 0 and operation.state is State.SUCCEEDED:
        fail("DOUBT-01", f"{scenario.name}: it never happened, and is shown as succeeded")


def require_settled(house: House[Any], scenario: Scenario, operation: Operation) -> None:
    """What happened is shown at last; what did not is not shown as if; and no doubt is left to nobody."""
    _honest(house, scenario, operation)
    happened = scenario.happened(house, operation)
    if happened and operation.state not in scenario.ends:
        fail("DOUBT-02", f"{scenario.name}: it happened, and after all questions it is {operation.state.value}")
    if operation.open and operation.next_inquiry_at is None and not operation.attention:
        fail("DOUBT-02", f"{scenario.name}: it is {operation.state.value}, and nobody will ask or be told")


async def _asked(bench: Bench, name: str, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        doubtful = await _acted(house, scenario, name, Point.CLOSE_AFTER, times=ALWAYS)
        if doubtful is None or not doubtful.open:
            pytest.skip("does not apply: a lost answer leaves no doubt, the verb finds out by itself")
        for point in _points(type(house.adapter), scenario):
            house.simulator.faults.arm(point, "*", times=ALWAYS)
            asked = await house.inquire(doubtful)
            house.simulator.faults.clear()
            if not asked.open:
                fail("ASK-01", f"{scenario.name}: after {point.value} on the inquiry it was {asked.state.value}")


# Altered messages


def altered_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """The body with one byte altered, at many places; cut; emptied; and something else altogether."""
    for place in sorted({len(body) * step // PLACES for step in range(PLACES)} if body else ()):
        yield f"byte {place} altered", body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
    yield "cut in the middle", body[: len(body) // 2]
    yield "emptied", b""
    yield "an HTML page", b"<html><h1>502 Bad Gateway</h1></html>"
    yield "an empty object", b"{}"


def altered_headers(headers: Headers) -> Iterator[tuple[str, Headers]]:
    """No headers at all; and each altered or left out."""
    yield "no headers", ()
    for place, (name, value) in enumerate(headers):
        yield f"without {name}", (*headers[:place], *headers[place + 1 :])
        if value:
            other = chr(ord(value[0]) ^ 1) + value[1:]
            yield f"{name} altered", (*headers[:place], (name, other), *headers[place + 1 :])


def _altered(reply: Reply) -> Iterator[tuple[str, Reply]]:
    for what, body in altered_bodies(reply.body):
        yield what, replace(reply, body=body)
    for what, headers in altered_headers(reply.headers):
        yield what, replace(reply, headers=headers)


# What nobody may see


def _tokens(day: Day) -> Iterator[tuple[str, str]]:
    """Tokens as they were placed, before the requests were signed."""
    for request in day.watched.requests:
        bearer = request.header("Authorization") or ""
        if bearer.startswith("Bearer ") and "__" not in bearer:
            yield "a bearer token", bearer.removeprefix("Bearer ")
        found = re.search(r"[?&]access_token=([^&]+)", request.url)
        if found and "__" not in found[1]:
            yield "an access token", found[1]


def _personal(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and text of every personal value inside a question that is long enough to be told apart."""
    if isinstance(value, BaseModel):
        names = marked(type(value), PERSONAL)
        for name in type(value).model_fields:
            inner, way = getattr(value, name, None), f"{path}.{name}".lstrip(".")
            if name in names and isinstance(inner, str) and (len(inner) >= 6 or not inner.isascii()):
                yield way, inner
            else:
                yield from _personal(inner, way)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _personal(inner, path)
