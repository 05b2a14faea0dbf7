"""When many calls fail, they are not multiplied by retries."""

from __future__ import annotations

import pytest

from gateway.wire.budget import FAILURES, Budget
from gateway.wire.observed import Observed


def test_it_starts_full() -> None:
    assert Budget().allows_retry


def test_five_failures_in_a_row_end_all_retries() -> None:
    budget = Budget()

    allowed = []
    for _ in range(5):
        budget.record(Observed.SILENCE)
        allowed.append(budget.allows_retry)

    assert allowed == [True, True, True, True, False]


def test_ten_successes_make_up_for_one_failure() -> None:
    budget = Budget()
    for _ in range(5):
        budget.record(Observed.NOT_SENT)

    for _ in range(10):
        budget.record(Observed.GENUINE)

    assert budget.describe() == {"tokens": 6.0, "of": 10.0, "allows_retry": True}


def test_it_never_holds_more_than_all_or_less_than_nothing() -> None:
    budget = Budget()
    budget.record(Observed.GENUINE)
    assert budget.describe()["tokens"] == 10.0

    for _ in range(30):
        budget.record(Observed.UNPROVEN)

    assert budget.describe()["tokens"] == 0.0


@pytest.mark.parametrize("observed", Observed)
def test_only_what_another_try_might_mend_costs_a_token(observed: Observed) -> None:
    budget = Budget()

    budget.record(observed)

    assert (budget.describe()["tokens"] == 9.0) is (observed in FAILURES)
