"""Events: a feed by cursor from which nothing is missing, and which can be waited on."""

from __future__ import annotations

import asyncio

from gateway.api.app import CONTEXT
from gateway.api.shapes import EventPage
from tests.api.house import Caller, House, payment


async def test_each_change_is_an_event_with_the_operation_as_it_stood(shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment())).body

    page = EventPage.model_validate((await shop.get("/v1/events")).body)

    (event,) = page.events
    assert (event.type, event.previous_state, event.data.id) == ("payment.succeeded", "processing", made["id"])
    assert page.next_after == event.cursor


async def test_the_feed_goes_on_behind_a_cursor(shop: Caller) -> None:
    for _ in range(3):
        await shop.act("/v1/payments", payment())

    first = (await shop.get("/v1/events", limit="2")).body
    second = (await shop.get("/v1/events", after=str(first["next_after"]))).body
    third = (await shop.get("/v1/events", after=str(second["next_after"]))).body

    assert (len(first["events"]), len(second["events"]), third["events"]) == (2, 1, [])
    assert third["next_after"] == second["next_after"]


async def test_the_feed_of_one_operation(shop: Caller) -> None:
    made = [(await shop.act("/v1/payments", payment())).body["id"] for _ in range(2)]

    answer = await shop.get("/v1/events", operation=made[1])

    assert [event["data"]["id"] for event in answer.body["events"]] == [made[1]]


async def test_a_client_gets_its_own_events_only_and_a_reader_says_whose(house: House, shop: Caller) -> None:
    await shop.act("/v1/payments", payment())

    other = await house.caller("other_shop").get("/v1/events")
    operator = await house.caller("operator").get("/v1/events", client="shop")
    nobody = await house.caller("operator").get("/v1/events")

    assert other.body["events"] == []
    assert len(operator.body["events"]) == 1
    assert (nobody.status, nobody.kind) == (422, "invalid_query")


async def test_whoever_waits_is_told_when_something_happens(shop: Caller) -> None:
    waiting = asyncio.create_task(shop.send("GET", "/v1/events", headers={"Prefer": "wait=20"}))
    await asyncio.sleep(0.1)
    made = (await shop.act("/v1/payments", payment())).body

    answer = await asyncio.wait_for(waiting, 10)

    assert [event["data"]["id"] for event in answer.body["events"]] == [made["id"]]


async def test_patience_ends_with_an_empty_page(shop: Caller) -> None:
    answer = await shop.send("GET", "/v1/events?after=7", headers={"Prefer": "wait=0"})

    assert (answer.status, answer.body) == (200, {"events": [], "next_after": 7})


async def test_a_number_that_no_store_can_hold_is_refused(shop: Caller) -> None:
    largest = await shop.get("/v1/events", after=str(2**63 - 1))
    larger = await shop.get("/v1/events", after=str(2**63))
    endless = await shop.get("/v1/events", after="9" * 5000)

    assert (largest.status, largest.body["events"]) == (200, [])
    assert [(answer.status, answer.kind) for answer in (larger, endless)] == [(422, "invalid_query")] * 2


async def test_nobody_waits_through_a_shutdown(shop: Caller, house: House) -> None:
    waiting = asyncio.create_task(shop.send("GET", "/v1/events", headers={"Prefer": "wait=20"}))
    await asyncio.sleep(0.1)
    house.app[CONTEXT].news.close()

    answer = await asyncio.wait_for(waiting, 10)

    assert (answer.status, answer.body["events"]) == (200, [])
