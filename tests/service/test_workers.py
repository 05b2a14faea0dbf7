"""Background work goes on after a mistake of ours, ends with the store, and stops when it is asked to."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.model.problems import StorageError
from gateway.service.workers import Worker, Workers
from gateway.testing.clock import ManualClock


class Asker:
    """Fails with each of `failures` in turn, then works until it is stopped."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.runs = 0
        self.working = asyncio.Event()
        self.stopped = asyncio.Event()

    async def run(self) -> None:
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        self.working.set()
        await self.stopped.wait()

    def worker(self) -> Worker:
        return Worker("asker", self.run, self.stopped.set)


@pytest.fixture
def failures() -> list[StorageError]:
    return []


@pytest.fixture
def workers(failures: list[StorageError]) -> Workers:
    return Workers(ManualClock(), failures.append)


async def test_what_fails_is_started_again_after_a_pause_that_doubles(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    asker = Asker(*(RuntimeError("a mistake") for _ in range(10)))
    began = workers.clock.monotonic()

    workers.start(asker.worker())
    await asker.working.wait()

    assert workers.restarts == {"asker": 10}
    assert workers.clock.monotonic() - began == 0.5 + 1 + 2 + 4 + 8 + 16 + 32 + 3 * 60
    assert "a mistake" in caplog.text
    await workers.stop(1)


async def test_a_failing_store_ends_it_and_is_told(workers: Workers, failures: list[StorageError]) -> None:
    full = StorageError("the disk is full")
    asker = Asker(full)

    workers.start(asker.worker())
    await asyncio.sleep(0)
    await workers.stop(1)

    assert asker.runs == 1
    assert failures == [full]


async def test_a_stop_lets_work_end_by_itself(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    asker = Asker()
    workers.start(asker.worker())
    await asker.working.wait()

    await workers.stop(10)

    assert caplog.messages == []


async def test_what_does_not_end_in_time_is_cancelled(workers: Workers, caplog: pytest.LogCaptureFixture) -> None:
    asker = Asker()
    workers.start(Worker("deaf", asker.run, lambda: None))
    await asker.working.wait()

    with caplog.at_level(logging.WARNING):
        await workers.stop(0)

    assert "deaf did not end" in caplog.text


async def test_a_stop_does_not_wait_for_a_pause_to_end(failures: list[StorageError]) -> None:
    class EndlessPause(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await asyncio.Event().wait()

    asker = Asker(RuntimeError("a mistake"))
    workers = Workers(EndlessPause(), failures.append)
    workers.start(asker.worker())
    await asyncio.sleep(0)

    await workers.stop(3600)

    assert asker.runs == 1
