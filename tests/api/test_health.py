"""Health and counters."""

from __future__ import annotations

from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.app import CONTEXT, create_app
from gateway.model.problems import StorageError
from tests.api.house import Caller, House, payment


async def test_the_process_lives(shop: Caller) -> None:
    answer = await shop.send("GET", "/healthz", headers={"Authorization": None})

    assert (answer.status, answer.body) == (200, {"status": "ok", "mode": "sandbox"})


async def test_a_balancer_may_ask_by_head(shop: Caller) -> None:
    answer = await shop.send("HEAD", "/healthz")

    assert (answer.status, answer.text) == (200, "")


async def test_it_is_ready_when_the_store_answers(shop: Caller) -> None:
    answer = await shop.get("/readyz")

    assert (answer.status, answer.body["connections"]) == (200, {"working": 2, "broken": 1})


async def test_it_is_not_ready_without_a_store(shop: Caller, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*arguments: object) -> None:
        raise StorageError("gone")

    monkeypatch.setattr(type(house.gateway.store), "next_due", broken)

    answer = await shop.get("/readyz")

    assert answer.status == 503
    assert house.app[CONTEXT].fatal.is_set()


async def test_it_is_not_ready_when_it_shuts_down(shop: Caller, house: House) -> None:
    house.app[CONTEXT].news.close()

    assert (await shop.get("/readyz")).status == 503


async def test_the_counters_say_what_happened_and_name_nobody(shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("128.17", links_to={"loan": "LN-1"}))).body
    await shop.act("/v1/payments", payment("5.00"))
    await shop.get("/v1/payments/pay_nobody")

    text = (await shop.get("/metrics")).text

    assert 'lendgate_calls_total{route="POST /v1/payments",status="201"} 2.0' in text
    assert 'lendgate_calls_total{route="GET /v1/payments/{id}",status="404"} 1.0' in text
    assert 'lendgate_operation_changes_total{event="succeeded",kind="payment"} 1.0' in text
    assert 'lendgate_operations_open{state="processing"} 1.0' in text
    assert 'lendgate_sends_total{connection="riverbank",observed="genuine",verb="create_payment"} 2.0' in text
    assert 'lendgate_breaker{connection="riverbank",state="closed",verb="create_payment"} 1.0' in text
    assert 'lendgate_connection_working{connection="severn"} 0.0' in text
    assert not [word for word in ("shop", made["id"], made["reference"], "LN-1") if word in text]


async def test_in_production_counters_are_for_operators(house: House) -> None:
    app = create_app(replace(house.gateway, mode="production"))

    async with TestClient(TestServer(app)) as client:
        answer = await client.get("/metrics")

    assert answer.status == 401
