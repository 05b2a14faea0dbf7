"""A process that dies in the middle of an act, and the next one, which knows only what was durable.

The store is copied at the moment at which the act arrives at the partner; a second gateway opens the copy. What the
first one does afterwards the second never learns.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.verify import verify_store
from gateway.store.operation import Operation
from gateway.testing.conformance.bad_days import patience, require_settled
from gateway.testing.conformance.cases import Bench, Day, entries_of
from gateway.testing.conformance.checks import check, fail
from gateway.testing.conformance.scenario import Scenario
from gateway.testing.house import House, adapter_house

__all__ = ["CrashCases"]


class CrashCases:
    """Checks on what a crash leaves behind."""

    @check("CRASH-01")
    def test_crash_01_the_next_process_settles_what_the_last_one_left(
        self, bench: Bench, day: Day, lossy: Scenario, tmp_path: Path
    ) -> None:
        """The request has arrived, and nobody is left to hear the answer."""
        asyncio.run(_crashed(bench, day.names.get(lossy.name, "*"), lossy, tmp_path))


async def _crashed(bench: Bench, name: str, scenario: Scenario, directory: Path) -> None:
    after = directory / "after"
    async with bench.house(directory) as house:
        before = await scenario.before(house)
        with _copied_at(house, name, after):
            operation = await scenario.act(house, before, scenario.body())
        if not after.exists():
            fail("CRASH-01", f"{scenario.name}: no request called {name!r} came, so nothing was tried")
        async with adapter_house(
            bench.adapter, bench.simulator, after, settings=bench.settings, clock=house.clock, running=house.running
        ) as second:
            second.followed.update(house.followed)
            try:
                await _settle(second, scenario, operation)
            except pytest.fail.Exception as failure:
                fail("CRASH-01", str(failure).splitlines()[0])
            house.elsewhere.update(entry.digest for entry in await entries_of(second) if entry.digest)


async def _settle(house: House[Any], scenario: Scenario, operation: Operation) -> None:
    await house.inquirer.recover()
    settled = await house.settle(operation, hours=patience(house, await house.stands(operation)))
    if settled.open and scenario.happened(house, settled):
        await scenario.people(house, settled)
        settled = await house.settle(settled)
    require_settled(house, scenario, settled)
    report = await verify_store(house.store, house.sealer.open)
    if not report.passed:
        fail("LOG-01", "; ".join(finding.detail for finding in report.findings))


@contextmanager
def _copied_at(house: House[Any], name: str, place: Path) -> Iterator[None]:
    """Copy the store once, when the request of that name has arrived and nothing was done about it yet."""
    simulator = house.simulator
    original = simulator.operation

    def operation(request: Any, body: bytes) -> str:
        found: str = original(request, body)
        if found == name and not place.exists():
            place.mkdir()
            for path in house.directory.glob("lendgate.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, place / path.name)
        return found

    simulator.operation = operation
    try:
        yield
    finally:
        simulator.operation = original
