"""What the one door decides where messages cross each other, or nobody can be asked."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.money import Money
from gateway.model.states import Attention, Meaning, State
from gateway.model.terms import Terms
from gateway.operations.facts import HORIZON, Said, Source, decide
from gateway.sandbox import Point
from gateway.store.operation import Reason
from tests.house import house, until
from tests.operations.test_facts import AMOUNT, NOW, TERMS, operation, payment, said

LATER = NOW + TERMS.settle_window
NOBODY = Terms()
ANOTHER_AMOUNT = payment(amount=Money.of("0.05", "CNY"))
WORD = Said(Meaning.SUCCEEDED, Source.PERSON, reason=Reason(code="settled_by_person"))


class TestConflicts:
    """Another amount calls a person; the partner is asked once more, and never in a circle."""

    def test_a_callback_about_another_amount_is_checked_at_once(self) -> None:
        change = decide(operation(), said(Meaning.SUCCEEDED, Source.CALLBACK, fact=ANOTHER_AMOUNT), TERMS, NOW)

        assert change.operation.next_inquiry_at == NOW

    @pytest.mark.parametrize("state", [State.PROCESSING, State.SUCCEEDED])
    def test_an_answer_about_another_amount_is_asked_for_again_at_the_rhythm(self, state: State) -> None:
        watching = Terms(inquiry=TERMS.inquiry, rhythm=TERMS.rhythm, watch=(1.0, 5.0))
        due = operation(state, next_inquiry_at=NOW)

        change = decide(due, said(Meaning.SUCCEEDED, Source.INQUIRY, fact=ANOTHER_AMOUNT), watching, NOW)

        assert change.operation.next_inquiry_at == NOW + timedelta(seconds=5)
        assert [item.code for item in change.operation.attention] == [Attention.CONFLICT]


class TestSteps:
    """While a step may still arrive, "a person must act" is old news: the step must not be open to be taken twice."""

    @pytest.mark.parametrize("source", [Source.INQUIRY, Source.CALLBACK])
    @pytest.mark.parametrize("state", [State.PROCESSING, State.UNKNOWN])
    def test_a_step_that_is_out_is_not_asked_for_again(self, state: State, source: Source) -> None:
        out = operation(state, acted_verb="continue_payment", may_have_acted=True)

        change = decide(out, said(Meaning.REQUIRES_ACTION, source), TERMS, NOW + timedelta(seconds=3))

        assert (change.operation.state, change.operation.may_have_acted) == (state, True)
        assert change.events == ()

    def test_after_the_settle_window_the_step_may_be_taken_again(self) -> None:
        out = operation(acted_verb="continue_payment", may_have_acted=True)

        change = decide(out, said(Meaning.REQUIRES_ACTION, Source.INQUIRY), TERMS, LATER)

        assert (change.operation.state, change.operation.may_have_acted) == (State.REQUIRES_ACTION, False)

    def test_the_reply_to_the_step_itself_may_ask_for_another_one(self) -> None:
        out = operation(acted_verb="continue_payment", may_have_acted=True)

        assert decide(out, said(Meaning.REQUIRES_ACTION), TERMS, NOW).operation.state is State.REQUIRES_ACTION

    def test_the_first_act_is_no_step(self) -> None:
        begun = operation(acted_verb="create_payment", may_have_acted=True)

        change = decide(begun, said(Meaning.REQUIRES_ACTION, Source.INQUIRY), TERMS, NOW)

        assert change.operation.state is State.REQUIRES_ACTION


class TestNobodyToAsk:
    """What is open has its next inquiry or its person, also where a partner can be asked nothing."""

    @pytest.mark.parametrize("meaning", [Meaning.PROCESSING, Meaning.REQUIRES_ACTION])
    def test_it_comes_up_again_if_no_news_comes(self, meaning: Meaning) -> None:
        assert decide(operation(), said(meaning), NOBODY, NOW).operation.next_inquiry_at == NOW + HORIZON

    def test_doubt_is_with_a_person_at_once(self) -> None:
        change = decide(operation(), said(Meaning.UNKNOWN), NOBODY, NOW)

        assert [item.code for item in change.operation.attention] == [Attention.OVERDUE_UNKNOWN]


def test_where_nothing_that_acts_had_left_before_a_crash_it_failed() -> None:
    begun = operation(may_have_acted=True)
    recovered = Said(Meaning.NOT_PROCESSED, Source.RECOVERY, reason=Reason(code="not_sent"))

    assert decide(begun, recovered, TERMS, NOW).operation.state is State.FAILED


class TestRefundable:
    """What refunds may take in all is what was captured."""

    def test_a_payment_that_a_person_settled_can_be_refunded(self) -> None:
        settled = decide(operation(State.UNKNOWN), WORD, TERMS, NOW).operation

        assert settled.reservable == AMOUNT.minor()

    def test_a_part_that_was_captured_stays_the_limit_when_later_messages_do_not_say_it(self) -> None:
        part = decide(operation(), said(Meaning.SUCCEEDED, fact=payment(captured=Money.of("60.00", "CNY"))), TERMS, NOW)

        again = decide(part.operation, said(Meaning.SUCCEEDED, Source.CALLBACK), TERMS, NOW)

        assert (part.operation.reservable, again.operation.reservable) == (6000, 6000)


async def test_while_a_call_runs_its_settle_window_counts_from_the_last_moment_at_which_it_can_send(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as h:
        h.bank.faults.arm(Point.DELAY_AFTER, "POST transfers", seconds=0.3)
        call = asyncio.create_task(h.transfer(reference="PAYOUT"))
        await until(lambda: bool(h.bank.ledger.arrivals))

        running = await h.store.operation_by_reference("shop", "transfer", "PAYOUT")
        ended = (await call).operation

        assert running is not None
        assert running.last_sent_at == running.created_at + h.connection.deadline
        assert ended.last_sent_at is not None
        assert ended.last_sent_at < running.last_sent_at
