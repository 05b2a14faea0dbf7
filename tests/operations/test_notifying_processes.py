"""Several processes notify from one database: nobody is told twice, and what happened is told in order."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from datetime import timedelta

from gateway.store.postgres import PostgresStore
from gateway.testing.clock import ManualClock
from tests.operations.lending_platform import Got, listening, notifying
from tests.store.conftest import dsn, postgres_server  # noqa: F401 - pytest finds fixtures by their names here

PROCESSES, OPERATIONS, EVENTS = 3, 10, 6


async def test_processes_share_the_work_and_keep_the_order(dsn: str) -> None:  # noqa: F811 - the fixture above
    clock = ManualClock()
    offices = [notifying(await PostgresStore.open(dsn, clock), clock) for _ in range(PROCESSES)]
    tried: Counter[str] = Counter()
    taken: dict[str, list[str]] = defaultdict(list)

    def refuse_each_fourth_once(got: Got) -> int:
        tried[got.id] += 1
        if got.event["cursor"] % 4 == 0 and tried[got.id] == 1:
            return 503
        taken[got.event["data"]["id"]].append(got.id)
        return 200

    async with listening(refuse_each_fourth_once) as platform:
        endpoint = (await offices[0].add(platform.url)).endpoint
        operations = [await offices[0].operation() for _ in range(OPERATIONS)]
        happened: dict[str, list[str]] = defaultdict(list)
        for number in range(EVENTS):
            for one in operations:
                happened[one.id] += await offices[number % PROCESSES].happens(one)
        for _ in range(3 * EVENTS):
            await asyncio.gather(*(office.notifier.round() for office in offices))
            clock.advance(timedelta(seconds=11))

    assert taken == happened
    assert set(tried.values()) == {1, 2}
    assert await offices[0].store.deliveries(endpoint.id, state="pending") == []
    for office in offices:
        await office.receivers.close()
        await office.store.close()
