"""Each kind of failure and reply has one name, and nothing is left without one."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.states import BUSY, FAILED, NOT_PROCESSED, SUCCEEDED, TOKEN_REFUSED, Meaning
from gateway.model.terms import Proof
from gateway.wire.observed import BROKEN, Observed, Seen, Verdict, classify, may_have_acted
from gateway.wire.transport import KINDS

NOT_SENT, SILENCE, UNPROVEN, GENUINE = Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN, Observed.GENUINE
REFUSED: frozenset[str | int] = frozenset({401, "40001"})
ALL_KINDS = sorted({kind for _, kind, _ in KINDS} | BROKEN | {"deadline"})


def reply(status: int = 200, verdict: Verdict = Verdict.PROVEN, meaning: Meaning = SUCCEEDED, **fields: object) -> Seen:
    return replace(Seen(True, None, status, verdict=verdict, code="X", meaning=meaning), **fields)  # type: ignore[arg-type]  # names of fields


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_what_never_left_was_not_sent_however_it_failed(kind: str) -> None:
    assert classify(Seen(False, kind)) is NOT_SENT


@pytest.mark.parametrize("kind", sorted(set(ALL_KINDS) - BROKEN))
def test_what_left_and_got_no_complete_reply_is_silence(kind: str) -> None:
    assert classify(Seen(True, kind)) is SILENCE


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_what_came_back_and_is_no_reply_proves_nothing(kind: str) -> None:
    assert classify(Seen(True, kind)) is UNPROVEN


@pytest.mark.parametrize("verdict", [Verdict.BAD, Verdict.UNKNOWN_KEY, Verdict.NONE])
@pytest.mark.parametrize("status", [200, 400, 401, 429, 500, 503])
def test_a_reply_that_is_not_proven_says_nothing_whatever_its_status(verdict: Verdict, status: int) -> None:
    assert classify(reply(status, verdict, Meaning.UNDECLARED, retry_after=True)) is UNPROVEN


@pytest.mark.parametrize("meaning", sorted(set(Meaning) - {BUSY, TOKEN_REFUSED}))
@pytest.mark.parametrize("status", [200, 201, 400, 422, 500])
def test_a_proven_reply_is_genuine_a_refusal_too(meaning: Meaning, status: int) -> None:
    assert classify(reply(status, meaning=meaning)) is GENUINE


@pytest.mark.parametrize("status", [101, 300, 301, 302, 303, 307, 308, 399])
def test_a_redirect_proves_nothing_even_if_it_is_signed(status: int) -> None:
    assert classify(reply(status)) is UNPROVEN


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520])
def test_where_only_the_channel_proves_a_proxys_own_status_does_not(status: int) -> None:
    assert classify(reply(status, meaning=BUSY), proof=Proof.CHANNEL) is UNPROVEN
    assert classify(reply(status, meaning=BUSY), proof=Proof.SIGNATURE) is Observed.BUSY


@pytest.mark.parametrize(
    ("status", "retry_after", "meaning", "expected"),
    [
        (200, False, BUSY, Observed.BUSY),
        (429, False, Meaning.UNDECLARED, Observed.BUSY),
        (503, True, Meaning.UNDECLARED, Observed.BUSY),
        (503, False, Meaning.UNDECLARED, GENUINE),
        (429, True, FAILED, GENUINE),  # the terms know better than the status
        (200, True, NOT_PROCESSED, GENUINE),  # final for this request: sending it again would not help
    ],
)
def test_not_now_is_told_by_the_code_and_by_status_where_there_is_none(
    status: int, retry_after: bool, meaning: Meaning, expected: Observed
) -> None:
    assert classify(reply(status, meaning=meaning, retry_after=retry_after)) is expected


@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize(("renewed", "expected"), [(False, Observed.TOKEN_STALE), (True, Observed.TOKEN_REFUSED)])
def test_a_declared_refusal_of_the_token_is_one_for_every_request(
    once: bool, renewed: bool, expected: Observed
) -> None:
    seen = reply(200, meaning=TOKEN_REFUSED)

    assert classify(seen, once=once, refused=REFUSED, renewed=renewed) is expected


@pytest.mark.parametrize(
    "seen",
    [
        reply(401, Verdict.BAD, Meaning.UNDECLARED),
        reply(401, Verdict.PROVEN, Meaning.UNDECLARED),
        reply(200, meaning=Meaning.UNDECLARED, code="40001"),
    ],
    ids=["unsigned 401", "proven 401", "undeclared code"],
)
def test_a_bare_refusal_of_the_token_is_believed_only_where_sending_again_is_harmless(seen: Seen) -> None:
    assert classify(seen, once=False, refused=REFUSED) is Observed.TOKEN_STALE
    assert classify(seen, once=False, refused=REFUSED, renewed=True) is Observed.TOKEN_REFUSED
    assert classify(seen, once=True, refused=REFUSED) is UNPROVEN


def test_an_unsigned_body_cannot_claim_that_the_token_was_refused() -> None:
    seen = reply(200, Verdict.BAD, TOKEN_REFUSED, code="40001")

    assert classify(seen, refused=REFUSED) is UNPROVEN


def test_a_declared_code_goes_before_the_status_under_which_it_came() -> None:
    assert classify(reply(401, meaning=FAILED), refused=REFUSED) is GENUINE


def test_without_a_token_no_token_can_be_refused() -> None:
    assert classify(reply(401, meaning=Meaning.UNDECLARED)) is GENUINE
    assert classify(reply(200, meaning=TOKEN_REFUSED)) is GENUINE


facts = st.builds(
    Seen,
    headers_sent=st.booleans(),
    failure=st.none() | st.sampled_from(ALL_KINDS) | st.text(max_size=5),
    status=st.none() | st.integers(0, 999),
    retry_after=st.booleans(),
    verdict=st.sampled_from(Verdict),
    code=st.none() | st.sampled_from(["40001", "OK"]),
    meaning=st.sampled_from(Meaning),
)


@given(
    facts,
    st.booleans(),
    st.sampled_from(Proof),
    st.frozensets(st.sampled_from([401, 403, "40001"]), max_size=3),
    st.booleans(),
)
def test_it_is_total_and_never_turns_doubt_into_certainty(
    seen: Seen, once: bool, proof: Proof, refused: frozenset[str | int], renewed: bool
) -> None:
    observed = classify(seen, once=once, proof=proof, refused=refused, renewed=renewed)

    if seen.headers_sent:
        assert observed is not NOT_SENT
    if observed in (GENUINE, Observed.BUSY):
        assert seen.verdict is Verdict.PROVEN
    if seen.headers_sent and seen.verdict is not Verdict.PROVEN:
        assert may_have_acted(observed, Meaning.UNDECLARED)
    if once and observed in (Observed.TOKEN_STALE, Observed.TOKEN_REFUSED):
        assert not may_have_acted(observed, seen.meaning)


def test_only_what_did_not_leave_or_was_provably_not_executed_cannot_have_acted() -> None:
    harmless = {
        (observed, meaning) for observed, meaning in product(Observed, Meaning) if not may_have_acted(observed, meaning)
    }

    assert harmless == {
        *product([Observed.NOT_SENT, Observed.BUSY], Meaning),
        *product([Observed.TOKEN_STALE, Observed.TOKEN_REFUSED, GENUINE], [NOT_PROCESSED, BUSY, TOKEN_REFUSED]),
    }
