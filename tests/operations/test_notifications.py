"""Platforms are told what happened: signed, in order, until they take it or it is given up, and never in secret."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from gateway.audit.verify import verify_store
from gateway.model.problems import StorageError
from gateway.operations.notifications import SCHEDULE, Notifier, wants
from gateway.store.webhooks import EndpointChanged
from gateway.testing.clock import ManualClock
from tests.house import until
from tests.operations.lending_platform import Got, Office, Platform, listening, notifying, office

NOW, SOON, DAY = timedelta(0), timedelta(seconds=5), timedelta(hours=24)


@pytest.fixture
async def lender(tmp_path: Path) -> AsyncIterator[Office]:
    async with office(tmp_path) as opened:
        yield opened


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as opened:
        yield opened


# What is sent


async def test_an_event_arrives_signed_as_standard_webhooks_says(lender: Office, platform: Platform) -> None:
    added = await lender.add(platform.url)
    (event,) = await lender.happens(await lender.operation())

    await lender.notifier.round()

    (got,) = platform.got
    assert got.id == event
    assert got.headers["webhook-timestamp"] == str(int(lender.clock.now().timestamp()))
    assert got.headers["content-type"] == "application/json"
    assert got.signed_by(added.secret)
    assert not replace(got, body=got.body + b" ").signed_by(added.secret)


async def test_it_is_the_same_object_as_in_the_feed(lender: Office, platform: Platform) -> None:
    await lender.add(platform.url)
    operation = await lender.operation()
    (event,) = await lender.happens(operation)

    await lender.notifier.round()

    (row,) = await lender.store.events("shop")
    assert platform.got[0].event == {"cursor": row.cursor, "id": event, **json.loads(row.document)}


async def test_an_endpoint_gets_only_what_it_asked_for_and_only_from_then_on(
    lender: Office, platform: Platform
) -> None:
    operation = await lender.operation()
    await lender.happens(operation, "payment.succeeded")
    await lender.add(platform.url, "payment.succeeded", "*.attention")

    await lender.happens(operation, "payment.failed", "payment.succeeded", "partner.drift", "payment.attention")
    await lender.notifier.round()

    assert [got.event["type"] for got in platform.got] == ["payment.succeeded", "payment.attention"]


@pytest.mark.parametrize(
    ("kinds", "type_", "wanted"),
    [
        ((), "payment.failed", True),
        (("payment.*",), "payment.failed", True),
        (("payment.*",), "payment_x.failed", False),
        (("*.failed",), "refund.failed", True),
        (("refund.failed",), "payment.failed", False),
    ],
)
def test_a_pattern_wants_what_it_says(kinds: tuple[str, ...], type_: str, wanted: bool) -> None:
    assert wants(kinds, type_) is wanted


async def test_a_client_is_told_nothing_about_another(lender: Office, platform: Platform) -> None:
    async with listening() as elsewhere:
        await lender.add(platform.url)
        await lender.add(elsewhere.url, client="other")
        (own,) = await lender.happens(await lender.operation())
        (theirs,) = await lender.happens(await lender.operation(client="other"))

        await lender.notifier.round()

    assert (platform.ids, elsewhere.ids) == ([own], [theirs])


async def test_the_operations_records_show_what_left_and_what_came_back(lender: Office, platform: Platform) -> None:
    await lender.add(platform.url)
    operation = await lender.operation()
    await lender.happens(operation)

    await lender.notifier.round()

    intent, outcome = await lender.records(operation.id)
    assert (intent["kind"], intent["connection"], intent["verb"]) == ("intent", "webhooks", "deliver_event")
    assert (intent["url"], intent["scheme"]) == (platform.url, "standard-webhooks")
    assert (outcome["intent"], outcome["observed"], outcome["status"]) == (intent["id"], "genuine", 200)
    assert (await verify_store(lender.store)).findings == []


# Order


async def test_events_of_one_operation_arrive_in_order(lender: Office, platform: Platform) -> None:
    refusing = True
    platform.answer = lambda got: 503 if refusing else 200
    await lender.add(platform.url)
    first, second = await lender.operation(), await lender.operation()
    told = await lender.happens(first, "payment.processing", "payment.succeeded", "payment.returned")
    others = await lender.happens(second, "payment.failed")

    await lender.notifier.round()
    assert sorted(platform.ids) == sorted([told[0], others[0]])
    refusing = False
    platform.got.clear()
    await lender.later(SOON)

    assert [id_ for id_ in platform.ids if id_ in told] == told


async def test_a_dead_event_no_longer_holds_up_the_next_one(tmp_path: Path, platform: Platform) -> None:
    async with office(tmp_path, pauses=()) as lender:
        endpoint = (await lender.add(platform.url)).endpoint
        first, second = await lender.happens(await lender.operation(), "payment.processing", "payment.succeeded")
        platform.answer = lambda got: 500 if got.id == first else 200

        await lender.notifier.round()

        assert platform.ids == [first, second]
        assert (await lender.delivery(endpoint, first)).state == "dead"


# Trying again


async def test_a_refused_event_is_tried_over_days_and_then_dead(lender: Office, platform: Platform) -> None:
    platform.answer = lambda got: 500
    endpoint = (await lender.add(platform.url)).endpoint
    (event,) = await lender.happens(await lender.operation())

    tries = [await lender.notifier.round()]
    for pause in SCHEDULE:
        tries.append(await lender.later(pause - timedelta(milliseconds=1)))
        tries.append(await lender.later(timedelta(milliseconds=1)))

    delivery = await lender.delivery(endpoint, event)
    assert tries == [1, *([0, 1] * len(SCHEDULE))]
    assert (delivery.state, delivery.attempts, delivery.status, delivery.due_at) == ("dead", 10, 500, None)
    assert sum(SCHEDULE, NOW) > timedelta(days=3)
    assert await lender.later(30 * DAY) == 0
    assert lender.notifier.ended == {"failed": 10, "dead": 1}


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 429, 500, 503])
async def test_only_a_2xx_is_a_delivery_and_no_redirect_is_followed(
    lender: Office, platform: Platform, status: int
) -> None:
    async with listening() as elsewhere:
        platform.answer = lambda got: web.Response(status=status, headers={"Location": elsewhere.url})
        endpoint = (await lender.add(platform.url)).endpoint
        (event,) = await lender.happens(await lender.operation())

        await lender.notifier.round()

        delivery = await lender.delivery(endpoint, event)
        assert (delivery.state, delivery.status, delivery.detail) == ("pending", status, f"answered {status}")
        assert elsewhere.got == []


@pytest.mark.parametrize(
    ("wish", "pause"), [("120", timedelta(seconds=120)), ("1", SOON), ("999999", DAY), ("soon", SOON)]
)
async def test_an_endpoint_may_ask_for_a_longer_pause(
    lender: Office, platform: Platform, wish: str, pause: timedelta
) -> None:
    platform.answer = lambda got: web.Response(status=503, headers={"Retry-After": wish})
    endpoint = (await lender.add(platform.url)).endpoint
    (event,) = await lender.happens(await lender.operation())

    await lender.notifier.round()

    assert (await lender.delivery(endpoint, event)).due_at == lender.clock.now() + pause


async def test_each_try_has_the_same_id_and_a_fresh_signature(lender: Office, platform: Platform) -> None:
    platform.answer = lambda got: 500
    added = await lender.add(platform.url)
    await lender.happens(await lender.operation())

    await lender.notifier.round()
    await lender.later(SOON)

    first, second = platform.got
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.signed_by(added.secret) and second.signed_by(added.secret)


async def test_a_closed_port_is_tried_again(lender: Office) -> None:
    async with listening() as gone:
        endpoint = (await lender.add(gone.url)).endpoint
    (event,) = await lender.happens(await lender.operation())

    await lender.notifier.round()

    delivery = await lender.delivery(endpoint, event)
    assert (delivery.state, delivery.attempts, delivery.status) == ("pending", 1, None)
    assert delivery.detail is not None and "no connection came about" in delivery.detail


async def test_what_has_ended_can_be_delivered_again(tmp_path: Path, platform: Platform) -> None:
    async with office(tmp_path, pauses=()) as lender:
        endpoint = (await lender.add(platform.url)).endpoint
        platform.answer = lambda got: 500
        (event,) = await lender.happens(await lender.operation())
        await lender.notifier.round()
        assert [one.event for one in await lender.store.deliveries(endpoint.id, state="dead")] == [event]
        platform.answer = lambda got: 204

        asked = await lender.endpoints.redeliver(endpoint, event, "operator/1")
        await lender.notifier.round()

        assert (asked.state, asked.attempts) == ("pending", 0)
        assert (await lender.delivery(endpoint, event)).state == "delivered"
        assert platform.ids == [event, event]
        assert f"operator/1: redeliver {event} to {endpoint.id}" in await lender.acts()


async def test_an_endpoint_that_fails_again_and_again_is_left_alone_and_loses_no_try(
    lender: Office, platform: Platform
) -> None:
    platform.answer = lambda got: 500
    endpoint = (await lender.add(platform.url)).endpoint
    events = [(await lender.happens(await lender.operation()))[0] for _ in range(60)]

    await lender.notifier.round()

    assert len(platform.got) < 20
    deliveries = [await lender.delivery(endpoint, event) for event in events]
    assert {one.attempts for one in deliveries} == {0, 1}
    platform.answer = lambda got: 200
    for _ in range(60):
        await lender.later(timedelta(seconds=11))
    assert {(await lender.delivery(endpoint, event)).state for event in events} == {"delivered"}


# Crashes, several workers, and endpoints that hang


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


# Secrets, and endpoints that are gone


async def test_after_a_renewal_both_secrets_sign_for_a_day(lender: Office, platform: Platform) -> None:
    old = await lender.add(platform.url)
    new = await lender.endpoints.renew_secret(old.endpoint, "shop/key", immediately=False)

    await lender.happens(await lender.operation())
    await lender.notifier.round()
    await lender.happens(await lender.operation())
    await lender.later(DAY)

    during, after = platform.got
    assert during.signed_by(old.secret) and during.signed_by(new.secret)
    assert after.signed_by(new.secret) and not after.signed_by(old.secret)


async def test_a_secret_that_was_lost_to_somebody_stops_at_once(lender: Office, platform: Platform) -> None:
    old = await lender.add(platform.url)
    new = await lender.endpoints.renew_secret(old.endpoint, "shop/key", immediately=True)

    await lender.happens(await lender.operation())
    await lender.notifier.round()

    assert platform.got[0].signed_by(new.secret) and not platform.got[0].signed_by(old.secret)


async def test_renewing_often_keeps_the_newest_three(lender: Office, platform: Platform) -> None:
    secrets = [await lender.add(platform.url)]
    for _ in range(4):
        secrets.append(await lender.endpoints.renew_secret(secrets[-1].endpoint, "shop/key", immediately=False))

    await lender.happens(await lender.operation())
    await lender.notifier.round()

    assert [platform.got[0].signed_by(one.secret) for one in secrets] == [False, False, True, True, True]


async def test_no_secret_stands_in_clear_in_store_or_records(
    tmp_path: Path, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path) as lender:
        added = await lender.add(platform.url)
        await lender.happens(await lender.operation())
        await lender.notifier.round()

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert added.secret.removeprefix("whsec_").encode() not in stored
    assert added.secret not in caplog.text


async def test_an_endpoint_that_says_it_is_gone_is_told_nothing_until_it_was_tested(
    lender: Office, platform: Platform
) -> None:
    platform.answer = lambda got: 410
    endpoint = (await lender.add(platform.url)).endpoint
    first, second = [(await lender.happens(await lender.operation()))[0] for _ in range(2)]
    await lender.notifier.round()
    (third,) = await lender.happens(await lender.operation())
    assert await lender.later(DAY) == 0
    platform.got.clear()
    platform.answer = lambda got: 200

    standing = await lender.endpoints.find(endpoint.id, "shop")
    sent = await lender.endpoints.test(standing, "shop/key")
    await lender.notifier.round()

    assert (standing.active, sent.delivered) == (False, True)
    assert platform.got[0].event["type"] == "webhook.test"
    assert set(platform.ids[1:]) == {first, second, third}
    assert f"gateway: disable {endpoint.id}" in await lender.acts()


async def test_an_endpoint_that_was_removed_gets_nothing(lender: Office, platform: Platform) -> None:
    endpoint = (await lender.add(platform.url)).endpoint
    await lender.happens(await lender.operation())
    await lender.endpoints.remove(endpoint, "shop/key")

    await lender.notifier.round()

    assert platform.got == []


def test_a_worker_is_made_for_the_published_schedule() -> None:
    assert Notifier.__init__.__kwdefaults__ is not None
    assert Notifier.__init__.__kwdefaults__["pauses"] is SCHEDULE
