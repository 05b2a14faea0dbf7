"""Tokens that a partner issued: who issued them, for whom, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt as pyjwt
import pytest

from gateway.crypto.claims import Expected, half_hash, verify_jwt
from gateway.crypto.jws import Accepted, sign, sign_jwt
from gateway.model.problems import NotProven, UnknownKey
from tests.crypto.attacks import ATTACKS, signed
from tests.crypto.rings import private_key, ring

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
PS256 = Accepted(algorithms=frozenset({"PS256"}))
EXPECTED = Expected(issuer="https://bank.example", audience="client-1", nonce="n-1", accepted=PS256)
CLAIMS = {
    "iss": "https://bank.example",
    "aud": "client-1",
    "sub": "person",
    "nonce": "n-1",
    "iat": SECONDS,
    "exp": SECONDS + 300,
}


def token(**changes: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not ...}
    return sign_jwt(claims, ring("PS256"), "PS256")


def test_a_genuine_token_gives_its_claims() -> None:
    assert verify_jwt(token(), ring("PS256"), EXPECTED, NOW) == CLAIMS


def test_a_token_of_another_library_is_taken() -> None:
    theirs = pyjwt.encode(CLAIMS, private_key("PS256"), "PS256", headers={"kid": "key-1"})  # type: ignore[arg-type]  # it is RSA

    assert verify_jwt(theirs, ring("PS256"), EXPECTED, NOW)["sub"] == "person"


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["client-1"]},
        {"aud": ["client-1", "other"], "azp": "client-1"},
        {"iat": SECONDS + 10},
        {"nbf": SECONDS},
        {"exp": SECONDS + 1},
    ],
    ids=str,
)
def test_what_the_standards_allow_is_taken(changes: dict[str, Any]) -> None:
    verify_jwt(token(**changes), ring("PS256"), EXPECTED, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": ...},
        {"iat": ...},
        {"iss": ...},
        {"aud": ...},
        {"exp": str(SECONDS + 300)},
        {"exp": SECONDS + 300.0},
        {"exp": True},
        {"exp": None},
        {"exp": SECONDS},
        {"exp": SECONDS - 1},
        {"exp": 2**62},
        {"exp": -1},
        {"iat": SECONDS + 60},
        {"iat": "now"},
        {"nbf": SECONDS + 60},
        {"iss": "https://bank.example.evil.example"},
        {"iss": "https://bank"},
        {"iss": ["https://bank.example"]},
        {"iss": None},
        {"aud": "client-10"},
        {"aud": "client"},
        {"aud": []},
        {"aud": ["client-1", "other"]},
        {"aud": ["client-1", 1], "azp": "client-1"},
        {"aud": {"client-1": 1}},
        {"azp": "other"},
        {"nonce": "n-2"},
        {"nonce": ...},
    ],
    ids=str,
)
def test_a_wrong_claim_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(NotProven) as refused:
        verify_jwt(token(**changes), ring("PS256"), EXPECTED, NOW)

    assert "n-1" not in str(refused.value)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_no_attack_on_the_signature_is_taken(attack: Any) -> None:
    with pytest.raises(NotProven):
        verify_jwt(attack(ring("PS256")), ring("PS256"), EXPECTED, NOW)


def test_a_claim_that_occurs_twice_is_refused() -> None:
    text = json.dumps(CLAIMS)[:-1] + ',"sub":"somebody else"}'

    with pytest.raises(NotProven, match="twice"):
        verify_jwt(sign(text.encode(), ring("PS256"), "PS256"), ring("PS256"), EXPECTED, NOW)


@pytest.mark.parametrize("payload", [b"", b"[]", b'"text"', b"\xff", b'{"exp":NaN}'])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(NotProven):
        verify_jwt(sign(payload, ring("PS256"), "PS256"), ring("PS256"), EXPECTED, NOW)


def test_a_key_that_is_not_held_is_named() -> None:
    with pytest.raises(UnknownKey):
        verify_jwt(signed(ring("PS256"), {"alg": "PS256", "kid": "new"}), ring("PS256"), EXPECTED, NOW)


def test_a_token_is_judged_at_the_moment_when_it_came() -> None:
    genuine = token()

    verify_jwt(genuine, ring("PS256"), EXPECTED, NOW + timedelta(seconds=299))

    with pytest.raises(NotProven, match="expired 1 seconds before"):
        verify_jwt(genuine, ring("PS256"), EXPECTED, NOW + timedelta(seconds=301))


def test_the_half_hash_is_that_of_the_openid_specification() -> None:
    """OpenID Connect Core, appendix A.4."""
    assert half_hash("Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk") == "LDktKdoQak3Pk0cnXxCltA"
