"""JSON Web Signatures: published examples, an independent library, and everything that must be refused."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import example, given
from hypothesis import strategies as st
from joserfc import jws as oracle
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.registry import HeaderParameter

from gateway.crypto.jws import (
    Accepted,
    from_base64url,
    sign,
    sign_detached,
    sign_jwt,
    to_base64url,
    verify,
    verify_detached,
)
from gateway.crypto.keys import KeyRing
from gateway.crypto.pem import PublicKey
from gateway.model.problems import NotProven, UnknownKey
from tests.crypto.attacks import ATTACKS, PAYLOAD, encoded, signed
from tests.crypto.rings import key_from_primes, number, private_key, private_pem, public_pem, ring, ring_of

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())
ORDER = VECTORS["payment_order"]
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
IAT, ISS, TAN = (f"http://openbanking.org.uk/{name}" for name in ("iat", "iss", "tan"))
CRITICAL = {IAT: ORDER["issued_at"], ISS: ORDER["issuer"], TAN: ORDER["trust_anchor"]}
ACCEPTED = Accepted(algorithms=frozenset({"PS256"}), critical=frozenset(CRITICAL))


def accepting(algorithm: str, **rules: Any) -> Accepted:
    return Accepted(algorithms=frozenset({algorithm}), **rules)


@pytest.fixture(scope="module")
def bank() -> KeyRing:
    return ring_of(key_from_primes(int(ORDER["p"], 16), int(ORDER["q"], 16)), ORDER["key_id"])


class MACKeys(KeyRing):
    """A ring whose signatures are MACs, to check what is signed against an example that uses HMAC."""

    def verify(self, message: bytes, signature: bytes, algorithm: str, key_id: str | None = None) -> None:
        self.verify_mac(message, signature, algorithm, "published")


def published_key(numbers: dict[str, str]) -> PublicKey:
    if "n" in numbers:
        return rsa.RSAPublicNumbers(65537, number(numbers["n"])).public_key()
    if "y" in numbers:
        return ec.EllipticCurvePublicNumbers(number(numbers["x"]), number(numbers["y"]), ec.SECP256R1()).public_key()
    return ed25519.Ed25519PublicKey.from_public_bytes(from_base64url(numbers["x"]))


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["id"])
def test_a_published_token_verifies(vector: dict[str, Any]) -> None:
    keys = KeyRing.load("test", partner_keys={"published": public_pem(published_key(vector["key"]))})

    verified = verify(vector["token"], keys, accepting(vector["algorithm"], key_id=False))

    assert verified.payload == vector["payload"].encode()


def test_the_published_unencoded_token_verifies() -> None:
    vector = VECTORS["unencoded"]
    keys = MACKeys.load("test", secrets={"published": from_base64url(vector["oct_k"])})
    accepted = accepting("HS256", key_id=False)

    verify_detached(vector["compact_detached"], vector["payload"].encode(), keys, accepted, b64=False)

    with pytest.raises(NotProven, match="crit lists"):
        verify_detached(vector["compact_detached"], vector["payload"].encode(), keys, accepted)


@pytest.mark.parametrize(("form", "b64"), [("b64", True), ("unencoded", False)])
def test_the_worked_payment_order_verifies_in_its_own_form_only(form: str, b64: bool, bank: KeyRing) -> None:
    body = ORDER["body"].encode()

    header = verify_detached(ORDER[form], body, bank, ACCEPTED, b64=b64)

    assert header[ISS] == ORDER["issuer"]
    with pytest.raises(NotProven):
        verify_detached(ORDER[form], body, bank, ACCEPTED, b64=not b64)


@pytest.mark.parametrize(("form", "b64"), [("b64", True), ("unencoded", False)])
def test_our_header_of_the_payment_order_is_byte_for_byte_the_worked_one(form: str, b64: bool, bank: KeyRing) -> None:
    token = sign_detached(ORDER["body"].encode(), bank, "PS256", critical=CRITICAL, b64=b64)

    assert token.split(".")[:2] == ORDER[form].split(".")[:2]


def test_the_payment_order_written_again_with_spaces_is_refused(bank: KeyRing) -> None:
    rewritten = json.dumps(json.loads(ORDER["body"])).encode()

    with pytest.raises(NotProven, match="does not fit"):
        verify_detached(ORDER["b64"], rewritten, bank, ACCEPTED)


@pytest.mark.parametrize(
    "critical", [{}, {IAT}, {IAT, ISS, TAN, "more"}], ids=["none understood", "one understood", "one more wanted"]
)
def test_crit_must_list_exactly_what_is_understood(critical: set[str], bank: KeyRing) -> None:
    accepted = Accepted(algorithms=frozenset({"PS256"}), critical=frozenset(critical))

    with pytest.raises(NotProven, match="no more and no fewer"):
        verify_detached(ORDER["b64"], ORDER["body"].encode(), bank, accepted)


def test_a_token_with_its_payload_is_not_detached(bank: KeyRing) -> None:
    header, _, signature = ORDER["b64"].split(".")
    attached = f"{header}.{to_base64url(ORDER['body'].encode())}.{signature}"

    with pytest.raises(NotProven, match="carries a payload of its own"):
        verify_detached(attached, ORDER["body"].encode(), bank, ACCEPTED)


def test_the_worked_client_assertion_verifies(bank: KeyRing) -> None:
    verified = verify(ORDER["client_assertion"], bank)

    assert json.loads(verified.payload)["jti"] == "ca-0001"
    assert (
        sign_jwt(json.loads(verified.payload), bank, "PS256").split(".")[:2] == ORDER["client_assertion"].split(".")[:2]
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_independent_library_takes_what_we_sign_and_we_take_what_it_signs(algorithm: str) -> None:
    key = oracle_key(algorithm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library prefers newer names for the same algorithms
        read = oracle.deserialize_compact(sign(PAYLOAD, ring(algorithm), algorithm), key, [algorithm])
        theirs = oracle.serialize_compact({"alg": algorithm, "kid": "key-1"}, PAYLOAD, key, [algorithm])

    assert read.payload == PAYLOAD
    assert verify(theirs, ring(algorithm), accepting(algorithm)).payload == PAYLOAD


@pytest.mark.parametrize("b64", [True, False])
def test_an_independent_library_takes_our_detached_signature(b64: bool) -> None:
    body, key = ORDER["body"].encode(), oracle_key("PS256")
    token = sign_detached(body, ring("PS256"), "PS256", critical={IAT: 1767231000}, b64=b64)
    registry = oracle.JWSRegistry(
        {IAT: HeaderParameter("Issued at", "int"), "b64": HeaderParameter("b64", "bool")}, algorithms=["PS256"]
    )
    header, _, signature = token.split(".")

    if b64:
        oracle.deserialize_compact(f"{header}.{encoded(body)}.{signature}", key, registry=registry)
    else:
        oracle.deserialize_compact(token, key, registry=registry, payload=body)


def oracle_key(algorithm: str) -> RSAKey | ECKey | OKPKey:
    kind = {"ES256": ECKey, "EdDSA": OKPKey}.get(algorithm, RSAKey)
    return kind.import_key(private_pem(private_key(algorithm)))


def test_a_genuine_token_verifies() -> None:
    token = signed(ring("PS256"), {"alg": "PS256", "kid": "key-1"})

    assert verify(token, ring("PS256"), accepting("PS256")).payload == PAYLOAD


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_no_attack_is_taken(attack: Any) -> None:
    token = attack(ring("PS256"))

    with pytest.raises(NotProven) as refused:
        verify(token, ring("PS256"), accepting("PS256"))

    assert len(str(refused.value)) < 400


def test_a_key_that_is_not_held_is_named() -> None:
    token = signed(ring("PS256"), {"alg": "PS256", "kid": "key-2"})

    with pytest.raises(UnknownKey) as unknown:
        verify(token, ring("PS256"), accepting("PS256"))

    assert unknown.value.key_id == "key-2"


def test_another_kind_of_token_is_refused() -> None:
    token = sign_jwt({"iss": "bank"}, ring("PS256"), "PS256", typ="at+jwt")

    with pytest.raises(NotProven, match="another kind of token"):
        verify(token, ring("PS256"), accepting("PS256", types=frozenset({"JWT", None})))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_any_changed_character_is_refused(algorithm: str) -> None:
    token = sign(b'{"a":1}', ring(algorithm), algorithm)

    for at, character in enumerate(token):
        other = "B" if character != "B" else "C"
        with pytest.raises(NotProven):
            verify(token[:at] + other + token[at + 1 :], ring(algorithm), accepting(algorithm))


@pytest.mark.parametrize("b64", [True, False])
def test_any_flipped_byte_of_a_detached_body_is_refused(b64: bool) -> None:
    token = sign_detached(PAYLOAD, ring("EdDSA"), "EdDSA", b64=b64)

    verify_detached(token, PAYLOAD, ring("EdDSA"), b64=b64)

    for at in range(len(PAYLOAD)):
        flipped = PAYLOAD[:at] + bytes([PAYLOAD[at] ^ 1]) + PAYLOAD[at + 1 :]
        with pytest.raises(NotProven):
            verify_detached(token, flipped, ring("EdDSA"), b64=b64)


def test_an_unencoded_payload_may_hold_dots() -> None:
    token = sign_detached(b"a.b.c", ring("EdDSA"), "EdDSA", b64=False)

    verify_detached(token, b"a.b.c", ring("EdDSA"), b64=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["EdDSA", "none", "HS256"]) | JSON,
        "kid": st.sampled_from(["key-1", ""]) | JSON,
        "crit": st.lists(st.sampled_from(["b64", "exp", "alg"]) | JSON) | JSON,
        "b64": st.booleans() | JSON,
        "typ": JSON,
    },
)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,90}", fullmatch=True))
@example("..")
@example("\ud800.\ud800.\ud800")
def test_whatever_comes_it_is_refused_as_not_proven(token: str) -> None:
    with pytest.raises(NotProven):
        verify(token, ring("EdDSA"))
    with pytest.raises(NotProven):
        verify_detached(token, b"", ring("EdDSA"))


@given(HEADERS, st.booleans())
def test_whatever_a_signed_header_says_only_the_plain_one_is_taken(header: dict[str, Any], detached: bool) -> None:
    text = json.dumps(header)
    protected = encoded(text.encode())
    payload = encoded(PAYLOAD)
    signature = encoded(ring("EdDSA").sign(f"{protected}.{payload}".encode(), "EdDSA"))
    plain = header.get("alg") == "EdDSA" and header.get("kid") == "key-1" and not {"crit", "b64"} & header.keys()

    try:
        if detached:
            verify_detached(f"{protected}..{signature}", PAYLOAD, ring("EdDSA"))
        else:
            verify(f"{protected}.{payload}.{signature}", ring("EdDSA"))
        taken = True
    except NotProven:
        taken = False

    assert not taken or plain


@given(st.binary())
def test_base64url_has_one_form(raw: bytes) -> None:
    assert from_base64url(to_base64url(raw)) == raw
