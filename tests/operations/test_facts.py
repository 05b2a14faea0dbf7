"""The one door decides from facts: what counts as proof, what keeps doubt, and what calls a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.model.facts import NextAction, PaymentFact, RefundFact, TransferFact
from gateway.model.money import Money
from gateway.model.states import FINAL, OPEN, Attention, Meaning, State
from gateway.model.terms import ByKey, Terms, minutes
from gateway.operations.facts import Said, Source, decide
from gateway.store.operation import Operation

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TERMS = Terms(inquiry=(ByKey(),), settle_window=minutes(30), rhythm=(1, 5, 60))
AMOUNT = Money.of("128.00", "CNY")


def operation(state: State = State.PROCESSING, **fields: Any) -> Operation:
    values: dict[str, Any] = {
        "id": "pay_1",
        "client": "shop",
        "kind": "payment",
        "mode": "sandbox",
        "partner": "riverbank",
        "connection": "riverbank",
        "verb": "create_payment",
        "state": state,
        "reference": "LN-1",
        "partner_key": "KEY",
        "created_at": NOW,
        "updated_at": NOW,
        "last_sent_at": NOW,
        "amount": AMOUNT,
    }
    return Operation(**(values | fields))


def payment(**fields: Any) -> PaymentFact:
    return PaymentFact(**({"code": "X", "partner_key": "KEY", "amount": AMOUNT} | fields))


def said(meaning: Meaning, source: Source = Source.REPLY, **fields: Any) -> Said:
    return Said(meaning, source, **({"fact": payment()} | fields))


def test_a_proven_success_ends_the_operation_and_opens_it_for_refunds() -> None:
    change = decide(operation(), said(Meaning.SUCCEEDED), TERMS, NOW)

    assert change.operation.state is State.SUCCEEDED
    assert change.operation.reservable == 12800
    assert change.operation.next_inquiry_at is None
    assert change.events == ("succeeded",)
    assert (change.operation.version, change.operation.sequence) == (2, 1)


@pytest.mark.parametrize(
    ("meaning", "code"),
    [(Meaning.BUSY, "busy"), (Meaning.NOT_PROCESSED, "not_sent"), (Meaning.TOKEN_REFUSED, "token_refused")],
)
def test_a_refusal_of_the_only_request_is_a_failure_in_which_nothing_happened(meaning: Meaning, code: str) -> None:
    change = decide(operation(), said(meaning), TERMS, NOW)

    assert change.operation.state is State.FAILED
    assert change.operation.reason is not None
    assert change.operation.reason.code == code


@pytest.mark.parametrize("meaning", [Meaning.BUSY, Meaning.NOT_PROCESSED, Meaning.TOKEN_REFUSED, Meaning.UNDECLARED])
def test_a_refusal_of_one_request_never_settles_an_earlier_one_that_may_have_arrived(meaning: Meaning) -> None:
    change = decide(operation(), said(meaning, in_doubt=True), TERMS, NOW)

    assert change.operation.state is State.UNKNOWN
    assert change.operation.may_have_acted
    assert change.operation.next_inquiry_at == NOW + timedelta(seconds=1)


def test_a_duplicate_is_inquired_about_and_is_no_failure() -> None:
    assert decide(operation(), said(Meaning.SEEN), TERMS, NOW).operation.state is State.UNKNOWN


class TestNotFound:
    """ "No such act" is a failure only after the settle window."""

    def ask(self, standing: Operation, after: timedelta) -> State:
        return decide(standing, said(Meaning.NOT_FOUND, Source.INQUIRY), TERMS, NOW + after).operation.state

    def test_within_the_window_it_says_nothing(self) -> None:
        assert self.ask(operation(State.UNKNOWN), minutes(29)) is State.UNKNOWN

    def test_after_the_window_the_act_did_not_happen(self) -> None:
        assert self.ask(operation(State.UNKNOWN), minutes(30)) is State.FAILED

    def test_the_window_counts_from_the_last_send(self) -> None:
        late = operation(State.UNKNOWN, last_sent_at=NOW + minutes(10))

        assert self.ask(late, minutes(31)) is State.UNKNOWN

    def test_while_the_payer_can_still_act_the_payer_is_waited_for(self) -> None:
        waiting = operation(State.REQUIRES_ACTION, next_action_until=NOW + minutes(60))

        assert self.ask(waiting, minutes(59)) is State.REQUIRES_ACTION
        assert self.ask(waiting, minutes(89)) is State.REQUIRES_ACTION
        assert self.ask(waiting, minutes(90)) is State.FAILED

    def test_as_a_reply_to_the_act_itself_it_proves_nothing(self) -> None:
        change = decide(operation(), said(Meaning.NOT_FOUND, in_doubt=True), TERMS, NOW + minutes(60))

        assert change.operation.state is State.UNKNOWN

    @pytest.mark.parametrize("state", sorted(FINAL))
    def test_it_never_moves_what_has_ended(self, state: State) -> None:
        assert self.ask(operation(state), minutes(60)) is state


class TestMatching:
    """A genuine message about something else changes no state and calls a person."""

    @pytest.mark.parametrize(
        "fact",
        [
            payment(amount=Money.of("1.00", "CNY")),
            payment(amount=Money.of("128.00", "GBP")),
            payment(partner_key="OTHER"),
        ],
    )
    @pytest.mark.parametrize("source", [Source.REPLY, Source.INQUIRY, Source.CALLBACK])
    def test_another_amount_or_order_is_a_conflict(self, fact: PaymentFact, source: Source) -> None:
        change = decide(operation(State.UNKNOWN), said(Meaning.SUCCEEDED, source, fact=fact), TERMS, NOW)

        assert change.operation.state is State.UNKNOWN
        assert [item.code for item in change.operation.attention] == [Attention.CONFLICT]
        wait = timedelta(seconds=5) if source is Source.INQUIRY else timedelta()
        assert change.operation.next_inquiry_at == NOW + wait
        assert change.events == ("attention",)

    @pytest.mark.parametrize("fact", [payment(partner_key=None), payment(amount=None)])
    def test_a_callback_must_say_which_act_and_which_amount(self, fact: PaymentFact) -> None:
        change = decide(operation(State.UNKNOWN), said(Meaning.SUCCEEDED, Source.CALLBACK, fact=fact), TERMS, NOW)

        assert change.operation.state is State.UNKNOWN

    def test_a_reply_is_bound_by_the_exchange(self) -> None:
        bare = payment(partner_key=None, amount=None)

        assert decide(operation(), said(Meaning.SUCCEEDED, fact=bare), TERMS, NOW).operation.state is State.SUCCEEDED

    def test_the_same_conflict_is_raised_once(self) -> None:
        wrong = said(Meaning.SUCCEEDED, Source.CALLBACK, fact=payment(partner_key="OTHER"))
        first = decide(operation(State.UNKNOWN), wrong, TERMS, NOW)

        second = decide(first.operation, wrong, TERMS, NOW)

        assert second.events == ()
        assert len(second.operation.attention) == 1


def test_a_late_success_is_believed_and_shown() -> None:
    change = decide(operation(State.FAILED), said(Meaning.SUCCEEDED, Source.CALLBACK), TERMS, NOW)

    assert change.operation.state is State.SUCCEEDED
    assert change.raised == (Attention.LATE_SUCCESS,)
    assert change.events == ("succeeded", "attention")


def test_a_code_that_the_terms_do_not_list_raises_drift() -> None:
    change = decide(operation(), said(Meaning.UNDECLARED, in_doubt=True), TERMS, NOW)

    assert change.events == ("unknown", "drift")


def test_inquiries_follow_the_partners_rhythm_and_its_last_beat_repeats() -> None:
    standing = operation(State.UNKNOWN, may_have_acted=True)
    waits = []
    for _ in range(4):
        standing = decide(standing, Said(Meaning.NOT_PROCESSED, Source.INQUIRY), TERMS, NOW).operation
        assert standing.next_inquiry_at is not None
        waits.append((standing.next_inquiry_at - NOW).total_seconds())

    assert waits == [5, 60, 60, 60]


def test_an_act_that_a_dead_process_left_behind_is_shown_as_unknown() -> None:
    left = operation(State.PROCESSING, may_have_acted=True)

    assert decide(left, Said(Meaning.NOT_PROCESSED, Source.INQUIRY), TERMS, NOW).operation.state is State.UNKNOWN


def test_doubt_that_nobody_can_settle_goes_to_a_person_at_once() -> None:
    change = decide(operation(), Said(Meaning.UNDECLARED, Source.REPLY, in_doubt=True), Terms(), NOW)

    assert change.raised == (Attention.OVERDUE_UNKNOWN,)
    assert change.operation.next_inquiry_at is None


def test_doubt_beyond_the_horizon_goes_to_a_person_and_is_still_inquired_about() -> None:
    standing = operation(State.UNKNOWN, may_have_acted=True)

    change = decide(standing, Said(Meaning.NOT_PROCESSED, Source.INQUIRY), TERMS, NOW + timedelta(days=3))

    assert change.raised == (Attention.OVERDUE_UNKNOWN,)
    assert change.operation.next_inquiry_at is not None


class TestFollowUps:
    """A refund holds its part of the payment until it provably failed."""

    def refund(self, state: State) -> Operation:
        return operation(state, id="rfd_1", kind="refund", parent="pay_1", verb="create_refund")

    def fact(self) -> RefundFact:
        return RefundFact(code="X", partner_key="KEY", amount=AMOUNT)

    @pytest.mark.parametrize(
        ("state", "meaning", "released"),
        [
            (State.PROCESSING, Meaning.FAILED, 12800),
            (State.UNKNOWN, Meaning.CANCELLED, 12800),
            (State.PROCESSING, Meaning.SUCCEEDED, 0),
            (State.PROCESSING, Meaning.PROCESSING, 0),
            (State.UNKNOWN, Meaning.UNDECLARED, 0),
            (State.FAILED, Meaning.FAILED, 0),
            (State.FAILED, Meaning.SUCCEEDED, -12800),
            (State.SUCCEEDED, Meaning.RETURNED, 12800),
            (State.RETURNED, Meaning.RETURNED, 0),
        ],
    )
    def test_only_proof_that_the_money_is_back_or_never_left_gives_the_part_back(
        self, state: State, meaning: Meaning, released: int
    ) -> None:
        change = decide(self.refund(state), Said(meaning, Source.INQUIRY, self.fact()), TERMS, NOW)

        assert change.released == released

    def test_doubt_keeps_the_part(self) -> None:
        change = decide(
            self.refund(State.PROCESSING), Said(Meaning.UNDECLARED, Source.REPLY, in_doubt=True), TERMS, NOW
        )

        assert change.operation.state is State.UNKNOWN
        assert change.released == 0


def test_a_partners_own_words_are_kept_at_a_bounded_length() -> None:
    change = decide(operation(), said(Meaning.FAILED, fact=payment(code="D", message="x" * 10_000)), TERMS, NOW)

    assert change.operation.reason is not None
    assert change.operation.reason.partner_message == "x" * 499 + "…"


def test_a_next_action_lives_as_long_as_the_partner_says() -> None:
    action = NextAction(kind="qr_code", qr_code="https://qr", life=minutes(5))

    change = decide(operation(), said(Meaning.REQUIRES_ACTION, next_action=action), TERMS, NOW)

    assert change.operation.next_action == action
    assert change.operation.next_action_until == NOW + minutes(5)
    assert decide(change.operation, said(Meaning.SUCCEEDED), TERMS, NOW).operation.next_action is None


def test_what_is_learnt_is_added_to_what_was_known() -> None:
    standing = operation(partner_references={"trade": "1"}, result={"fee": "0"})
    fact = payment(references={"order": "2"}, captured=AMOUNT)

    change = decide(standing, said(Meaning.SUCCEEDED, fact=fact), TERMS, NOW)

    assert change.operation.partner_references == {"trade": "1", "order": "2"}
    assert change.operation.result["captured"] == {"amount": "128.00", "currency": "CNY"}


def test_a_partner_whose_transfers_can_bounce_is_asked_again_after_success() -> None:
    terms = Terms(inquiry=(ByKey(),), watch=(60, 600))
    transfer = operation(kind="transfer", verb="create_transfer")
    fact = TransferFact(code="X", partner_key="KEY", amount=AMOUNT)
    first = decide(transfer, Said(Meaning.SUCCEEDED, Source.REPLY, fact), terms, NOW).operation

    second = decide(first, Said(Meaning.SUCCEEDED, Source.INQUIRY, fact), terms, NOW).operation
    third = decide(second, Said(Meaning.SUCCEEDED, Source.INQUIRY, fact), terms, NOW).operation

    assert first.next_inquiry_at == NOW + timedelta(seconds=60)
    assert second.next_inquiry_at == NOW + timedelta(seconds=600)
    assert third.next_inquiry_at is None


@pytest.mark.parametrize("state", sorted(State))
@pytest.mark.parametrize("meaning", sorted(Meaning))
@pytest.mark.parametrize("source", sorted(Source))
def test_every_meaning_in_every_state_has_an_answer(state: State, meaning: Meaning, source: Source) -> None:
    change = decide(operation(state), said(meaning, source), TERMS, NOW)

    if state in FINAL:
        assert change.operation.state in FINAL
    assert change.operation.state in FINAL or change.operation.next_inquiry_at is not None
    assert change.operation.state in OPEN | FINAL


@pytest.mark.parametrize(
    ("kind", "standing", "told", "stands"),
    [
        ("consent", None, "pending", "pending"),
        ("consent", "pending", "active", "active"),
        ("consent", "consumed", "active", "consumed"),
        ("policy", "in_force", "pending_issue", "in_force"),
        ("payment", None, "active", None),
        ("consent", "active", "nonsense", "active"),
    ],
)
def test_a_standing_status_moves_only_forward(kind: str, standing: str | None, told: str, stands: str | None) -> None:
    standing_operation = operation(State.SUCCEEDED, kind=kind, status=standing, amount=None)

    change = decide(standing_operation, said(Meaning.SUCCEEDED, Source.INQUIRY, status=told), TERMS, NOW)

    assert change.operation.status == stands
