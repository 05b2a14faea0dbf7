"""Callbacks: exact bytes go down, the partner's own words come up, and a stranger changes nothing."""

from __future__ import annotations

import json

import pytest

from tests.api.house import Caller, House, payment
from tests.riverbank import signature

PATH = "/v1/callbacks/riverbank/token-riverbank"


def told(operation: dict[str, object], code: str = "PAID") -> bytes:
    return json.dumps({"code": code, "reference": operation["partner_key"], "cents": 12817, "currency": "CNY"}).encode()


async def post(house: House, body: bytes, path: str = PATH, signed: str | None = None, **more: str) -> tuple[int, str]:
    headers = {"X-Signature": signed if signed is not None else signature(body), **more}
    async with house.session.post(f"{house.url}{path}", data=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_a_proven_callback_changes_the_operation_and_is_acknowledged(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("128.17"))).body

    answer = await post(house, told(made))

    assert answer == (200, "ok")
    assert (await shop.get(f"/v1/payments/{made['id']}")).body["state"] == "succeeded"


async def test_a_forged_callback_changes_nothing(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("128.17"))).body

    answers = [await post(house, told(made), signed=forged) for forged in ("00" * 32, "", "no hex")]

    assert [status for status, _ in answers] == [400] * 3
    assert (await shop.get(f"/v1/payments/{made['id']}")).body["state"] == "processing"


async def test_an_address_that_was_never_given_out_is_not_found(house: House) -> None:
    for path in ("/v1/callbacks/riverbank/guess", "/v1/callbacks/thames/token-riverbank", "/v1/callbacks/x/y"):
        assert (await post(house, b"{}", path))[0] == 404


async def test_what_is_too_large_is_refused_before_it_is_looked_at(house: House) -> None:
    assert (await post(house, b"x" * (64 * 1024 + 1)))[0] == 413


async def test_an_encoded_callback_is_refused(house: House) -> None:
    headers = {"Content-Encoding": "gzip"}

    async with house.session.post(f"{house.url}{PATH}", data=b"\x1f\x8b", headers=headers) as answer:
        assert answer.status == 415


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
async def test_partners_choose_the_method(house: House, method: str) -> None:
    async with house.session.request(method, f"{house.url}{PATH}?a=b") as answer:
        assert answer.status == 400  # no signature


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "PATCH"])
async def test_a_method_that_the_document_does_not_name_is_refused(house: House, method: str) -> None:
    async with house.session.request(method, f"{house.url}{PATH}") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST, PUT")


async def test_verdicts_are_counted(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("128.17"))).body
    await post(house, told(made))
    await post(house, told(made), signed="00" * 32)

    metrics = (await shop.get("/metrics")).text

    assert 'lendgate_callbacks_total{connection="riverbank",verdict="proven"} 1.0' in metrics
    assert 'lendgate_callbacks_total{connection="riverbank",verdict="forged"} 1.0' in metrics
