"""The legacy envelope against its published worked example."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway import NotProven, Reply, Request, Stamp
from gateway.crypto.keys import KeyRing
from lendgate_zhongan.signing import LegacyEnvelope, canonical

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
NOW = datetime(2026, 1, 1, 1, 30, 1, 500_000, tzinfo=UTC)
REQUEST = Request.form("https://insurer.example/Gateway.do", {"serviceName": "x.queryPolicyInfo", "bizContent": "{}"})


def rebuilt(side: str) -> rsa.RSAPrivateKey:
    """The private key that belongs to two primes and e = 65537."""
    p, q, e = int(VECTORS["keys"][side]["p"], 16), int(VECTORS["keys"][side]["q"], 16), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *parts, rsa.RSAPublicNumbers(e, p * q)).private_key()


def ring(own: str, partner: str, *, legacy: bool = True) -> KeyRing:
    pkcs8 = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return KeyRing.load(
        "the worked example",
        key_id=own,
        private_key=rebuilt(own).private_bytes(serialization.Encoding.PEM, *pkcs8),
        partner_keys={partner: rebuilt(partner).public_key().public_bytes(serialization.Encoding.PEM, spki)},
        legacy=legacy,
    )


@pytest.fixture(scope="module")
def merchant() -> KeyRing:
    return ring("merchant", "insurer")


@pytest.fixture(scope="module")
def insurer() -> KeyRing:
    return ring("insurer", "merchant")


@pytest.fixture
def envelope() -> LegacyEnvelope:
    return LegacyEnvelope("0" * 31 + "1", rsa_bits=1024)


def reply(members: Any, *, at: datetime = NOW) -> Reply:
    body = members if isinstance(members, bytes) else canonical(members)
    return Reply(200, (), body, at)


def test_the_short_string_is_signed_as_published(merchant: KeyRing) -> None:
    published = VECTORS["signed_request"]

    signed = merchant.sign(canonical(json.loads(published["string"])), "RS1")

    assert canonical(json.loads(published["string"])).decode() == published["string"]
    assert signed.hex() == raw(published["signature"]).hex()


def test_the_plaintext_is_canonical_and_the_ciphertext_opens_to_it(insurer: KeyRing) -> None:
    published = VECTORS["add_policy"]

    opened = insurer.decrypt(raw(published["ciphertext"]), "RSA1_5")

    assert len(opened) == 510
    assert opened.decode() == published["plaintext"] == canonical(json.loads(published["plaintext"])).decode()


def test_the_full_request_string_is_signed_as_published(merchant: KeyRing) -> None:
    published = VECTORS["add_policy"]
    fields = json.loads(VECTORS["signed_request"]["string"])
    fields |= {"serviceName": "zhongan.open.common.addPolicy", "bizContent": published["ciphertext"]}

    assert merchant.sign(canonical(fields), "RS1") == raw(published["signature"])


def test_a_request_leaves_with_nine_fields_that_the_insurer_can_open(
    envelope: LegacyEnvelope, merchant: KeyRing, insurer: KeyRing
) -> None:
    plain = VECTORS["add_policy"]["plaintext"]
    request = Request.form("https://insurer.example/Gateway.do", {"serviceName": "x.addPolicy", "bizContent": plain})

    fields = dict(parse_qsl(envelope.sign(request, merchant, Stamp(NOW, "0" * 32)).body.decode()))

    sign = fields.pop("sign")
    assert sorted(fields) == sorted(json.loads(VECTORS["signed_request"]["string"]))
    assert fields["timestamp"] == "20260101093001500"
    assert len(fields["bizContent"]) == 856  # five blocks of 128 bytes
    assert insurer.decrypt(raw(fields["bizContent"]), "RSA1_5").decode() == plain
    insurer.verify(canonical(fields), raw(sign), "RS1")


def test_the_signed_reply_opens_to_what_was_published(envelope: LegacyEnvelope, merchant: KeyRing) -> None:
    published = VECTORS["signed_reply"]

    proven = envelope.verify(reply(published["reply"].encode()), REQUEST, merchant)

    assert json.loads(proven) == {"bizContent": json.loads(published["plaintext"])}


@pytest.mark.parametrize("form", ["plain", "stripped"])
def test_an_error_reply_is_proven_in_either_form(envelope: LegacyEnvelope, merchant: KeyRing, form: str) -> None:
    members = json.loads(VECTORS["error_reply"]["plain"]["string"])

    proven = envelope.verify(reply({**members, "sign": VECTORS["error_reply"][form]["signature"]}), REQUEST, merchant)

    assert json.loads(proven) == {"errorCode": "307", "errorMsg": 'limit / "x"', "bizContent": {}}


@pytest.mark.parametrize("position", range(0, 900, 45))
def test_a_flipped_byte_proves_nothing(envelope: LegacyEnvelope, merchant: KeyRing, position: int) -> None:
    body = bytearray(VECTORS["signed_reply"]["reply"].encode())
    position %= len(body)
    body[position] ^= 1

    with pytest.raises(NotProven):
        envelope.verify(reply(bytes(body)), REQUEST, merchant)


@pytest.mark.parametrize(
    "change",
    [
        lambda members: members.pop("sign"),
        lambda members: members.update(sign=""),
        lambda members: members.update(sign="no base64!"),
        lambda members: members.update(errorCode="307"),
        lambda members: members.pop("timestamp"),
    ],
)
def test_a_reply_whose_members_were_touched_proves_nothing(
    envelope: LegacyEnvelope, merchant: KeyRing, change: Any
) -> None:
    members = json.loads(VECTORS["signed_reply"]["reply"])
    change(members)

    with pytest.raises(NotProven):
        envelope.verify(reply(members), REQUEST, merchant)


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b'{"sign":"QQ==","sign":"QQ=="}', b"\xff"])
def test_what_is_no_envelope_proves_nothing(envelope: LegacyEnvelope, merchant: KeyRing, body: bytes) -> None:
    with pytest.raises(NotProven):
        envelope.verify(reply(body), REQUEST, merchant)


@pytest.mark.parametrize("hours", [-1, 1])
def test_an_old_reply_cannot_pass_for_a_new_one(envelope: LegacyEnvelope, merchant: KeyRing, hours: int) -> None:
    genuine = reply(VECTORS["signed_reply"]["reply"].encode(), at=NOW + timedelta(hours=hours))

    with pytest.raises(NotProven, match="clocks"):
        envelope.verify(genuine, REQUEST, merchant)


def test_blocks_of_another_key_size_prove_nothing(merchant: KeyRing) -> None:
    with pytest.raises(NotProven, match="RSA-4096"):
        LegacyEnvelope("1", rsa_bits=4096).verify(reply(VECTORS["signed_reply"]["reply"].encode()), REQUEST, merchant)


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
