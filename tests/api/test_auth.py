"""API keys: who is let in, who may do what, and what is kept of those who are not."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.api.routes import ROUTES
from tests.api.house import KEYS, Caller, House, payment

WRONG = {
    "no header": None,
    "no key": "Bearer",
    "an empty key": "Bearer  ",
    "another scheme": "Basic bGc6bGc=",
    "the key alone": KEYS["shop"],
    "an unknown key": "Bearer lg_sandbox_nobody",
    "no key of ours": "Bearer sk_live_123",
    "a key that is too long": "Bearer lg_sandbox_" + "k" * 300,
    "a key with something behind it": f"Bearer {KEYS['shop']}x",
    "a key that is no text": "Bearer lg_sandbox_\udcff",
}


@pytest.mark.parametrize("authorization", WRONG.values(), ids=WRONG)
async def test_without_a_valid_key_nobody_gets_in(shop: Caller, house: House, authorization: str | None) -> None:
    answer = await shop.send("POST", "/v1/payments", json=payment(), headers={"Authorization": authorization})

    assert (answer.status, answer.kind) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="lendgate"'
    assert house.sent() == []


async def test_strangers_are_counted_but_fill_no_log(shop: Caller, house: House) -> None:
    await shop.send("GET", "/v1/payments/x", headers={"Authorization": None})

    metrics = await shop.get("/metrics")

    assert 'lendgate_unauthenticated_total{problem="unauthenticated"} 1.0' in metrics.text
    assert await house.gateway.store.entries() == []


async def test_a_key_of_the_other_mode_is_refused_with_the_reason(shop: Caller) -> None:
    headers = {"Authorization": "Bearer lg_production_shop-key"}

    answer = await shop.send("GET", "/v1/operations", headers=headers)

    assert (answer.status, answer.kind) == (401, "wrong_mode")
    assert answer.body["detail"] == "this is a key for production, and this gateway is sandbox"


@pytest.mark.parametrize("role", ["operator", "auditor"])
async def test_whoever_reads_may_not_act(house: House, role: str) -> None:
    paths = [route.path for route in ROUTES if route.idempotent or route.path.endswith("/continue")]

    answers = [await house.caller(role).act(path.replace("{id}", "pay_1"), payment()) for path in paths]

    assert len(answers) > 10
    assert {(answer.status, answer.kind) for answer in answers} == {(403, "forbidden")}


async def test_operators_and_auditors_see_what_everybody_did(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment())).body

    for role in ("operator", "auditor"):
        read = await house.caller(role).get(f"/v1/payments/{made['id']}")
        assert (read.status, read.body["id"]) == (200, made["id"])


async def test_a_refused_role_is_recorded(house: House) -> None:
    await house.caller("auditor").get("/v1/accounts", consent="con_1", purpose="curiosity")

    (entry,) = await house.gateway.store.entries()

    assert (entry.kind, entry.client) == ("refusal", "auditor")


async def test_too_many_calls_of_one_client_are_refused(
    house: House, shop: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.context.CALLS_PER_CLIENT", 0)

    answer = await shop.get("/v1/operations")

    assert (answer.status, answer.kind, answer.body["retry"]) == (429, "too_many_calls", "same_key")


def test_no_key_stands_anywhere_in_a_gateway(house: House) -> None:
    shown = repr(dataclasses.asdict(next(iter(house.gateway.clients.values()))))

    assert not [key for key in KEYS.values() if key in shown]
