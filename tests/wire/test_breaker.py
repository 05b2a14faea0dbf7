"""What fails again and again is left alone, and found again by questions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.model.problems import NotSent
from gateway.testing.clock import ManualClock
from gateway.wire.breaker import Breaker
from gateway.wire.observed import Observed

PAY, FETCH = "create_payment", "fetch_payment"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def breaker(clock: ManualClock) -> Breaker:
    return Breaker("riverbank-main", clock, rest_seconds=10, patience_seconds=30)


def send(breaker: Breaker, verb: str, observed: Observed | None, *, effect: bool) -> None:
    breaker.admit(verb, effect=effect)
    breaker.record(verb, observed, effect=effect)


def opened(breaker: Breaker, verb: str = PAY, *, effect: bool = True) -> None:
    for _ in range(5):
        send(breaker, verb, Observed.SILENCE, effect=effect)
    assert breaker.state(verb) == "open"


def later(clock: ManualClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


@pytest.mark.parametrize("observed", [Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN])
def test_five_failures_among_the_last_ten_open_it(breaker: Breaker, observed: Observed) -> None:
    for _ in range(4):
        send(breaker, PAY, observed, effect=True)
        send(breaker, PAY, Observed.GENUINE, effect=True)
    assert breaker.state(PAY) == "closed"

    send(breaker, PAY, observed, effect=True)

    with pytest.raises(NotSent, match="riverbank-main failed again and again at create_payment"):
        breaker.admit(PAY, effect=True)


@pytest.mark.parametrize("observed", [Observed.GENUINE, Observed.BUSY, Observed.TOKEN_STALE, Observed.TOKEN_REFUSED])
def test_a_genuine_no_is_a_sign_of_life(breaker: Breaker, observed: Observed) -> None:
    for _ in range(20):
        send(breaker, PAY, observed, effect=True)

    assert breaker.state(PAY) == "closed"


def test_what_ended_before_anything_was_observed_counts_for_nothing(breaker: Breaker) -> None:
    for _ in range(20):
        send(breaker, PAY, None, effect=True)

    assert breaker.describe() == {PAY: {"state": "closed", "failed": 0, "of": 0}}


def test_old_failures_are_forgotten(breaker: Breaker) -> None:
    for _ in range(4):
        send(breaker, PAY, Observed.SILENCE, effect=True)
    for _ in range(10):
        send(breaker, PAY, Observed.GENUINE, effect=True)

    send(breaker, PAY, Observed.SILENCE, effect=True)

    assert breaker.describe()[PAY] == {"state": "closed", "failed": 1, "of": 10}


def test_each_verb_has_its_own(breaker: Breaker) -> None:
    opened(breaker)

    breaker.admit(FETCH, effect=False)

    assert (breaker.state(PAY), breaker.state(FETCH)) == ("open", "closed")


def test_half_open_lets_one_question_through_at_a_time(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker, FETCH, effect=False)
    with pytest.raises(NotSent):
        breaker.admit(FETCH, effect=False)
    later(clock, 10)
    assert breaker.state(FETCH) == "half_open"

    breaker.admit(FETCH, effect=False)

    with pytest.raises(NotSent):
        breaker.admit(FETCH, effect=False)


def test_a_probe_that_was_cancelled_makes_room_for_the_next(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker, FETCH, effect=False)
    later(clock, 10)

    send(breaker, FETCH, None, effect=False)

    send(breaker, FETCH, Observed.GENUINE, effect=False)
    assert breaker.state(FETCH) == "closed"


def test_a_probe_that_fails_lets_it_rest_again(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker, FETCH, effect=False)
    later(clock, 10)

    send(breaker, FETCH, Observed.SILENCE, effect=False)

    assert breaker.state(FETCH) == "open"


def test_acts_are_no_probes(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    later(clock, 10)

    with pytest.raises(NotSent, match="try again in 20 s"):
        breaker.admit(PAY, effect=True)


def test_an_answered_question_of_another_verb_closes_what_has_rested(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    later(clock, 10)

    send(breaker, FETCH, Observed.GENUINE, effect=False)

    breaker.admit(PAY, effect=True)
    assert breaker.state(PAY) == "closed"


def test_an_answered_question_does_not_close_what_has_not_rested(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    later(clock, 9)

    send(breaker, FETCH, Observed.GENUINE, effect=False)

    assert breaker.state(PAY) == "open"


def test_where_nobody_asks_an_act_may_try_after_a_while(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    later(clock, 30)

    breaker.admit(PAY, effect=True)
    with pytest.raises(NotSent):
        breaker.admit(PAY, effect=True)
    breaker.record(PAY, Observed.GENUINE, effect=True)

    assert breaker.state(PAY) == "closed"


def test_what_was_closed_again_is_on_probation(breaker: Breaker, clock: ManualClock) -> None:
    opened(breaker)
    later(clock, 10)
    send(breaker, FETCH, Observed.GENUINE, effect=False)

    send(breaker, PAY, Observed.SILENCE, effect=True)

    assert breaker.state(PAY) == "open"


def test_a_late_end_of_a_send_from_before_changes_nothing(breaker: Breaker) -> None:
    breaker.admit(PAY, effect=True)
    opened(breaker)

    breaker.record(PAY, Observed.GENUINE, effect=True)

    assert breaker.state(PAY) == "open"
