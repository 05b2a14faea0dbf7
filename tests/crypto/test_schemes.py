"""Stock schemes: what one side signs the other proves, and nothing that was changed, moved or kept back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest

from gateway.crypto.jws import sign_detached, verify
from gateway.crypto.keys import KeyRing
from gateway.crypto.schemes import ClientAssertion, DetachedJWS, HMACBody, Unsigned
from gateway.model.message import Callback, Headers, Reply, Request, Stamp
from gateway.model.problems import AdapterError, NotProven, UnknownKey
from tests.crypto.rings import SECRET, ring

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
STAMP = Stamp(NOW, "0123456789abcdef0123456789abcdef")
BODY = b'{"status":"PAID"}'
REQUEST = Request.post("https://bank.example/payments", {"amount": "128.00"})
KEYS = ring("PS256")
ISS, IAT = "http://bank.example/iss", "http://bank.example/iat"
JWS = DetachedJWS(critical={ISS: "us"}, expected={ISS: "bank"}, issued_at=IAT)


def reply(headers: Headers = (), body: bytes = BODY, status: int = 200) -> Reply:
    return Reply(status, headers, body, NOW)


def callback(headers: Headers, body: bytes = BODY, received_at: datetime = NOW) -> Callback:
    return Callback("POST", "/callbacks/riverbank", headers, body, received_at)


def as_sent(scheme: HMACBody | DetachedJWS, body: bytes = BODY, now: datetime = NOW) -> Headers:
    """The headers under which a partner that uses the same scheme would send `body`."""
    sent = scheme.sign(Request("POST", "https://us.example", (), body), KEYS, replace(STAMP, now=now))
    return sent.headers


# Unsigned


def test_an_unsigned_reply_is_proven_by_its_channel_below_500() -> None:
    assert Unsigned().verify(reply(status=404), REQUEST, KEYS) == BODY
    assert Unsigned().sign(REQUEST, KEYS, STAMP) is REQUEST


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
def test_an_unsigned_reply_of_500_or_more_proves_nothing(status: int) -> None:
    with pytest.raises(NotProven, match="may come from a proxy"):
        Unsigned().verify(reply(status=status), REQUEST, KEYS)


def test_an_unsigned_callback_proves_nothing() -> None:
    with pytest.raises(NotProven, match="signs no callbacks"):
        Unsigned().verify_callback(callback(()), KEYS)


# HMACBody


def test_the_tag_covers_the_time_and_the_exact_body() -> None:
    signed = HMACBody().sign(REQUEST, KEYS, STAMP)

    expected = hmac.new(SECRET, f"{SECONDS}.".encode() + REQUEST.body, hashlib.sha256).hexdigest()
    assert signed.header("X-Timestamp") == str(SECONDS)
    assert signed.header("X-Signature") == expected
    assert signed.body == REQUEST.body


@pytest.mark.parametrize("scheme", [HMACBody(), HMACBody(timestamp=None), HMACBody("X-S", "X-T", encoding="base64")])
def test_what_carries_the_right_tag_is_proven(scheme: HMACBody) -> None:
    assert scheme.verify(reply(as_sent(scheme)), REQUEST, KEYS) == BODY
    assert scheme.verify_callback(callback(as_sent(scheme)), KEYS) == BODY


@pytest.mark.parametrize("scheme", [HMACBody(), HMACBody(timestamp=None), HMACBody(encoding="base64"), JWS], ids=repr)
def test_any_changed_byte_of_body_or_header_is_refused(scheme: HMACBody | DetachedJWS) -> None:
    headers = as_theirs(scheme)
    for at in range(len(BODY)):
        with pytest.raises(NotProven):
            scheme.verify(reply(headers, BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]), REQUEST, KEYS)
    for name, value in headers:
        for at in range(len(value)):
            changed = value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :]
            others = tuple(pair for pair in headers if pair[0] != name)
            with pytest.raises(NotProven):
                scheme.verify(reply((*others, (name, changed))), REQUEST, KEYS)


@pytest.mark.parametrize("scheme", [HMACBody(), JWS], ids=repr)
def test_a_missing_empty_or_doubled_header_is_refused(scheme: HMACBody | DetachedJWS) -> None:
    headers = as_theirs(scheme)
    for name, value in headers:
        others = tuple(pair for pair in headers if pair[0] != name)
        for wrong in (others, (*others, (name, "")), (*headers, (name, value))):
            with pytest.raises(NotProven, match=name):
                scheme.verify(reply(wrong), REQUEST, KEYS)


@pytest.mark.parametrize("tag", ["zz" * 32, "ab", " " + "ab" * 32, "٠" * 64, "\udce9" * 64])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_tag_that_is_none_is_refused(tag: str, encoding: str) -> None:
    scheme = HMACBody(timestamp=None, encoding=encoding)  # type: ignore[arg-type]  # a parameter of this test

    with pytest.raises(NotProven):
        scheme.verify(reply((("X-Signature", tag),)), REQUEST, KEYS)


@pytest.mark.parametrize("time", ["", "now", "-1", "1.5", " 1", "٣", "1" * 13, "\udce9"])
def test_a_time_that_is_none_is_refused(time: str) -> None:
    with pytest.raises(NotProven):
        HMACBody().verify(reply((("X-Timestamp", time), ("X-Signature", "ab" * 32))), REQUEST, KEYS)


@pytest.mark.parametrize("scheme", [HMACBody(), JWS], ids=repr)
def test_a_callback_is_fresh_for_five_minutes_both_ways(scheme: HMACBody | DetachedJWS) -> None:
    headers = as_theirs(scheme)
    for seconds in (-300, 0, 300):
        scheme.verify_callback(callback(headers, received_at=NOW + timedelta(seconds=seconds)), KEYS)

    for seconds, reason in ((301, "replay"), (-301, "ahead")):
        with pytest.raises(NotProven, match=reason):
            scheme.verify_callback(callback(headers, received_at=NOW + timedelta(seconds=seconds)), KEYS)


# DetachedJWS


def as_theirs(scheme: HMACBody | DetachedJWS) -> Headers:
    if isinstance(scheme, HMACBody):
        return as_sent(scheme)
    return as_sent(replace(scheme, critical=scheme.expected))


@pytest.mark.parametrize("scheme", [DetachedJWS(), DetachedJWS(b64=False), JWS], ids=repr)
def test_a_detached_signature_of_the_partner_is_proven(scheme: DetachedJWS) -> None:
    headers = as_theirs(scheme)

    assert scheme.verify(reply(headers), REQUEST, KEYS) == BODY
    assert scheme.verify(reply(headers, status=500), REQUEST, KEYS) == BODY
    assert scheme.verify_callback(callback(headers), KEYS) == BODY


def test_our_signature_says_who_and_when_critically() -> None:
    token = JWS.sign(REQUEST, KEYS, STAMP).header("x-jws-signature") or ""

    header = json.loads(_decoded(token.split(".")[0]))
    assert header == {"alg": "PS256", "kid": "key-1", IAT: SECONDS, ISS: "us", "crit": [IAT, ISS]}


def test_a_request_without_a_body_goes_unsigned() -> None:
    request = Request.get("https://bank.example/payments/1")

    assert JWS.sign(request, KEYS, STAMP) is request


def test_a_signature_made_for_us_by_somebody_else_is_refused() -> None:
    with pytest.raises(NotProven, match="somebody else's"):
        JWS.verify(reply(as_sent(JWS)), REQUEST, KEYS)


@pytest.mark.parametrize(("time", "reason"), [(SECONDS + 60, "ahead"), ("now", "whole number"), (True, "whole number")])
def test_a_reply_signed_ahead_of_time_is_refused(time: object, reason: str) -> None:
    token = sign_detached(BODY, KEYS, "PS256", critical={IAT: time, ISS: "bank"})

    with pytest.raises(NotProven, match=reason):
        JWS.verify(reply((("x-jws-signature", token),)), REQUEST, KEYS)


def test_another_algorithm_than_the_agreed_one_is_refused() -> None:
    with pytest.raises(NotProven, match="PS256 is accepted"):
        DetachedJWS().verify(reply(as_sent(DetachedJWS(algorithm="RS256"))), REQUEST, KEYS)


def test_a_key_of_the_partner_that_is_not_held_is_named() -> None:
    headers = as_theirs(DetachedJWS())

    with pytest.raises(UnknownKey):
        DetachedJWS().verify(reply(headers), REQUEST, KeyRing.load("test"))


# ClientAssertion


def test_a_client_assertion_joins_the_form_and_is_fresh_each_time() -> None:
    scheme = ClientAssertion("client-1", "https://bank.example")
    request = Request.form("https://bank.example/token", {"grant_type": "client_credentials", "scope": ""})

    fields = dict(parse_qsl(scheme.sign(request, KEYS, STAMP).body.decode(), keep_blank_values=True))
    claims = json.loads(verify(fields["client_assertion"], KEYS).payload)

    assert fields["grant_type"] == "client_credentials" and fields["scope"] == ""
    assert fields["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert claims == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": "https://bank.example",
        "jti": STAMP.nonce,
        "iat": SECONDS,
        "exp": SECONDS + 300,
    }


def test_a_client_assertion_joins_forms_only() -> None:
    with pytest.raises(AdapterError, match=r"Request\.form"):
        ClientAssertion("client-1", "https://bank.example").sign(REQUEST, KEYS, STAMP)


def test_equal_schemes_are_equal_values() -> None:
    for one, same in ((HMACBody(), HMACBody()), (JWS, replace(JWS)), (Unsigned(), Unsigned())):
        assert one == same and hash(one) == hash(same)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
