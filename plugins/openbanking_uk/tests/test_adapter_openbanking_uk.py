"""Transfers: the adapter, stepped by hand against the simulated bank over mutual TLS, in both versions."""

from __future__ import annotations

from collections import Counter
from typing import Any

import aiohttp
import pytest

from gateway import (
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    PROCESSING,
    REQUIRES_ACTION,
    SEEN,
    SUCCEEDED,
    TOKEN_REFUSED,
    UNKNOWN,
    Continuation,
    Invalid,
    Money,
    NotProven,
    NotUnderstood,
    Wire,
)
from gateway.sandbox import Point
from lendgate_openbanking_uk.adapter import OpenBankingUK, PaymentConsent

WIRE = Wire()
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456"
CREATED, SUBMITTED, FETCHED = (
    OpenBankingUK.terms[verb] for verb in ("create_transfer", "continue_transfer", "fetch_transfer")
)


class TestTransfers:
    async def test_a_transfer_is_consented_to_submitted_and_settled(self, desk: Any) -> None:
        created, submitted = await desk.paid()
        steps = [await desk.fetch(created, submitted) for _ in range(2)]

        assert CREATED.meaning(created.code) is REQUIRES_ACTION
        assert [SUBMITTED.meaning(submitted.code), *(FETCHED.meaning(step.code) for step in steps)] == [
            PROCESSING,
            PROCESSING,
            SUCCEEDED,
        ]
        assert {fact.partner_key for fact in (created, submitted, *steps)} == {KEY}
        assert {fact.amount for fact in (created, submitted, *steps)} == {Money.of("250.00", "GBP")}
        assert steps[-1].scheme_status == "ACSC"
        assert submitted.references["domestic_payment_id"] == steps[-1].references["domestic_payment_id"]
        assert desk.bank.ledger.count("transfer") == Counter({("transfer", KEY): 1})

    async def test_the_payment_repeats_initiation_and_risk_to_the_letter(self, desk: Any, version: str) -> None:
        await desk.paid(remittance="Loan LN-1001", urgency="instant", purpose="LOAN")

        consent, payment = (request.body for request in desk.sent if b'"Initiation"' in request.body)
        assert consent[consent.index(b'"Initiation"') :] == payment[payment.index(b'"Initiation"') :]
        text = b'{"Unstructured":["Loan LN-1001"]}' if version == "v4.0" else b'{"Unstructured":"Loan LN-1001"}'
        assert text in payment
        assert b'"Identification":"20325412345678"' in payment

    async def test_a_replay_of_the_submit_moves_money_once(self, desk: Any) -> None:
        created, first = await desk.paid()

        again = await desk.submit(created, None)

        assert again.references == first.references
        assert desk.bank.ledger.count("transfer") == Counter({("transfer", KEY): 1})

    async def test_a_replay_of_the_consent_gives_the_same_consent(self, desk: Any) -> None:
        first, again = await desk.create(), await desk.create()

        assert first.references == again.references
        assert len(desk.bank.consents.consents) == 1

    async def test_a_key_that_the_gateway_forgot_and_the_bank_did_not_is_no_failure(self, desk: Any) -> None:
        await desk.paid()

        forgotten = await desk.create()

        assert CREATED.meaning(forgotten.code) is PROCESSING
        assert FETCHED.meaning((await desk.fetch(forgotten)).code) is PROCESSING

    async def test_without_a_consent_there_is_nothing_to_ask_by(self, desk: Any) -> None:
        refused = await desk.create()

        with pytest.raises(NotUnderstood, match="statement"):
            await desk.fetch(refused.model_copy(update={"memory": None}))

    async def test_each_attempt_has_a_fresh_signature_and_interaction_id(self, desk: Any) -> None:
        await desk.create()
        await desk.create()

        first, again = (request for request in desk.sent if request.url.endswith("domestic-payment-consents"))
        assert first.body == again.body
        assert first.header("x-jws-signature") != again.header("x-jws-signature")
        assert first.header("x-fapi-interaction-id") != again.header("x-fapi-interaction-id")

    @pytest.mark.parametrize("point", [Point.CLOSE_AFTER, Point.BAD_GATEWAY_AFTER, Point.TAMPER])
    async def test_a_lost_answer_to_the_submit_is_found_through_the_consent(self, desk: Any, point: Point) -> None:
        created = await desk.create()
        returned = await desk.person(created.next_action)
        desk.bank.faults.arm(point, "POST domestic-payments")

        with pytest.raises((aiohttp.ClientError, NotProven)):
            await desk.submit(created, returned)
        asked = await desk.fetch(created)
        found = await desk.submit(created, None)

        assert FETCHED.meaning(asked.code) is PROCESSING
        assert found.references["domestic_payment_id"]
        assert desk.bank.ledger.count("transfer") == Counter({("transfer", KEY): 1})

    async def test_a_submit_that_never_arrived_leaves_no_payment_behind(self, desk: Any) -> None:
        created = await desk.create()
        returned = await desk.person(created.next_action)
        desk.bank.faults.arm(Point.CLOSE_BEFORE, "POST domestic-payments")

        with pytest.raises(aiohttp.ClientError):
            await desk.submit(created, returned)

        assert FETCHED.meaning((await desk.fetch(created)).code) is NOT_FOUND
        assert desk.bank.ledger.effects == []

    async def test_an_internal_error_of_the_bank_says_nothing(self, desk: Any) -> None:
        created, submitted = await desk.paid(name="SIM ERROR")

        asked = await desk.fetch(created)

        assert SUBMITTED.meaning(submitted.code) is UNKNOWN
        assert FETCHED.meaning(asked.code) is PROCESSING

    @pytest.mark.parametrize(("amount", "first"), [("10.14", FAILED), ("10.13", PROCESSING)])
    async def test_a_rejected_payment_has_failed(self, desk: Any, amount: str, first: Any) -> None:
        created, submitted = await desk.paid(amount=amount)
        for _ in range(2):
            last = await desk.fetch(created, submitted)

        assert SUBMITTED.meaning(submitted.code) is first
        assert FETCHED.meaning(last.code) is FAILED
        assert last.scheme_status == "RJCT"
        assert desk.bank.ledger.effects == []

    async def test_blocked_funds_are_doubt(self, desk: Any, version: str) -> None:
        created, submitted = await desk.paid(name="SIM BLOCKED")

        asked = await desk.fetch(created, submitted)

        # v3.1.11 has no word for it: the payment stays pending there.
        assert FETCHED.meaning(asked.code) is (UNKNOWN if version == "v4.0" else PROCESSING)

    async def test_after_the_cut_off_time_nothing_was_executed(self, desk: Any) -> None:
        _, submitted = await desk.paid(name="SIM CUTOFF")

        assert SUBMITTED.meaning(submitted.code) is NOT_PROCESSED
        assert submitted.message == "after the cut-off time"

    async def test_a_second_payment_under_one_consent_is_a_reason_to_ask(self, desk: Any) -> None:
        created, _ = await desk.paid()
        other = desk.transfer().model_copy(update={"partner_key": KEY[::-1]})

        step = Continuation(other, created.memory, None, {})
        told = await desk.run(desk.adapter.continue_transfer(step, WIRE))

        assert SUBMITTED.meaning(told.code) is NOT_PROCESSED
        assert desk.bank.ledger.count("transfer") == Counter({("transfer", KEY): 1})

    async def test_a_refusal_proves_nothing_by_itself_and_shows_in_the_consent(self, desk: Any) -> None:
        created = await desk.create()

        with pytest.raises(NotProven, match="access_denied"):
            await desk.person(created.next_action, approve=False)

        assert FETCHED.meaning((await desk.fetch(created)).code) is FAILED

    async def test_going_on_without_a_return_submits_nothing(self, desk: Any) -> None:
        created = await desk.create()

        before = await desk.submit(created, None)
        await desk.person(created.next_action)
        after = await desk.submit(created, None)

        assert [SUBMITTED.meaning(fact.code) for fact in (before, after)] == [REQUIRES_ACTION, REQUIRES_ACTION]
        assert desk.bank.ledger.effects == []

    async def test_the_return_of_another_consent_is_refused_before_anything_is_sent(self, desk: Any) -> None:
        created = await desk.create()
        returned = await desk.person(created.next_action)
        other = created.model_copy(update={"memory": PaymentConsent(consent_id="pc-other")})
        sent = len(desk.sent)

        with pytest.raises(NotProven, match="another consent"):
            await desk.submit(other, returned)

        assert len(desk.sent) == sent

    async def test_a_reused_key_with_another_body_is_a_reason_to_ask(self, desk: Any) -> None:
        await desk.create()

        told = await desk.create(amount="251.00")

        assert CREATED.meaning(told.code) is SEEN

    async def test_a_refused_token_is_known_as_one(self, desk: Any) -> None:
        desk.tokens["client:payments"] = "nobody"

        told = await desk.create()

        assert CREATED.meaning(told.code) is TOKEN_REFUSED

    @pytest.mark.parametrize(
        ("more", "path"),
        [
            ({"execution_date": "2026-02-01"}, "execution_date"),
            ({"purpose": "for the loan"}, "purpose"),
            ({"debtor_account": {"scheme": "wallet_login", "identification": "a@b"}}, "debtor_account.scheme"),
        ],
    )
    async def test_what_the_standard_cannot_say_is_refused_by_its_field(self, desk: Any, more: Any, path: str) -> None:
        with pytest.raises(Invalid) as refused:
            await desk.create(**more)

        assert [error.path for error in refused.value.fields] == [path]
        assert desk.sent == []
