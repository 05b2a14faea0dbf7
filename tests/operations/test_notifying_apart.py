"""One crash, worker or endpoint that goes wrong costs no event, and hurts no other endpoint."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.audit.verify import verify_store
from gateway.model.problems import StorageError
from gateway.store.webhooks import EndpointChanged
from gateway.testing.clock import ManualClock
from tests.house import until
from tests.operations.lending_platform import Got, Office, Platform, listening, notifying, office

NOW, SOON, DAY = timedelta(0), timedelta(seconds=5), timedelta(hours=24)


async def test_a_crash_between_delivery_and_its_mark_sends_again_under_the_same_id(
    tmp_path: Path, platform: Platform
) -> None:
    clock = ManualClock()
    async with office(tmp_path, clock) as before:
        endpoint = (await before.add(platform.url)).endpoint
        (event,) = await before.happens(await before.operation())

        async def take_it_and_pull_the_plug(got: Got) -> int:
            await before.store.close()
            return 200

        platform.answer = take_it_and_pull_the_plug
        with pytest.raises(StorageError):
            await before.notifier.round()
    platform.answer = lambda got: 200

    async with office(tmp_path, clock) as after:
        await after.notifier.round()

        assert platform.ids == [event, event]
        assert (await after.delivery(endpoint, event)).state == "delivered"
        report = await verify_store(after.store)
        assert (report.findings, len(report.unanswered)) == ([], 1)


async def test_two_workers_never_send_the_same_at_once(lender: Office, platform: Platform) -> None:
    other = notifying(lender.store, lender.clock)
    await lender.add(platform.url)
    events = [(await lender.happens(await lender.operation()))[0] for _ in range(40)]

    await asyncio.gather(lender.notifier.round(), other.notifier.round())

    assert sorted(platform.ids) == sorted(events)
    await other.receivers.close()


async def test_a_worker_that_lost_its_lease_sends_nothing(lender: Office, platform: Platform) -> None:
    endpoint = (await lender.add(platform.url)).endpoint
    (event,) = await lender.happens(await lender.operation())
    await lender.notifier._begin()
    for lane in lender.notifier._lanes.values():
        lane.cancel()
    now = lender.clock.now()
    (slow,) = await lender.store.lease_deliveries(endpoint.id, now, now + SOON, 1)
    (quick,) = await lender.store.lease_deliveries(endpoint.id, now + SOON, now + DAY, 1)

    await lender.notifier._deliver(slow)
    assert platform.got == []
    await lender.notifier._deliver(quick)

    assert platform.ids == [event]
    assert (await lender.delivery(endpoint, event)).attempts == 1


async def test_an_endpoint_that_hangs_holds_up_nobody_else(lender: Office, platform: Platform) -> None:
    release = asyncio.Event()

    async def hang(got: Got) -> int:
        await release.wait()
        return 200

    async with listening(hang) as slow:
        await lender.add(slow.url)
        await lender.add(platform.url)
        working = asyncio.create_task(lender.notifier.run())
        operations = [await lender.operation() for _ in range(20)]

        for operation in operations:
            await lender.happens(operation, "payment.processing", "payment.succeeded")
        await until(lambda: len(platform.got) == 40)

        assert len(slow.got) == 8
        release.set()
        lender.notifier.stop()
        await asyncio.wait_for(working, 10)


async def test_an_endpoint_that_does_not_answer_in_time_is_tried_again(tmp_path: Path) -> None:
    async def hang(got: Got) -> int:
        await asyncio.sleep(60)
        return 200

    async with listening(hang) as slow, office(tmp_path, seconds=0.2) as lender:
        endpoint = (await lender.add(slow.url)).endpoint
        (event,) = await lender.happens(await lender.operation())

        await lender.notifier.round()

        delivery = await lender.delivery(endpoint, event)
        assert (delivery.state, delivery.attempts, delivery.status) == ("pending", 1, None)


async def test_the_worker_is_woken_by_what_happens_and_stops_when_told(lender: Office, platform: Platform) -> None:
    await lender.add(platform.url)
    working = asyncio.create_task(lender.notifier.run())
    operation = await lender.operation()
    (event,) = await lender.happens(operation)
    lender.notifier.tell(operation, ("succeeded",))

    await until(lambda: platform.ids == [event])
    lender.notifier.stop()
    await asyncio.wait_for(working, 10)

    assert working.exception() is None


async def test_a_mistake_with_one_endpoint_hurts_no_other(
    lender: Office, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    broken = (await lender.add("http://127.0.0.1:9/hook")).endpoint
    await lender.store.commit([EndpointChanged(replace(broken, secrets=b"not sealed by us", version=2))])
    await lender.add(platform.url)
    (event,) = await lender.happens(await lender.operation())

    await lender.notifier.round()

    assert platform.ids == [event]
    assert (await lender.delivery(broken, event)).attempts == 1
    assert "127.0.0.1:9" not in caplog.text
