"""Verbs stepped by hand, without an event loop."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway import SUCCEEDED, Handoff, Money, PaymentInitiation, PaymentInquiry, Request, Wire
from gateway.model.problems import AdapterError, NoAnswer
from gateway.testing import drive, replied
from tests.riverbank import Riverbank, RiverbankSettings

BANK = Riverbank(RiverbankSettings(url="https://riverbank.example"))
PAID = replied('{"code": "PAID", "reference": "K", "cents": 1230}')


def payment() -> PaymentInitiation:
    return PaymentInitiation(
        connection="riverbank",
        reference="ORDER-1",
        amount=Money.of("12.30", "CNY"),
        method={"type": "wallet_qr"},  # type: ignore[arg-type]  # the model reads it
        description="a coat",
        partner_key="K" * 32,
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        handoff=Handoff("s", "n", "v", "https://here.example/r", "https://here.example/c"),
    )


def test_a_verb_runs_without_a_loop_and_shows_what_it_asked() -> None:
    driven = drive(BANK.create_payment(payment(), Wire()), [PAID])

    assert BANK.terms["create_payment"].meaning(driven.fact.code) is SUCCEEDED
    assert [(asked.effect, asked.request.method) for asked in driven.asked] == [(True, "POST")]
    assert b'"cents":1230' in driven.asked[0].request.body


def test_replies_may_depend_on_what_is_asked() -> None:
    inquiry = PaymentInquiry(partner_key="K", requested_at=datetime(2026, 1, 1, tzinfo=UTC))

    driven = drive(BANK.fetch_payment(inquiry, Wire()), lambda asked: replied(f'{{"code": "{asked.request.method}"}}'))

    assert driven.fact.code == "GET"


def test_what_the_wire_raises_reaches_the_verb() -> None:
    with pytest.raises(NoAnswer):
        drive(BANK.create_payment(payment(), Wire()), [NoAnswer("nothing came")])


async def _sleeps() -> None:
    await asyncio.sleep(0)


async def _asks_twice() -> None:
    await Wire().ask(Request.get("https://riverbank.example/1"))
    await Wire().ask(Request.get("https://riverbank.example/2"))


def test_a_foreign_await_fails() -> None:
    with pytest.raises(AdapterError, match="awaits the wire and nothing else"):
        drive(_sleeps(), [])


def test_a_request_without_a_reply_fails() -> None:
    with pytest.raises(AdapterError, match="request 2 of the verb"):
        drive(_asks_twice(), [PAID])


def test_a_reply_that_nobody_asked_for_fails() -> None:
    with pytest.raises(AdapterError, match="1 replies left"):
        drive(_asks_twice(), [PAID, PAID, PAID])
