"""Tokens that no verifier may take. Where a signature can be right it is right, so that only the named defect is wrong.

Each attack takes the partner's key ring and gives a token; the payload is `PAYLOAD`, the key id `key-1`, the algorithm
PS256 and no critical member is understood.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.model.message import Keys
from tests.crypto.rings import private_key, ring_of

PAYLOAD = b'{"status":"PAID","amount":"128.00"}'

Attack = Callable[[Keys], str]


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(keys: Keys, header: str | dict[str, Any], algorithm: str = "PS256", payload: str | None = None) -> str:
    text = header if isinstance(header, str) else json.dumps(header)
    protected = encoded(text.encode())
    middle = encoded(PAYLOAD) if payload is None else payload
    return f"{protected}.{middle}.{encoded(keys.sign(f'{protected}.{middle}'.encode(), algorithm))}"


def with_header(**members: Any) -> Attack:
    return lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1", **members})


def raw_header(text: str) -> Attack:
    return lambda keys: signed(keys, text)


def without_signature(algorithm: str) -> Attack:
    header = encoded(json.dumps({"alg": algorithm, "kid": "key-1"}).encode())
    return lambda keys: f"{header}.{encoded(PAYLOAD)}."


def public_key_as_secret(text: Callable[[], bytes]) -> Attack:
    def attack(keys: Keys) -> str:
        signed_text = f"{encoded(json.dumps({'alg': 'HS256', 'kid': 'key-1'}).encode())}.{encoded(PAYLOAD)}"
        return f"{signed_text}.{encoded(hmac.digest(text(), signed_text.encode(), hashlib.sha256))}"

    return attack


def changed(change: Callable[[str], str]) -> Attack:
    return lambda keys: change(signed(keys, {"alg": "PS256", "kid": "key-1"}))


def _public(form: Encoding) -> bytes:
    return private_key("PS256").public_key().public_bytes(form, PublicFormat.SubjectPublicKeyInfo)


def _with_segment(at: int, change: Callable[[str], str]) -> Attack:
    def attack(token: str) -> str:
        segments = token.split(".")
        segments[at] = change(segments[at])
        return ".".join(segments)

    return changed(attack)


def _own_key(keys: Keys) -> str:
    """Signed by the attacker's key under the partner's key id."""
    return signed(ring_of(private_key("RS256")), {"alg": "PS256", "kid": "key-1"})


def _uncanonical(segment: str) -> str:
    """The same bytes with a bit set that should be zero."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return segment[:-1] + alphabet[alphabet.index(segment[-1]) + 1]


ATTACKS: dict[str, Attack] = {
    **{f"alg {name!r}": without_signature(name) for name in ("none", "None", "NONE", "nOnE", "", " ")},
    "alg missing": with_header(alg=None),
    "alg is a list": with_header(alg=["PS256"]),
    "alg is no text": with_header(alg=256),
    "alg of another case": with_header(alg="ps256"),
    "alg swapped inside the family": lambda keys: signed(keys, {"alg": "RS256", "kid": "key-1"}, "RS256"),
    "alg says PS256, signed as RS256": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, "RS256"),
    "HMAC under the public key's PEM": public_key_as_secret(lambda: _public(Encoding.PEM)),
    "HMAC under the public key's DER": public_key_as_secret(lambda: _public(Encoding.DER)),
    "HMAC under nothing": public_key_as_secret(lambda: b""),
    "signed by another key": _own_key,
    "crit unknown": with_header(crit=["exp"], exp=1),
    "crit empty": with_header(crit=[]),
    "crit null": with_header(crit=None),
    "crit a text": with_header(crit="exp", exp=1),
    "crit twice the same": with_header(crit=["exp", "exp"], exp=1),
    "crit names a registered member": with_header(crit=["alg"]),
    "crit names what is missing": with_header(crit=["exp"]),
    "crit holds a number": with_header(crit=[1]),
    "crit names b64": with_header(crit=["b64"], b64=True),
    "b64 false in an attached token": with_header(crit=["b64"], b64=False),
    "b64 false without crit": with_header(b64=False),
    "b64 true without crit": with_header(b64=True),
    "b64 a text": with_header(b64="false"),
    "jwk embedded": with_header(jwk={"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "jku": with_header(jku="https://evil.example/keys"),
    "x5u": with_header(x5u="https://evil.example/certificate"),
    "x5c self-signed": with_header(x5c=["MIIB"]),
    "kid missing": raw_header('{"alg":"PS256"}'),
    "kid null": with_header(kid=None),
    "kid empty": with_header(kid=""),
    "kid a number": with_header(kid=1),
    "kid a list": with_header(kid=["key-1"]),
    "kid a path": with_header(kid="../../../dev/null"),
    "kid SQL": with_header(kid="key-1' OR '1'='1"),
    "kid an address": with_header(kid="https://evil.example/key-1"),
    "kid very long": with_header(kid="k" * 1_000_000),
    "kid with a line break": with_header(kid="key-1\n"),
    "kid twice": raw_header('{"alg":"PS256","kid":"other","kid":"key-1"}'),
    "alg twice": raw_header('{"alg":"none","kid":"key-1","alg":"PS256"}'),
    "header member twice, deep inside": raw_header('{"alg":"PS256","kid":"key-1","x":{"a":1,"a":2}}'),
    "header with NaN": raw_header('{"alg":"PS256","kid":"key-1","x":NaN}'),
    "header a list": raw_header('["PS256"]'),
    "header a text": raw_header('"PS256"'),
    "header nothing": raw_header(""),
    "header nested deep": raw_header('{"alg":"PS256","kid":"key-1","x":' + "[" * 3000 + "]" * 3000 + "}"),
    "kid nested deep": raw_header('{"alg":"PS256","kid":' + "[" * 2500 + "]" * 2500 + "}"),
    "header with text behind": raw_header('{"alg":"PS256","kid":"key-1"} x'),
    "header in UTF-16": lambda keys: ".".join(
        [encoded(json.dumps({"alg": "PS256", "kid": "key-1"}).encode("utf-16")), *signed(keys, "{}").split(".")[1:]]
    ),
    "header with lone surrogates": raw_header('{"alg":"PS256","kid":"\\ud800"}'),
    "padding behind the payload": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, payload="e30="),
    "standard base64": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, payload="+/8A"),
    "payload not canonical": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, payload="e31"),
    "payload of an impossible length": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, payload="e30AA"),
    "padding behind the signature": changed(lambda token: token + "="),
    "signature not canonical": _with_segment(2, _uncanonical),
    "signature cut": changed(lambda token: token[:-4]),
    "signature over-long": changed(lambda token: token + "AAAA"),
    "signature empty": _with_segment(2, lambda segment: ""),
    "line break behind": changed(lambda token: token + "\n"),
    "space before": changed(lambda token: " " + token),
    "space inside": _with_segment(1, lambda segment: segment[:4] + " " + segment[4:]),
    "another alphabet's digits": _with_segment(1, lambda segment: "٠" + segment[1:]),
    "two segments": changed(lambda token: token.rsplit(".", 1)[0]),
    "four segments": changed(lambda token: token + "."),
    "five segments, as JWE": changed(lambda token: token + ".a.b"),
    "empty": changed(lambda token: ""),
    "only dots": changed(lambda token: ".."),
    "JSON serialisation": changed(
        lambda token: json.dumps(dict(zip(("protected", "payload", "signature"), token.split("."), strict=True)))
    ),
    "27 MB": lambda keys: signed(keys, {"alg": "PS256", "kid": "key-1"}, payload="A" * 27_000_000),
    "payload of another token": lambda keys: ".".join(
        [*signed(keys, {"alg": "PS256", "kid": "key-1"}).split(".")[:1], "e30", "AAAA"]
    ),
}
