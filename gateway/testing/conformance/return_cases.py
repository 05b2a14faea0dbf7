"""What a browser brings back from a partner's page: genuine, twice, and altered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.model.message import Handoff, Returned
from gateway.model.problems import NotProven, NotUnderstood
from gateway.model.states import State
from gateway.store.operation import Operation
from gateway.testing.conformance.cases import Bench
from gateway.testing.conformance.checks import check, fail
from gateway.testing.conformance.scenario import Scenario
from gateway.testing.house import House

__all__ = ["ReturnCases"]


class ReturnCases:
    """Checks on returns; `returning` is a scenario that sends a person to a page."""

    @check("RETURN-01")
    def test_return_01_an_altered_return_is_not_believed(
        self, bench: Bench, returning: Scenario, tmp_path: Path
    ) -> None:
        """Each parameter altered or left out, before the scheme."""
        asyncio.run(_altered(bench, returning, tmp_path))

    @check("RETURN-02")
    def test_return_02_coming_back_twice_moves_on_once(self, bench: Bench, returning: Scenario, tmp_path: Path) -> None:
        """Two windows at once, and once more afterwards."""
        asyncio.run(_twice(bench, returning, tmp_path))


async def _sent_back(house: House[Any], scenario: Scenario) -> tuple[Operation, str]:
    operation = await scenario.act(house, await scenario.before(house), scenario.body())
    location = await scenario.location(house, operation)
    if location is None or operation.state is not State.REQUIRES_ACTION:
        fail("RETURN-01", f"{scenario.name}: it is {operation.state.value}, and the browser is sent to {location}")
    return operation, location


async def _altered(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation, location = await _sent_back(house, scenario)
        scheme, keys, handoff = house.adapter.scheme, house.connection.keys, Handoff(**(operation.handoff or {}))
        returned = house.returned(location)
        try:
            genuine = scheme.verify_return(returned, handoff, keys)
        except NotProven:
            return  # nothing that comes back is ever used: it only has the partner asked
        for what, other in _variants(returned):
            try:
                believed = scheme.verify_return(other, handoff, keys)
            except (NotProven, NotUnderstood):
                continue
            if believed.parameters != genuine.parameters:
                fail("RETURN-01", f"{scenario.name}: {what}, and it was believed")


def _variants(returned: Returned) -> Iterator[tuple[str, Returned]]:
    told = dict(returned.parameters)
    for name, value in told.items():
        if name == "state":
            continue  # by it the operation is found: another one finds none
        yield f"without {name}", replace(returned, parameters={k: v for k, v in told.items() if k != name})
        if value:
            middle = len(value) // 2
            for place in {0, middle, len(value) - 1}:
                other = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
                yield f"{name} altered at {place}", replace(returned, parameters={**told, name: other})


async def _twice(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        operation, location = await _sent_back(house, scenario)
        windows = await asyncio.gather(house.come_back(location), house.come_back(location))
        first = await house.stands(operation)
        third = await house.come_back(location)
        if {window.id for window in windows} != {operation.id} or third.id != operation.id:
            fail("RETURN-02", f"{scenario.name}: a window was sent to another operation")
        stepped = [ran for ran in house.watched.runs if ran.name.startswith("continue_")]
        if len(stepped) > 1:
            fail("RETURN-02", f"{scenario.name}: {len(stepped)} windows went on, and only one may")
        if first.state is State.REQUIRES_ACTION:
            fail("RETURN-02", f"{scenario.name}: the person came back, and it still waits for one")
