"""Bad input: each is refused with a problem that says so, nothing is sent, and neither key nor reference is used up."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from multidict import CIMultiDict

from tests.api.house import Caller, House, housed, payment

pytestmark = pytest.mark.asyncio(loop_scope="module")

CNY = "CNY"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One house for all of them: what is refused leaves nothing behind."""
    async with housed(tmp_path_factory.mktemp("house")) as open_house:
        yield open_house


@pytest.fixture(scope="module")
def shop(house: House) -> Caller:
    return house.caller("shop")


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown connection": ({"connection": "danube"}, "connection"),
    "a connection that is not working": ({"connection": "severn"}, "connection"),
    "a connection's name that is none": ({"connection": "River Bank!"}, "connection"),
    "a negative amount": ({"amount": {"amount": "-1.00", "currency": CNY}}, "amount.amount"),
    "an amount of zero": ({"amount": {"amount": "0.00", "currency": CNY}}, "amount.amount"),
    "too many decimals": ({"amount": {"amount": "1.001", "currency": CNY}}, "amount"),
    "a float": ({"amount": {"amount": 1.5, "currency": CNY}}, "amount.amount"),
    "an integer": ({"amount": {"amount": 128, "currency": CNY}}, "amount.amount"),
    "an exponent": ({"amount": {"amount": "1e3", "currency": CNY}}, "amount.amount"),
    "digits of another script": ({"amount": {"amount": "١٢٨", "currency": CNY}}, "amount.amount"),
    "more than there is": ({"amount": {"amount": "9" * 16, "currency": CNY}}, "amount.amount"),
    "more than the partner takes": ({"amount": {"amount": "50000.01", "currency": CNY}}, "amount.amount"),
    "a currency that the partner does not take": ({"amount": {"amount": "1.00", "currency": "USD"}}, "amount.currency"),
    "a currency that does not exist": ({"amount": {"amount": "1.00", "currency": "XXQ"}}, "amount.currency"),
    "a currency in small letters": ({"amount": {"amount": "1.00", "currency": "cny"}}, "amount.currency"),
    "a method that the partner does not take": ({"method": {"type": "bank_debit"}}, "method.type"),
    "a method that does not exist": ({"method": {"type": "cheque"}}, "method.type"),
    "a reference that is too long": ({"reference": "R" * 65}, "reference"),
    "a reference with a space": ({"reference": "LN 1"}, "reference"),
    "an empty reference": ({"reference": ""}, "reference"),
    "a reference that is a number": ({"reference": 12}, "reference"),
    "an unknown field": ({"colour": "red"}, "colour"),
    "an unknown field inside": ({"payer": {"name": "Li", "colour": "red"}}, "payer.colour"),
    "options for another partner": ({"partner_options": {"thames": {}}}, "partner_options.thames"),
    "an option that nobody has": ({"partner_options": {"riverbank": {"a": 1}}}, "partner_options.riverbank.a"),
    "a time without an offset": ({"expires_at": "2026-03-01T00:00:00"}, "expires_at"),
    "a return address that is none": ({"return_url": "javascript:alert(1)"}, "return_url"),
    "too many links": ({"links_to": {f"l{chr(97 + n)}": "1" for n in range(9)}}, "links_to"),
    "a control character": ({"description": "a\nb"}, "description"),
    "null for what is needed": ({"amount": None}, "amount"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "path"), FIELDS.values(), ids=FIELDS)
async def test_a_wrong_field_is_named_and_nothing_is_sent(
    shop: Caller, house: House, change: dict[str, Any], path: str
) -> None:
    body, key, before = payment(), uuid.uuid4().hex, len(house.sent())

    answer = await shop.act("/v1/payments", {**body, **change}, key=key)
    sent = len(house.sent())
    repaired = await shop.act("/v1/payments", body, key=key)

    assert answer.status == 422
    assert answer.kind in ("invalid_fields", "unknown_connection")
    assert path in [error["path"] for error in answer.body["errors"]]
    assert (answer.body["outcome"], answer.body["retry"]) == ("not_sent", "never")
    assert (sent, repaired.status) == (before, 201)


async def test_all_wrong_fields_are_named_at_once(shop: Caller) -> None:
    body = without(payment(reference="", colour="red"), "description")

    answer = await shop.act("/v1/payments", body)

    assert {error["path"] for error in answer.body["errors"]} == {"reference", "colour", "description"}
    assert {error["detail"] for error in answer.body["errors"]} > {"is needed", "is not a field of this call"}


async def test_what_was_sent_is_not_repeated_in_the_answer(shop: Caller) -> None:
    answer = await shop.act("/v1/payments", payment(payer={"phone": "secret-number-13800138000"}))

    assert answer.status == 422
    assert "13800138000" not in answer.text


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"amount=1", 400, "malformed_json"),
    "nothing": (b"", 400, "malformed_json"),
    "half of it": (b'{"amount": ', 400, "malformed_json"),
    "a list": (b"[]", 400, "malformed_json"),
    "a member twice": (b'{"connection":"riverbank","connection":"thames"}', 400, "malformed_json"),
    "a member twice, deep inside": (b'{"amount":{"amount":"1.00","amount":"100.00"}}', 400, "malformed_json"),
    "NaN": (b'{"amount":NaN}', 400, "malformed_json"),
    "Infinity": (b'{"amount":-Infinity}', 400, "malformed_json"),
    "a number out of range": (b'{"amount":1e400}', 400, "malformed_json"),
    "a number of 5000 digits": (b'{"amount":' + b"9" * 5000 + b"}", 400, "malformed_json"),
    "no UTF-8": (b'{"reference":"\xff"}', 400, "malformed_json"),
    "UTF-16": ('{"reference":"a"}'.encode("utf-16"), 400, "malformed_json"),
    "half of a surrogate pair": (b'{"metadata":{"a":"\\ud800"}}', 400, "malformed_json"),
    "33 levels": (b'{"a":' * 33 + b"1" + b"}" * 33, 400, "malformed_json"),
    "100,000 levels": (b"[" * 100_000, 400, "malformed_json"),
    "something behind it": (b"{} {}", 400, "malformed_json"),
    "more than the limit": (b'{"a":"' + b"a" * 262_144 + b'"}', 413, "body_too_large"),
}


@pytest.mark.parametrize(("raw", "status", "kind"), BODIES.values(), ids=BODIES)
async def test_a_body_that_is_no_json_object_is_refused(
    shop: Caller, house: House, raw: bytes, status: int, kind: str
) -> None:
    before = house.sent()
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}

    answer = await shop.send("POST", "/v1/payments", data=raw, headers=headers)

    assert (answer.status, answer.kind, answer.body["outcome"]) == (status, kind, "not_sent")
    assert house.sent() == before


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=gbk", "application/jsonp", None],
)
async def test_a_body_that_does_not_say_json_is_refused(shop: Caller, house: House, content_type: str | None) -> None:
    before = house.sent()
    headers = {"Idempotency-Key": uuid.uuid4().hex} | ({"Content-Type": content_type} if content_type else {})

    answer = await shop.send(
        "POST",
        "/v1/payments",
        data=json.dumps(payment()).encode(),
        headers=headers,
        skip_auto_headers=("Content-Type",),
    )

    assert (answer.status, answer.kind) == (415, "unsupported_media_type")
    assert house.sent() == before


async def test_json_in_utf_8_may_say_so(shop: Caller) -> None:
    headers = {"Content-Type": 'Application/JSON; charset="UTF-8"', "Idempotency-Key": uuid.uuid4().hex}

    answer = await shop.send("POST", "/v1/payments", data=json.dumps(payment()).encode(), headers=headers)

    assert answer.status == 201


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
async def test_an_encoded_body_is_refused(shop: Caller, house: House, encoding: str) -> None:
    before = house.sent()
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding, "Idempotency-Key": uuid.uuid4().hex}

    answer = await shop.send("POST", "/v1/payments", data=b"\x1f\x8b", headers=headers)

    assert (answer.status, answer.kind) == (415, "unsupported_media_type")
    assert house.sent() == before


@pytest.mark.parametrize("key", [None, "", " ", '""', '"unfinished', "k" * 256, "clé", '"   "', "two words"])
async def test_a_call_that_acts_needs_a_usable_key(shop: Caller, house: House, key: str | None) -> None:
    before = house.sent()
    answer = await shop.send("POST", "/v1/payments", json=payment(), headers={"Idempotency-Key": key})

    assert (answer.status, answer.kind) == (400, "idempotency_key_required")
    assert house.sent() == before


async def test_a_key_that_comes_twice_is_refused(shop: Caller, house: House) -> None:
    before = house.sent()
    headers = CIMultiDict([("Authorization", f"Bearer {shop.key}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")])

    async with house.session.post(f"{house.url}/v1/payments", json=payment(), headers=headers) as answer:
        body = await answer.json(content_type=None)

    assert (answer.status, body["type"]) == (400, "/problems/malformed_request")
    assert house.sent() == before


async def test_a_refused_call_is_recorded_with_its_reference_and_who_made_it(shop: Caller, house: House) -> None:
    await shop.act("/v1/payments", payment(reference="LN-9", colour="red"))

    leaf = json.loads((await house.gateway.store.entries())[-1].leaf)

    assert leaf["kind"] == "refusal"
    assert leaf["route"] == "POST /v1/payments"
    assert (leaf["problem"], leaf["status"], leaf["reference"]) == ("invalid_fields", 422, "LN-9")
    assert (leaf["client"], leaf["actor"].partition("/")[0]) == ("shop", "shop")


async def test_what_is_no_reference_is_not_recorded_as_one(shop: Caller, house: House) -> None:
    await shop.act("/v1/payments", payment(reference="Li Wei, 13800138000"))

    leaf = json.loads((await house.gateway.store.entries())[-1].leaf)

    assert leaf["kind"] == "refusal"
    assert "reference" not in leaf


async def test_looking_for_what_is_not_there_is_not_recorded(shop: Caller, house: House) -> None:
    before = await house.gateway.store.entries()

    await shop.get("/v1/payments/pay_nobody")

    assert await house.gateway.store.entries() == before
