"""How a case is run: a house for each, made from keys that were made once, and what must hold after every one.

Also the "day": every scenario once in one house, with all that was asked, heard, recorded and logged. Most checks only
look at it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.adapters.adapter import Adapter
from gateway.audit.verify import verify_store
from gateway.sandbox import Simulator
from gateway.sandbox.ledger import digest
from gateway.store.interface import Entry
from gateway.store.operation import Operation
from gateway.testing.conformance.checks import fail
from gateway.testing.conformance.scenario import Reading, Scenario
from gateway.testing.house import House, adapter_house
from gateway.testing.watching import Watched

__all__ = ["Bench", "Day", "Outcome", "entries_of", "name_of_the_act", "nowhere", "run_scenario"]


@dataclass(slots=True)
class Outcome:
    """What became of one scenario on a good day."""

    operation: Operation | None = None
    happened: int | None = None
    failure: Exception | None = None


@dataclass(slots=True)
class Day:
    """Every scenario once."""

    adapter: Adapter[Any]
    keys: Any
    watched: Watched
    secrets: Mapping[str, str]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # what the simulator calls the act of each scenario
    entries: Sequence[Entry] = ()
    logs: str = ""
    database: bytes = b""


@dataclass(frozen=True, slots=True)
class Bench:
    """Which adapter, before which simulator, with what set otherwise. `template` keeps the keys between cases."""

    adapter: type[Adapter[Any]]
    simulator: type[Simulator]
    scenarios: Sequence[Scenario]
    settings: Mapping[str, Any]
    template: Path

    @asynccontextmanager
    async def house(self, directory: Path) -> AsyncIterator[House[Any]]:
        """A fresh house; at its end the invariants are checked."""
        directory.mkdir(parents=True, exist_ok=True)
        if not self.template.exists():
            await asyncio.to_thread(self._onboard)
        shutil.copytree(self.template, directory / "partner")
        before = asyncio.all_tasks()
        async with adapter_house(self.adapter, self.simulator, directory, settings=self.settings) as house:
            notifier = getattr(house.simulator, "notifier", None)
            if notifier is not None:
                notifier.held = True  # callbacks are handed in by the case
            yield house
            await _hold(house)
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() - before if not task.done()]
        if left:
            fail("TASK-01", f"still running: {', '.join(repr(task.get_coro()) for task in left)}")

    def _onboard(self) -> None:
        self.template.mkdir(parents=True)
        self.simulator.onboard(self.template, nowhere(self.simulator))

    def run_day(self, directory: Path) -> Day:
        """Run every scenario once, in a loop of its own."""
        return asyncio.run(self.day(directory))

    async def day(self, directory: Path) -> Day:
        """Run every scenario once. A scenario that fails stops no other."""
        with _logged() as lines:
            async with self.house(directory) as house:
                day = Day(house.adapter, house.connection.keys, house.watched, _secrets(house))
                for scenario in self.scenarios:
                    outcome = day.outcomes[scenario.name] = await _tried(house, scenario)
                    if outcome.operation is not None:
                        day.names[scenario.name] = await name_of_the_act(house, scenario, outcome.operation)
                day.entries = await entries_of(house)
        day.logs = "\n".join(lines)
        day.database = b"".join(path.read_bytes() for path in sorted(directory.glob("lendgate.db*")))
        return day


def nowhere(simulator: type[Simulator]) -> str:
    """An address of its kind at which nobody listens."""
    return f"{'https' if simulator.tls else 'http'}://127.0.0.1:1"


async def _tried(house: House[Any], scenario: Scenario) -> Outcome:
    outcome = Outcome()
    try:
        outcome.operation = await run_scenario(house, scenario)
        if outcome.operation is not None:
            outcome.happened = scenario.happened(house, outcome.operation)
    except Exception as failure:  # noqa: BLE001 - whatever a plugin raises is what its author must see
        outcome.failure = failure
    return outcome


async def run_scenario(house: House[Any], scenario: Scenario) -> Operation | None:
    """One scenario from nothing to its end, and one more question at the end."""
    before = await scenario.before(house)
    if isinstance(scenario, Reading):
        await scenario.read(house, before)
        return None
    operation = await scenario.act(house, before, scenario.body())
    if operation.open:
        await scenario.people(house, operation)
    operation = await house.settle(operation)
    return await house.inquire(operation)


async def entries_of(house: House[Any]) -> list[Entry]:
    """Every record."""
    found: list[Entry] = []
    while page := await house.store.entries(after=found[-1].position if found else 0, limit=500):
        found.extend(page)
    return found


async def name_of_the_act(house: House[Any], scenario: Scenario, operation: Operation) -> str:
    """What the simulator calls the request that has the verb's effect (or its last question), for arming faults."""
    intents = [
        (entry, json.loads(entry.leaf)) for entry in await house.store.chain(operation.id) if entry.kind == "intent"
    ]
    mine = [(entry, leaf) for entry, leaf in intents if leaf["verb"] == scenario.verb]
    acting = [entry for entry, leaf in mine if leaf["effect"]] or [entry for entry, _ in mine]
    names: dict[str | None, str] = {arrival.digest: arrival.operation for arrival in house.simulator.ledger.arrivals}
    for entry in reversed(acting):
        if entry.digest in names:
            return names[entry.digest]
    return f"no request of {scenario.verb} is on record"


async def _hold(house: House[Any]) -> None:
    """The invariants, on the house as it stands."""
    report = await verify_store(house.store, house.sealer.open)
    if not report.passed or report.unanswered:
        said = [finding.detail for finding in report.findings] or [f"unanswered: {report.unanswered}"]
        fail("LOG-01", "; ".join(said))
    twice = {place: count for place, count in house.simulator.ledger.count().items() if count > 1}
    if twice:
        fail("ONCE-01", f"more than once in the ledger: {twice}")
    recorded = {entry.digest for entry in await entries_of(house)}
    seen = {digest("GET", target, b"") for target in house.visited}
    strays = [one for one in house.simulator.ledger.arrivals if one.digest not in recorded | seen | house.elsewhere]
    if strays:
        fail("INTENT-01", f"arrived without a record: {strays[0].method} {strays[0].target} ({strays[0].operation})")


def _secrets(house: House[Any]) -> dict[str, str]:
    """Name to text of everything that the institution gave out and nobody may see."""
    from gateway.testing.house import text_of

    told = house.onboarding
    found = {f"secret {name}": str(text_of(value)) for name, value in told.secrets.items()}
    for name, reference in (("signing key", (told.signing_key or ("", None))[1]), ("TLS key", told.tls.get("key"))):
        if reference is not None:
            lines = str(text_of(reference)).splitlines()
            found[name] = lines[len(lines) // 2]
    return found


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Everything that is logged at any level meanwhile."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    keep, root = Keep(), logging.getLogger()
    level = root.level
    root.addHandler(keep)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(keep)
        root.setLevel(level)
