"""Canonical forms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.canonical import canonical_json, canonical_pairs

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
)


def test_pairs_are_sorted_by_bytes_and_empty_or_excluded_ones_are_left_out() -> None:
    params = {"b": "2", "a": "1 & 更多", "B": "3", "sign": "x", "empty": "", "_": "4"}

    assert canonical_pairs(params, exclude={"sign"}) == "B=3&_=4&a=1 & 更多&b=2"


def test_names_are_sorted_by_their_utf16_code_units() -> None:
    """RFC 8785 section 3.2.3: a sign outside the basic plane sorts by its surrogates, before U+FB33."""
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}

    assert list(json.loads(canonical_json(value)).values()) == [2, 4, 6, 7, 1, 5, 3]


def test_text_is_raw_and_only_what_must_be_escaped_is() -> None:
    """RFC 8785 section 3.2.2.2."""
    value = '\u20ac$\u000f\nA\'B"\\"/\x7f\b\t\f\r'

    assert canonical_json([value]) == '["€$\\u000f\\nA\'B\\"\\\\\\"/\x7f\\b\\t\\f\\r"]'.encode()


@given(VALUES)
def test_the_canonical_form_says_the_same_and_is_its_own_canonical_form(value: Any) -> None:
    once = canonical_json(value)

    assert json.loads(once) == value
    assert canonical_json(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.integers(0, 9)), st.randoms())
def test_the_order_of_members_does_not_count(value: Mapping[str, int], chance: Any) -> None:
    names = list(value)
    chance.shuffle(names)

    assert canonical_json({name: value[name] for name in names}) == canonical_json(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), "\ud800", {"\udfff": 1}])
def test_what_has_no_one_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


@pytest.mark.parametrize("value", [1.0, float("nan"), b"bytes", {1: 2}, {"set"}, [object()]])
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)
