"""The state table: every state knows what every meaning does to it, and truth never goes back."""

import pytest

from gateway.model.states import FINAL, OPEN, STANDING, TRANSITIONS, Attention, Meaning, State, step

ABOUT_THE_ACT = [
    Meaning.SUCCEEDED,
    Meaning.PROCESSING,
    Meaning.REQUIRES_ACTION,
    Meaning.FAILED,
    Meaning.CANCELLED,
    Meaning.RETURNED,
    Meaning.UNDECLARED,
]


def test_every_state_knows_what_every_meaning_about_the_act_does() -> None:
    assert set(TRANSITIONS) == {(state, meaning) for state in State for meaning in ABOUT_THE_ACT}


@pytest.mark.parametrize("state", sorted(FINAL))
@pytest.mark.parametrize("meaning", [Meaning.PROCESSING, Meaning.REQUIRES_ACTION, Meaning.UNDECLARED])
def test_news_of_an_earlier_stage_never_moves_what_has_ended(state: State, meaning: Meaning) -> None:
    assert step(state, meaning) == (state, None)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.RETURNED])
@pytest.mark.parametrize("meaning", [Meaning.FAILED, Meaning.CANCELLED])
def test_what_happened_is_never_undone_by_a_refusal(state: State, meaning: Meaning) -> None:
    assert step(state, meaning).state is state


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
def test_a_success_after_the_end_is_believed_and_shown_to_a_person(state: State) -> None:
    assert step(state, Meaning.SUCCEEDED) == (State.SUCCEEDED, Attention.LATE_SUCCESS)


def test_a_bounce_follows_a_success() -> None:
    assert step(State.SUCCEEDED, Meaning.RETURNED) == (State.RETURNED, None)
    assert step(State.RETURNED, Meaning.SUCCEEDED) == (State.RETURNED, None)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_proves_nothing_leads_to_doubt(state: State) -> None:
    assert step(state, Meaning.UNDECLARED).state is State.UNKNOWN


@pytest.mark.parametrize("kind", sorted(STANDING))
def test_standing_statuses_lead_only_to_known_statuses(kind: str) -> None:
    table = STANDING[kind]

    assert all(following <= set(table) for following in table.values())
