"""RSA over sorted parameters: only what the signature covers comes back."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.rsa_canonical import RSACanonical
from gateway.model.message import Callback, Handoff, Reply, Request, Returned, Stamp
from gateway.model.problems import AdapterError, NotProven
from tests.crypto.rings import ring

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STAMP = Stamp(NOW, "0123456789abcdef0123456789abcdef")
KEYS = ring("RS256")
SCHEME = RSACanonical()
TIMED = RSACanonical(timestamp="timestamp", nonce="nonce", exclude=frozenset({"sign_type"}))
REQUEST = Request.get("https://bank.example")
PAID = {"trade": "T1", "amount": "128.00", "remark": "a=b 更多", "empty": "", "sign_type": "RSA2"}


def form(params: dict[str, str], scheme: RSACanonical = SCHEME) -> bytes:
    """`params` as a partner that signs in the same way would send them."""
    return scheme.sign(Request.form("https://us.example", params), KEYS, STAMP).body


def reply(body: bytes) -> Reply:
    return Reply(200, (), body, NOW)


def callback(body: bytes, received_at: datetime = NOW) -> Callback:
    return Callback("POST", "/callbacks/riverbank", (), body, received_at)


def test_the_signature_covers_the_sorted_parameters_of_a_form() -> None:
    fields = dict(pairs_of(form({"b": "2", "a": "1", "empty": ""})))

    KEYS.verify(b"a=1&b=2", _base64(fields["sign"]), "RS256")
    assert fields["a"] == "1" and fields["empty"] == ""


def test_the_query_is_signed_where_there_is_no_body() -> None:
    signed = SCHEME.sign(Request.get("https://bank.example/query?a=1"), KEYS, STAMP)

    fields = parse_qs(urlsplit(signed.url).query)
    KEYS.verify(b"a=1", _base64(fields["sign"][0]), "RS256")


def test_only_what_was_signed_comes_back() -> None:
    proven = SCHEME.verify(reply(form(PAID)), REQUEST, KEYS)
    narrower = TIMED.verify(reply(form(PAID, TIMED)), REQUEST, KEYS)

    assert dict(pairs_of(proven)) == {name: value for name, value in PAID.items() if value}
    assert dict(pairs_of(narrower)).keys() == {"trade", "amount", "remark", "timestamp", "nonce"}


def test_flat_json_is_proven_as_well() -> None:
    fields = dict(pairs_of(form({"trade": "T1", "count": "3"})))
    body = json.dumps({**fields, "count": 3}).encode()

    assert json.loads(SCHEME.verify(reply(body), REQUEST, KEYS)) == {"trade": "T1", "count": 3}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"a",
        b"\xff=1",
        b"a=1&a=1&sign=AAAA",
        b"a=1",
        b"a=1&sign=",
        b"a=1&sign=%2",
        b"&".join(b"a%d=1" % n for n in range(201)),
        b"[]",
        b"{}",
        b'{"a":1,"a":1,"sign":"AAAA"}',
        b'{"a":1.5,"sign":"AAAA"}',
        b'{"a":true,"sign":"AAAA"}',
        b'{"a":{"b":1},"sign":"AAAA"}',
        b'{"a":9007199254740993,"sign":"AAAA"}',
        b'{"a":"\\ud800","sign":"AAAA"}',
        b'{"sign":["AAAA"]}',
    ],
)
def test_what_is_no_signed_message_is_refused(body: bytes) -> None:
    with pytest.raises(NotProven):
        SCHEME.verify(reply(body), REQUEST, KEYS)


@given(st.binary())
def test_whatever_comes_it_is_refused_as_not_proven(body: bytes) -> None:
    with pytest.raises(NotProven):
        SCHEME.verify(reply(body), REQUEST, KEYS)
    with pytest.raises(NotProven):
        TIMED.verify_callback(callback(body), KEYS)


@pytest.mark.parametrize("name", ["trade", "amount", "remark", "sign_type"])
def test_a_changed_added_or_removed_parameter_is_refused(name: str) -> None:
    fields = dict(pairs_of(form(PAID)))

    for wrong in (
        {**fields, name: fields[name] + "x"},
        {k: v for k, v in fields.items() if k != name},
        {**fields, "z": "1"},
    ):
        with pytest.raises(NotProven, match="does not fit"):
            SCHEME.verify(reply(urlencode(wrong).encode()), REQUEST, KEYS)


def test_parameters_cannot_be_hidden_inside_another_one() -> None:
    fields = dict(pairs_of(form({"a": "1", "b": "2"})))

    with pytest.raises(NotProven, match="read as several"):
        SCHEME.verify(reply(urlencode({"a": "1&b=2", "sign": fields["sign"]}).encode()), REQUEST, KEYS)


def test_a_callback_in_body_or_query_is_proven_while_it_is_fresh() -> None:
    body = form(PAID, TIMED)
    by_query = replace(callback(b""), method="GET", target="/callbacks/riverbank?" + body.decode())

    assert TIMED.verify_callback(callback(body), KEYS) == TIMED.verify_callback(by_query, KEYS)

    with pytest.raises(NotProven, match="replay"):
        TIMED.verify_callback(callback(body, NOW + timedelta(seconds=301)), KEYS)
    with pytest.raises(NotProven, match="whole number"):
        RSACanonical(timestamp="trade").verify_callback(callback(form(PAID)), KEYS)


def test_what_a_browser_brings_back_is_proven() -> None:
    handoff = Handoff("state", "nonce", "verifier", "https://us.example/return", "https://us.example/callback")
    fields = dict(pairs_of(form(PAID)))

    returned = SCHEME.verify_return(Returned(fields, NOW), handoff, KEYS)

    assert returned.parameters["trade"] == "T1" and "sign" not in returned.parameters
    with pytest.raises(NotProven):
        SCHEME.verify_return(Returned({**fields, "trade": "T2"}, NOW), handoff, KEYS)


def test_an_adapter_that_sends_a_parameter_twice_is_told() -> None:
    with pytest.raises(AdapterError, match="occurs twice"):
        SCHEME.sign(Request.form("https://bank.example", [("a", "1"), ("a", "2")]), KEYS, STAMP)


def pairs_of(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode(), keep_blank_values=True)


def _base64(text: str) -> bytes:
    return base64.b64decode(text)
