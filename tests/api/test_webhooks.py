"""Webhook endpoints over HTTP: added, tested, renewed, and what was not delivered is had again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from gateway.api.openapi import document
from gateway.api.routes import PAGES, ROUTES
from tests.api.house import Caller, House, Reply, payment
from tests.operations.lending_platform import Platform, listening

ADDRESS = "/v1/webhook-endpoints"
DOCUMENT: dict[str, Any] = document(ROUTES, PAGES, "http://127.0.0.1:8080")


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as opened:
        yield opened


async def added(caller: Caller, url: str, *kinds: str) -> dict[str, Any]:
    answer = await caller.send("POST", ADDRESS, json={"url": url, "kinds": kinds})
    assert answer.status == 201, answer.text
    body: dict[str, Any] = answer.body
    return body


def promised(answer: Reply, path: str, method: str = "get") -> None:
    """The answer is what the document says."""
    said = DOCUMENT["paths"][ADDRESS + path][method]["responses"][str(answer.status)]
    media_type = answer.headers["Content-Type"].partition(";")[0]
    schema = {**said["content"][media_type]["schema"], "components": DOCUMENT["components"]}
    Draft202012Validator(schema).validate(answer.body)


async def test_a_payment_is_told_to_the_platform_signed_with_the_secret_that_it_was_given(
    house: House, shop: Caller, platform: Platform
) -> None:
    endpoint = await added(shop, platform.url, "payment.succeeded")
    paid = (await shop.act("/v1/payments", payment())).body

    await house.gateway.notifier.round()

    (got,) = platform.got
    assert got.signed_by(endpoint["secret"])
    assert (got.event["type"], got.event["data"]["id"]) == ("payment.succeeded", paid["id"])
    assert [got.event] == (await shop.get("/v1/events")).body["events"]


async def test_the_secret_is_shown_once(shop: Caller, platform: Platform) -> None:
    endpoint = await added(shop, platform.url)
    secret = endpoint.pop("secret")

    one = await shop.get(f"{ADDRESS}/{endpoint['id']}")
    all_of_them = await shop.get(ADDRESS)

    assert one.body == endpoint
    assert all_of_them.body == {"endpoints": [endpoint]}
    assert secret not in one.text + all_of_them.text
    promised(one, "/{id}")
    promised(all_of_them, "")


async def test_a_renewed_secret_signs_beside_the_old_one_or_alone(
    house: House, shop: Caller, platform: Platform
) -> None:
    endpoint = await added(shop, platform.url)
    renewed = await shop.post(f"{ADDRESS}/{endpoint['id']}/rotate")
    tested = await shop.post(f"{ADDRESS}/{endpoint['id']}/test")
    at_once = await shop.post(f"{ADDRESS}/{endpoint['id']}/rotate?immediately=true")
    await shop.post(f"{ADDRESS}/{endpoint['id']}/test")

    secrets = [endpoint["secret"], renewed.body["secret"], at_once.body["secret"]]
    assert [[got.signed_by(secret) for secret in secrets] for got in platform.got] == [
        [True, True, False],
        [False, False, True],
    ]
    assert tested.body == {"delivered": True, "status": 200, "detail": "answered 200"}
    promised(renewed, "/{id}/rotate", "post")
    promised(tested, "/{id}/test", "post")


async def test_what_was_not_delivered_is_listed_and_had_again(house: House, shop: Caller, platform: Platform) -> None:
    endpoint = await added(shop, platform.url)
    place = f"{ADDRESS}/{endpoint['id']}/deliveries"
    platform.answer = lambda got: 500
    for _ in range(3):
        await shop.act("/v1/payments", payment())
    await house.gateway.notifier.round()
    platform.answer = lambda got: 200

    first = await shop.get(place, limit="2")
    rest = await shop.get(place, limit="2", cursor=str(first.body["next_cursor"]))
    again = await shop.post(f"{place}/{first.body['deliveries'][0]['event']}/redeliver")
    await house.gateway.notifier.round()
    delivered = await shop.get(place, state="delivered")

    assert [one["cursor"] for one in first.body["deliveries"] + rest.body["deliveries"]] == [3, 2, 1]
    assert {one["last_detail"] for one in first.body["deliveries"]} == {"answered 500"}
    assert "next_cursor" not in rest.body
    assert [one["event"] for one in delivered.body["deliveries"]] == [again.body["event"]]
    assert (await shop.get(place, state="dead")).body == {"deliveries": []}
    promised(first, "/{id}/deliveries")
    promised(again, "/{id}/deliveries/{event}/redeliver", "post")


async def test_an_endpoint_that_was_removed_is_gone(shop: Caller, platform: Platform) -> None:
    endpoint = await added(shop, platform.url)

    removed = await shop.send("DELETE", f"{ADDRESS}/{endpoint['id']}")
    again = await shop.send("DELETE", f"{ADDRESS}/{endpoint['id']}")

    assert (removed.status, removed.body["active"]) == (200, False)
    assert (again.status, again.kind) == (404, "not_found")
    promised(removed, "/{id}", "delete")


async def test_a_client_reaches_nothing_of_another(house: House, shop: Caller, platform: Platform) -> None:
    endpoint, other = await added(shop, platform.url), house.caller("other_shop")
    await shop.act("/v1/payments", payment())
    await house.gateway.notifier.round()
    place, event = f"{ADDRESS}/{endpoint['id']}", platform.got[0].id

    answers = [
        await other.get(place),
        await other.send("DELETE", place),
        await other.post(f"{place}/rotate"),
        await other.post(f"{place}/test"),
        await other.get(f"{place}/deliveries"),
        await other.post(f"{place}/deliveries/{event}/redeliver"),
    ]

    assert {(answer.status, answer.kind) for answer in answers} == {(404, "not_found")}
    assert (await other.get(ADDRESS)).body == {"endpoints": []}
    assert (await other.get(ADDRESS, client="shop")).kind == "invalid_query"
    assert len(platform.got) == 1


async def test_operators_see_everybodys_and_may_have_things_sent_but_change_nothing(
    house: House, shop: Caller, platform: Platform
) -> None:
    endpoint, operator = await added(shop, platform.url), house.caller("operator")
    await shop.act("/v1/payments", payment())
    await house.gateway.notifier.round()
    place, event = f"{ADDRESS}/{endpoint['id']}", platform.got[0].id

    allowed = [
        await operator.get(ADDRESS, client="shop"),
        await operator.get(place),
        await operator.post(f"{place}/test"),
        await operator.post(f"{place}/deliveries/{event}/redeliver"),
        await house.caller("auditor").get(f"{place}/deliveries"),
    ]
    refused = [
        await operator.send("POST", ADDRESS, json={"url": platform.url}),
        await operator.send("DELETE", place),
        await operator.post(f"{place}/rotate"),
        await house.caller("auditor").post(f"{place}/test"),
    ]

    assert [answer.status for answer in allowed] == [200] * 5
    assert [(answer.status, answer.kind) for answer in refused] == [(403, "forbidden")] * 4


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"url": "http://shop.example/hook"}, "url"),
        ({"url": "https://10.0.0.1/hook"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://shop.example/", "kinds": ["payment.payed"]}, "kinds.0"),
        ({"url": "https://shop.example/", "kinds": ["[a-z].*"]}, "kinds.0"),
        ({"url": "https://shop.example/", "secret": "whsec_mine"}, "secret"),
        ({}, "url"),
    ],
)
async def test_a_wrong_field_is_named(shop: Caller, body: dict[str, Any], path: str) -> None:
    answer = await shop.send("POST", ADDRESS, json=body)

    assert (answer.status, answer.kind) == (422, "invalid_fields")
    assert [error["path"] for error in answer.body["errors"]] == [path]


async def test_adding_an_address_again_names_the_endpoint(shop: Caller, platform: Platform) -> None:
    endpoint = await added(shop, platform.url)

    answer = await shop.send("POST", ADDRESS, json={"url": platform.url})

    assert (answer.status, answer.kind, answer.body["endpoint"]) == (409, "conflict", endpoint["id"])


async def test_what_became_of_deliveries_is_counted(house: House, shop: Caller, platform: Platform) -> None:
    await added(shop, platform.url)
    await shop.act("/v1/payments", payment())
    await house.gateway.notifier.round()

    text = (await shop.send("GET", "/metrics", headers={"Authorization": None})).text

    assert 'lendgate_webhook_deliveries_total{ended="delivered"} 1.0' in text
