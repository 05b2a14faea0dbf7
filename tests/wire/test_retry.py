"""The retry table, cell by cell, and how long a pause is."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.observed import Observed
from gateway.wire.retry import DECISIONS, Decision, Pace, Repeat, backoff, decide, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STOP, RETRY, RENEW = Decision.STOP, Decision.RETRY, Decision.RENEW

TABLE = """
                safe    keyed   once
NOT_SENT        RETRY   RETRY   RETRY
SILENCE         RETRY   RETRY   STOP
UNPROVEN        RETRY   RETRY   STOP
BUSY            RETRY   RETRY   RETRY
TOKEN_STALE     RENEW   RENEW   RENEW
TOKEN_REFUSED   STOP    STOP    STOP
GENUINE         STOP    STOP    STOP
"""
CELLS = [
    (repeat, Observed[name], Decision[decision])
    for name, *decisions in (line.split() for line in TABLE.strip().splitlines()[1:])
    for repeat, decision in zip(Repeat, decisions, strict=True)
]


@pytest.mark.parametrize(("repeat", "observed", "decision"), CELLS)
def test_the_table_says(repeat: Repeat, observed: Observed, decision: Decision) -> None:
    assert decide(repeat, observed) is decision


def test_all_21_cells_are_there_and_were_walked() -> None:
    assert set(DECISIONS) == set(product(Repeat, Observed)) == {(repeat, observed) for repeat, observed, _ in CELLS}


def test_what_may_act_twice_is_never_sent_again_after_it_may_have_arrived() -> None:
    assert {decide(Repeat.ONCE, observed) for observed in (Observed.SILENCE, Observed.UNPROVEN)} == {STOP}


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True))
def test_the_pause_is_full_jitter_under_a_cap(attempt: int, chance: float) -> None:
    pace = Pace(base_seconds=0.2, cap_seconds=20)

    assert 0 <= backoff(pace, attempt, chance) <= min(20, 0.2 * 2 ** (attempt - 1))


def test_the_pause_is_never_shorter_than_what_the_partner_asked_for() -> None:
    assert backoff(Pace(), 1, 0.5, asked_for=7.0) == 7.0
    assert backoff(Pace(base_seconds=40, cap_seconds=20), 1, 0.5, asked_for=7.0) == 10.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("Sun, 01 Mar 2026 12:00:09 GMT", 9.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("Sun, 01 Mar 2026 12:00:09 -0000", None),  # no zone is stated
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        (None, None),
        ("9" * 40, 999999999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds
