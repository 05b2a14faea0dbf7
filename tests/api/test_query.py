"""The headers that steer a call."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.openapi import KEY_PATTERN
from gateway.api.query import idempotency_key, preferred_wait
from gateway.model.problems import Refused


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('"a b"', "a b"),
        (r'"a\"b\\c"', r'a"b\c'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("k" * 255, "k" * 255),
        ("a:b/c=", "a:b/c="),
    ],
)
def test_a_key_comes_bare_or_as_a_string(header: str, key: str) -> None:
    assert idempotency_key(make_mocked_request("POST", "/", {"Idempotency-Key": header})) == key


@pytest.mark.parametrize("header", ["", "  ", '""', '" "', '"', '"a', 'a"b c', "a\tb", "é", "k" * 256, '"a"; p=1'])
def test_anything_else_is_no_key(header: str) -> None:
    with pytest.raises(Refused) as caught:
        idempotency_key(make_mocked_request("POST", "/", {"Idempotency-Key": header}))

    assert (caught.value.kind, caught.value.status) == ("idempotency_key_required", 400)


@given(st.from_regex(KEY_PATTERN, fullmatch=True).filter(lambda key: len(key) <= 255))
def test_a_key_that_the_document_allows_is_taken(header: str) -> None:
    assert idempotency_key(make_mocked_request("POST", "/", {"Idempotency-Key": header}))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5.0),
        ("respond-async, wait=10", 10.0),
        ("Wait = 3 ; x=y", 3.0),
        ('wait="7"', 7.0),
        ("wait=0", 0.0),
        ("wait=600", 60.0),
        ("wait=soon", None),
        ("wait=-1", None),
        ("return=minimal", None),
        ("", None),
    ],
)
def test_a_preference_is_kept_or_ignored(header: str, seconds: float | None) -> None:
    assert preferred_wait(make_mocked_request("POST", "/", {"Prefer": header})) == seconds
