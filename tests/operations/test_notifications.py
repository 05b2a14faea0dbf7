"""Platforms are told what happened: signed, in order, until they take it or it is given up, and never in secret."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from gateway.audit.verify import verify_store
from gateway.operations.notifications import SCHEDULE, wants
from tests.operations.lending_platform import Office, Platform, listening, office

NOW, SOON, DAY = timedelta(0), timedelta(seconds=5), timedelta(hours=24)


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
