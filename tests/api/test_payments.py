"""Payments over HTTP: what each outcome answers with, what a repeat does, and what a payment says about its refunds."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from gateway.sandbox import Point
from tests.api.house import Caller, House, payment


async def test_a_paid_payment_answers_201_with_the_operation(shop: Caller) -> None:
    body = payment("128.00", links_to={"loan": "LN-1"}, metadata={"till": "7"})

    answer = await shop.act("/v1/payments", body)

    assert answer.status == 201
    assert answer.body["state"] == "succeeded"
    assert answer.body["amount"] == {"amount": "128.00", "currency": "CNY"}
    assert answer.body["metadata"] == {"till": "7"}
    assert answer.headers["Location"] == f"/v1/payments/{answer.body['id']}"
    assert answer.headers["X-Request-Id"].startswith("req_")


async def test_a_payment_that_waits_for_the_payer_answers_201_with_the_next_action(shop: Caller) -> None:
    answer = await shop.act("/v1/payments", payment("128.19"))

    assert (answer.status, answer.body["state"]) == (201, "requires_action")
    assert answer.body["next_action"]["kind"] == "qr_code"


async def test_a_payment_that_is_being_processed_answers_201(shop: Caller) -> None:
    answer = await shop.act("/v1/payments", payment("128.17"))

    assert (answer.status, answer.body["state"]) == (201, "processing")


async def test_a_declined_payment_is_a_problem_that_carries_the_operation(shop: Caller) -> None:
    answer = await shop.act("/v1/payments", payment("128.13"))

    assert (answer.status, answer.kind) == (422, "declined")
    assert (answer.body["outcome"], answer.body["retry"]) == ("declined", "new_reference")
    assert answer.body["operation"]["state"] == "failed"
    assert answer.body["operation"]["reason"]["partner_code"] == "DECLINED"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]


async def test_doubt_answers_202_and_is_no_problem(shop: Caller, house: House) -> None:
    house.riverbank.faults.arm(Point.TAMPER, "POST payments", times=9)

    answer = await shop.act("/v1/payments", payment())

    assert (answer.status, answer.body["state"]) == (202, "unknown")
    assert "next_inquiry_at" in answer.body


async def test_a_repeat_of_doubt_is_doubt_again(shop: Caller, house: House) -> None:
    house.riverbank.faults.arm(Point.TAMPER, "POST payments", times=9)
    body = payment()
    await shop.act("/v1/payments", body, key="k1")

    again = await shop.act("/v1/payments", body, key="k1")

    assert (again.status, again.headers["Idempotent-Replayed"]) == (202, "true")


async def test_a_repeat_moves_money_once_and_says_that_it_is_one(shop: Caller, house: House) -> None:
    body = payment()
    first = await shop.act("/v1/payments", body, key='"k1"')

    again = await shop.act("/v1/payments", body, key="k1")

    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert again.body["id"] == first.body["id"]
    assert len(house.riverbank.ledger.effects) == 1


async def test_a_repeat_of_a_declined_payment_is_the_same_problem(shop: Caller) -> None:
    body = payment("128.13")
    first = await shop.act("/v1/payments", body, key="k1")

    again = await shop.act("/v1/payments", body, key="k1")

    assert (again.status, again.kind) == (422, "declined")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body["operation"]["id"] == first.body["operation"]["id"]


async def test_the_same_key_with_another_body_is_refused(shop: Caller) -> None:
    first = await shop.act("/v1/payments", payment(), key="k1")

    other = await shop.act("/v1/payments", payment(), key="k1")

    assert (other.status, other.kind) == (422, "idempotency_key_reused")
    assert other.body["operation"] == first.body["id"]
    assert other.body["outcome"] == "not_sent"


async def test_the_same_reference_and_body_under_a_new_key_names_the_operation(shop: Caller, house: House) -> None:
    body = payment()
    first = await shop.act("/v1/payments", body)

    again = await shop.act("/v1/payments", body)

    assert (again.status, again.kind, again.body["operation"]) == (409, "reference_taken", first.body["id"])
    assert (again.body["outcome"], again.body["retry"]) == ("unknown", "never")  # the first call may have moved money
    assert len(house.riverbank.ledger.effects) == 1


async def test_the_same_reference_with_another_body_is_refused(shop: Caller) -> None:
    body = payment("128.00")
    await shop.act("/v1/payments", body)

    other = await shop.act("/v1/payments", {**body, "amount": {"amount": "129.00", "currency": "CNY"}})

    assert (other.status, other.kind, other.body["retry"]) == (422, "reference_reused", "never")


async def test_an_open_payment_for_the_same_loan_stands_against_a_second_one(shop: Caller) -> None:
    loan = {"loan": "LN-7"}
    first = await shop.act("/v1/payments", payment("128.17", links_to=loan))

    second = await shop.act("/v1/payments", payment("128.00", links_to=loan))
    despite = await shop.act("/v1/payments", payment("128.00", links_to=loan, despite=[first.body["id"]]))

    assert (second.status, second.kind, second.body["operation"]) == (409, "open_sibling", first.body["id"])
    assert despite.status == 201


async def test_a_caller_who_does_not_wait_gets_202_and_can_read_on(shop: Caller, house: House) -> None:
    house.riverbank.faults.arm(Point.DELAY_BEFORE, "POST payments", seconds=0.3)

    answer = await shop.act("/v1/payments", payment(), Prefer="wait=0")

    assert (answer.status, answer.body["state"]) == (202, "processing")
    assert answer.headers["Preference-Applied"] == "wait=0"
    assert await state_of(shop, answer.body["id"], "succeeded") == "succeeded"


async def test_a_call_that_still_runs_answers_a_repeat_with_409(shop: Caller, house: House) -> None:
    house.riverbank.faults.arm(Point.DELAY_BEFORE, "POST payments", seconds=0.5)
    body = payment()
    first = await shop.act("/v1/payments", body, key="k1", Prefer="wait=0")

    again = await shop.act("/v1/payments", body, key="k1")
    refresh = await shop.post(f"/v1/payments/{first.body['id']}/refresh")

    assert (again.status, again.kind, again.body["operation"]) == (409, "call_in_progress", first.body["id"])
    assert (again.body["outcome"], again.body["retry"]) == ("unknown", "same_key")
    assert again.headers["Retry-After"] == "1"
    assert (refresh.status, refresh.kind) == (409, "call_in_progress")


async def test_a_payment_is_read_by_its_id(shop: Caller) -> None:
    made = await shop.act("/v1/payments", payment("128.13"))

    answer = await shop.get(f"/v1/payments/{made.body['operation']['id']}")

    assert (answer.status, answer.body["state"]) == (200, "failed")


async def test_refresh_asks_the_partner_now(shop: Caller, house: House) -> None:
    made = await shop.act("/v1/payments", payment("128.17"))
    house.riverbank.orders["payment", made.body["partner_key"]]["code"] = "PAID"

    answer = await shop.post(f"/v1/payments/{made.body['id']}/refresh")

    assert (answer.status, answer.body["state"]) == (200, "succeeded")


async def test_an_operator_may_ask_but_not_act(house: House, shop: Caller) -> None:
    made = await shop.act("/v1/payments", payment("128.17"))
    operator = house.caller("operator")

    asked = await operator.post(f"/v1/payments/{made.body['id']}/refresh")
    acted = await operator.act("/v1/payments", payment())

    assert asked.status == 200
    assert (acted.status, acted.kind) == (403, "forbidden")


async def test_a_payment_says_what_was_refunded(shop: Caller) -> None:
    paid = (await shop.act("/v1/payments", payment("128.00"))).body
    path = f"/v1/payments/{paid['id']}/refunds"

    done = await shop.act(path, refund("20.00"))
    declined = await shop.act(path, refund("30.13"))
    pending = await shop.act(path, refund("40.17"))
    shown = await shop.get(f"/v1/payments/{paid['id']}")

    assert (done.status, done.body["parent"]) == (201, paid["id"])
    assert done.headers["Location"] == f"/v1/refunds/{done.body['id']}"
    assert (declined.kind, pending.body["state"]) == ("declined", "processing")
    assert shown.body["quantities"] == {
        "captured": {"amount": "128.00", "currency": "CNY"},
        "refunds_reserved": {"amount": "60.17", "currency": "CNY"},
        "refunded": {"amount": "20.00", "currency": "CNY"},
    }
    assert [one["state"] for one in shown.body["refunds"]] == ["processing", "failed", "succeeded"]


async def test_refunds_never_exceed_what_was_captured(shop: Caller, house: House) -> None:
    paid = (await shop.act("/v1/payments", payment("50.00"))).body
    path = f"/v1/payments/{paid['id']}/refunds"

    answers = await asyncio.gather(*(shop.act(path, refund("20.00")) for _ in range(4)))

    assert sorted(answer.status for answer in answers) == [201, 201, 422, 422]
    assert {answer.kind for answer in answers if answer.status == 422} == {"amount_not_available"}
    assert sum(effect.kind == "refund" for effect in house.riverbank.ledger.effects) == 2


async def test_a_refund_is_read_and_refreshed_at_its_own_place(shop: Caller) -> None:
    paid = (await shop.act("/v1/payments", payment())).body
    made = (await shop.act(f"/v1/payments/{paid['id']}/refunds", refund("1.00"))).body

    read = await shop.get(f"/v1/refunds/{made['id']}")
    asked = await shop.post(f"/v1/refunds/{made['id']}/refresh")

    assert (read.body["kind"], asked.body["state"]) == ("refund", "succeeded")


async def test_an_id_of_another_kind_is_not_found(shop: Caller) -> None:
    paid = (await shop.act("/v1/payments", payment())).body

    answers = [
        await shop.get(f"/v1/transfers/{paid['id']}"),
        await shop.get("/v1/payments/pay_nobody"),
        await shop.act(f"/v1/transfers/{paid['id']}/cancel", {"connection": "riverbank", "reference": "c1"}),
        await shop.act("/v1/payments/pay_nobody/refunds", refund("1.00")),
    ]

    assert [(answer.status, answer.kind) for answer in answers] == [(404, "not_found")] * 4


async def test_what_the_partner_does_not_do_is_refused(shop: Caller, house: House) -> None:
    paid = (await shop.act("/v1/payments", payment())).body
    before = len(house.sent())

    answer = await shop.act(f"/v1/payments/{paid['id']}/cancel", {"connection": "riverbank", "reference": "c1"})

    assert (answer.status, answer.kind, answer.body["verb"]) == (422, "unsupported_verb", "cancel_payment")
    assert len(house.sent()) == before


async def test_another_client_sees_nothing(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment())).body
    stranger = house.caller("other_shop")

    answers = [
        await stranger.get(f"/v1/payments/{made['id']}"),
        await stranger.post(f"/v1/payments/{made['id']}/refresh"),
        await stranger.act(f"/v1/payments/{made['id']}/refunds", refund("1.00")),
        await stranger.get(f"/v1/operations/{made['id']}/timeline"),
    ]

    assert [answer.status for answer in answers] == [404] * 4


async def test_the_same_reference_of_two_clients_is_two_payments(house: House, shop: Caller) -> None:
    body = payment()

    first = await shop.act("/v1/payments", body, key="k1")
    second = await house.caller("other_shop").act("/v1/payments", body, key="k1")

    assert (first.status, second.status) == (201, 201)
    assert first.body["id"] != second.body["id"]


async def test_a_partner_that_cannot_be_reached_says_whether_anything_happened(shop: Caller, house: House) -> None:
    await house.banks["riverbank"].stop()

    answer = await shop.act("/v1/payments", payment())

    assert (answer.status, answer.kind) == (503, "not_sent")
    assert (answer.body["outcome"], answer.body["retry"]) == ("not_sent", "new_reference")
    assert answer.body["operation"]["state"] == "failed"


async def test_a_gateway_that_shuts_down_takes_no_new_calls(shop: Caller, house: House) -> None:
    await house.gateway.engine.drain(timedelta(seconds=1))

    answer = await shop.act("/v1/payments", payment())

    assert (answer.status, answer.kind, answer.body["retry"]) == (503, "overloaded", "same_key")
    assert answer.headers["Retry-After"] == "5"


async def test_a_transfer_is_sent_and_read(shop: Caller) -> None:
    body = {
        "connection": "riverbank",
        "reference": "TR-1",
        "amount": {"amount": "10.00", "currency": "CNY"},
        "creditor": {"name": "A", "account": {"scheme": "iban", "identification": "DE02120300000000202051"}},
    }

    made = await shop.act("/v1/transfers", body)
    read = await shop.get(made.headers["Location"])

    assert (made.status, read.status, read.body["kind"]) == (201, 200, "transfer")
    assert "DE02120300000000202051" not in read.text


def refund(amount: str) -> dict[str, object]:
    body = payment(amount)
    return {name: body[name] for name in ("connection", "reference", "amount")}


async def state_of(shop: Caller, id: str, wanted: str) -> str:
    for _ in range(200):
        state = str((await shop.get(f"/v1/operations/{id}")).body["state"])
        if state == wanted:
            break
        await asyncio.sleep(0.02)
    return state


async def test_what_was_refunded_counts_every_refund_however_many_there_are(
    shop: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.api.resources.payments.MOST_REFUNDS", 2)
    made = (await shop.act("/v1/payments", payment("10.00"))).body
    for number in range(3):
        body = {"connection": "riverbank", "reference": f"R-{number}", "amount": {"amount": "1.00", "currency": "CNY"}}
        await shop.act(f"/v1/payments/{made['id']}/refunds", body)

    shown = (await shop.get(f"/v1/payments/{made['id']}")).body

    assert shown["quantities"]["refunded"] == {"amount": "3.00", "currency": "CNY"}
    assert len(shown["refunds"]) == 2
