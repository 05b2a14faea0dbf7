"""What a partner says on its own: genuine, twice, altered, and about another amount."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.model.message import Callback
from gateway.model.problems import NotProven
from gateway.model.states import FINAL, Attention
from gateway.store.operation import Operation
from gateway.testing.conformance.bad_days import altered_bodies, altered_headers
from gateway.testing.conformance.cases import Bench
from gateway.testing.conformance.checks import check, fail
from gateway.testing.conformance.scenario import Scenario
from gateway.testing.house import House

__all__ = ["CallbackCases"]


class CallbackCases:
    """Checks on callbacks; `caller` is a scenario that brings one."""

    @check("CB-01")
    def test_cb_01_a_genuine_callback_is_believed(self, bench: Bench, caller: Scenario, tmp_path: Path) -> None:
        """Without any inquiry."""
        asyncio.run(_genuine(bench, caller, tmp_path))

    @check("CB-02")
    def test_cb_02_the_same_callback_again_changes_nothing(
        self, bench: Bench, caller: Scenario, tmp_path: Path
    ) -> None:
        """It is acknowledged all the same."""
        asyncio.run(_twice(bench, caller, tmp_path))

    @check("CB-03")
    def test_cb_03_an_altered_callback_is_not_believed(self, bench: Bench, caller: Scenario, tmp_path: Path) -> None:
        """Every variant before the scheme, and some through the whole gateway."""
        asyncio.run(_altered(bench, caller, tmp_path))

    @check("CB-04")
    def test_cb_04_another_amount_calls_a_person(self, bench: Bench, caller: Scenario, tmp_path: Path) -> None:
        """Where the simulator can be made to sign one."""
        asyncio.run(_misstated(bench, caller, tmp_path))


async def _called(house: House[Any], scenario: Scenario) -> tuple[Operation, Callback]:
    """An open operation, and the callback that came after people did their part."""
    operation = await scenario.act(house, await scenario.before(house), scenario.body())
    sent = len(scenario.notifier(house).sent)
    await scenario.people(house, operation)
    if len(scenario.notifier(house).sent) == sent:
        fail("CB-01", f"{scenario.name}: people did their part, and the simulator's notifier sent nothing")
    return await house.stands(operation), house.as_callback(scenario.message(house))


async def _genuine(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation, message = await _called(house, scenario)
        answer = await house.tell(message)
        stands = await house.stands(operation)
        if answer.status >= 400:
            fail("CB-01", f"{scenario.name}: it was answered {answer.status} {answer.body[:80]!r}")
        if stands.state not in scenario.ends:
            fail("CB-01", f"{scenario.name}: after it the operation is {stands.state.value}: {stands.reason}")


async def _twice(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation, message = await _called(house, scenario)
        first = await house.tell(message)
        one = await house.stands(operation)
        second = await house.tell(message)
        two = await house.stands(operation)
        if first != second:
            fail("CB-02", f"{scenario.name}: first it was answered {first}, then {second}")
        if (one.state, one.sequence, one.attention) != (two.state, two.sequence, two.attention):
            fail("CB-02", f"{scenario.name}: {one.state.value} became {two.state.value}, or something was told again")


async def _altered(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation, message = await _called(house, scenario)
        scheme, keys = house.adapter.scheme, house.connection.keys
        genuine = scheme.verify_callback(message, keys)
        for what, other in _variants(message):
            try:
                believed = scheme.verify_callback(other, keys) != genuine
            except NotProven:
                continue
            except Exception as failure:  # noqa: BLE001 - whatever a scheme raises is what its author must see
                fail("CB-03", f"{scenario.name}: {what}: the scheme stumbled ({type(failure).__name__}: {failure})")
            if believed:
                fail("CB-03", f"{scenario.name}: {what}: it was believed")
        cut = len(message.body) // 2
        forged = message.body[:cut] + bytes([message.body[cut] ^ 1]) + message.body[cut + 1 :]
        answer = await house.tell(replace(message, body=forged))
        stands = await house.stands(operation)
        if answer.status < 400 or stands.version != operation.version:
            fail("CB-03", f"{scenario.name}: a forged one was answered {answer.status}, and it is {stands.state.value}")


def _variants(message: Callback) -> Iterator[tuple[str, Callback]]:
    for what, body in altered_bodies(message.body):
        yield what, replace(message, body=body)
    for what, headers in altered_headers(message.headers):
        yield what, replace(message, headers=headers)


async def _misstated(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation = await scenario.act(house, await scenario.before(house), scenario.body())
        if not await scenario.misstate(house, operation):
            pytest.skip(f"does not apply: {scenario.name} cannot make its simulator sign another amount")
        await house.tell(scenario.message(house))
        stands = await house.stands(operation)
        if stands.state != operation.state or stands.state in FINAL:
            fail("CB-04", f"{scenario.name}: it became {stands.state.value}")
        if Attention.CONFLICT not in [item.code for item in stands.attention]:
            fail("CB-04", f"{scenario.name}: nobody was told")
