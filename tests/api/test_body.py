"""Reading a body: strict JSON, and errors that name the place but never repeat what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.body import DEPTH, fit, json_object
from gateway.model.insurance import Parcel
from gateway.model.payments import NewPayment
from gateway.model.problems import Invalid, Refused
from gateway.model.transfers import NewTransfer

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('ab{[\\"', max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=5))
def test_what_is_json_is_read_as_it_stands(value: dict[str, Any]) -> None:
    assert json_object(json.dumps(value).encode()) == value


@given(st.binary(max_size=60))
def test_anything_else_is_refused_and_nothing_breaks(raw: bytes) -> None:
    try:
        value = json_object(raw)
    except Refused as refusal:
        assert refusal.kind == "malformed_json"
    else:
        assert isinstance(value, dict)


def test_the_deepest_body_that_is_allowed_is_read() -> None:
    raw = b'{"a":' * DEPTH + b"1" + b"}" * DEPTH

    assert json_object(raw)
    with pytest.raises(Refused, match="32 levels"):
        json_object(b'{"a":' + raw + b"}")


def test_brackets_in_texts_are_no_levels() -> None:
    assert json_object(json.dumps({"a": "[{" * 200}).encode())


def test_a_pair_of_surrogates_is_a_character_and_a_half_is_none() -> None:
    assert json_object(b'{"a":"\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}
    for half in (b'{"a":"\\ud83d"}', b'{"\\uDE00":1}'):
        with pytest.raises(Refused, match="UTF-8"):
            json_object(half)


def test_the_member_that_occurs_twice_is_named() -> None:
    with pytest.raises(Refused, match="'amount' occurs twice"):
        json_object(b'{"amount":1,"a":{},"amount":100}')


def test_every_field_that_is_wrong_is_named_with_its_path() -> None:
    with pytest.raises(Invalid) as caught:
        fit(NewTransfer, {"connection": "x", "amount": {"amount": "1"}, "creditor": {"account": {"scheme": "giro"}}})

    assert {(error.path, error.detail) for error in caught.value.fields} >= {
        ("reference", "is needed"),
        ("amount.currency", "is needed"),
        ("creditor.name", "is needed"),
        ("creditor.account.identification", "is needed"),
    }
    assert "creditor.account.scheme" in {error.path for error in caught.value.fields}


def test_a_list_with_wrong_items_is_not_called_too_short_as_well() -> None:
    assert {path for path, _ in wrong_in_parcel([{"name": "a coat\n"}])} == {"goods.0.name"}
    assert wrong_in_parcel([]) == {("goods", "list should have at least 1 item, not 0")}


def wrong_in_parcel(goods: list[Any]) -> set[tuple[str, str]]:
    parcel = {
        "payment_reference": "4200",
        "paid_at": "2026-03-01T00:00:00Z",
        "paid": {"amount": "1.00", "currency": "CNY"},
        "waybill": "SF1",
        "sent_from": {"country": "CN"},
        "sent_to": {"country": "CN"},
        "goods": goods,
    }
    with pytest.raises(Invalid) as caught:
        fit(Parcel, parcel)
    return {(error.path, error.detail) for error in caught.value.fields}


@given(st.text(min_size=9).filter(lambda text: not text.isspace()))
def test_what_was_sent_is_never_repeated(secret: str) -> None:
    secret = "\N{LATIN SMALL LETTER THORN}" + secret
    body = {"payer": {"phone": secret, "birth_date": secret}, "amount": secret, "method": {"type": secret}}

    with pytest.raises(Invalid) as caught:
        fit(NewPayment, body)

    assert secret not in " ".join([caught.value.detail, *(error.detail for error in caught.value.fields)])
