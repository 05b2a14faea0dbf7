"""The keys of one connection: what is read, what is refused, and what never shows."""

from __future__ import annotations

import copy
import pickle

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from gateway.crypto.keys import KeyRing
from gateway.model.problems import AdapterError, ConfigurationError, NotProven, UnknownKey
from tests.crypto.certificates import certificate
from tests.crypto.rings import (
    SECRET,
    bare,
    private_key,
    private_pem,
    public_pem,
    ring,
    ring_of,
    short_rsa_key,
)

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
MESSAGE = b"pay 128.00 CNY"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_signed_verifies_under_the_named_key_and_without_a_name(algorithm: str) -> None:
    signature = ring(algorithm).sign(MESSAGE, algorithm)

    ring(algorithm).verify(MESSAGE, signature, algorithm, "key-1")
    ring(algorithm).verify(MESSAGE, signature, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_any_flipped_bit_is_refused(algorithm: str) -> None:
    signature = ring(algorithm).sign(MESSAGE, algorithm)

    for at in range(len(signature)):
        with pytest.raises(NotProven):
            ring(algorithm).verify(MESSAGE, _flipped(signature, at), algorithm)
    for at in range(len(MESSAGE)):
        with pytest.raises(NotProven):
            ring(algorithm).verify(_flipped(MESSAGE, at), signature, algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("change", [lambda s: b"", lambda s: s[:-1], lambda s: s + b"\0", lambda s: bytes(len(s))])
def test_a_signature_of_another_length_or_of_zeros_is_refused(algorithm: str, change) -> None:
    signature = ring(algorithm).sign(MESSAGE, algorithm)

    with pytest.raises(NotProven):
        ring(algorithm).verify(MESSAGE, change(signature), algorithm)


def test_an_ecdsa_signature_is_r_and_s_and_never_der() -> None:
    key = private_key("ES256")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    der = key.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))

    assert len(ring("ES256").sign(MESSAGE, "ES256")) == 64
    with pytest.raises(NotProven):
        ring("ES256").verify(MESSAGE, der, "ES256")


@pytest.mark.parametrize(("signed_as", "taken_as"), [("PS256", "RS256"), ("RS256", "PS256")])
def test_an_algorithm_cannot_be_swapped_inside_its_family(signed_as: str, taken_as: str) -> None:
    keys = ring_of(private_key("RS256"))

    with pytest.raises(NotProven, match="does not fit"):
        keys.verify(MESSAGE, keys.sign(MESSAGE, signed_as), taken_as)


def test_a_pss_signature_with_another_salt_length_is_refused() -> None:
    key = private_key("PS256")
    assert isinstance(key, rsa.RSAPrivateKey)
    longest = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)

    with pytest.raises(NotProven):
        ring("PS256").verify(MESSAGE, key.sign(MESSAGE, longest, hashes.SHA256()), "PS256")


def test_a_key_of_another_type_is_no_key() -> None:
    with pytest.raises(NotProven, match="no key of the partner is of the type that ES256 takes"):
        ring("RS256").verify(MESSAGE, bytes(64), "ES256", "key-1")
    with pytest.raises(ConfigurationError, match="no key for PS256"):
        ring("EdDSA").sign(MESSAGE, "PS256")


def test_without_a_key_id_both_keys_of_a_rollover_are_tried() -> None:
    old, new = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
    keys = KeyRing.load("test", partner_keys={"old": public_pem(old.public_key()), "new": public_pem(new.public_key())})

    keys.verify(MESSAGE, new.sign(MESSAGE), "EdDSA")

    with pytest.raises(NotProven, match=r"under the key 'old'$"):
        keys.verify(MESSAGE, new.sign(MESSAGE), "EdDSA", "old")


def test_an_unknown_key_is_named_and_can_be_learnt() -> None:
    partner = ring("EdDSA")
    keys = KeyRing.load("test")
    signature = partner.sign(MESSAGE, "EdDSA")

    with pytest.raises(UnknownKey) as unknown:
        keys.verify(MESSAGE, signature, "EdDSA", "key-1")
    keys.add_partner_key("key-1", public_pem(private_key("EdDSA").public_key()))

    assert unknown.value.key_id == "key-1"
    keys.verify(MESSAGE, signature, "EdDSA", "key-1")


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_read_as_pem_and_as_bare_base64(form: PrivateFormat) -> None:
    pem = private_pem(private_key("RS256"), form)

    for text in (pem, pem.decode(), bare(pem), "\n" + bare(pem) + "\n"):
        keys = KeyRing.load("test", key_id="k", private_key=text)
        ring("RS256").verify(MESSAGE, keys.sign(MESSAGE, "RS256"), "RS256")


def test_a_partner_key_is_read_as_pem_bare_base64_and_certificate() -> None:
    key = private_key("RS256")
    assert isinstance(key, rsa.RSAPrivateKey)
    pem = public_pem(key.public_key())
    pkcs1 = key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    issued = certificate("partner", key)
    signature = ring("RS256").sign(MESSAGE, "RS256")

    for text in (pem, bare(pem), pkcs1, bare(pkcs1), issued, bare(issued)):
        KeyRing.load("test", partner_keys={"k": text}).verify(MESSAGE, signature, "RS256")


@pytest.mark.parametrize(
    "text", ["", "not a key", b"\x30\x82\x01", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]
)
def test_what_is_no_key_is_refused_without_showing_it(text: str | bytes) -> None:
    with pytest.raises(ConfigurationError, match=r"test: signing key 'k': no private key could be read") as own:
        KeyRing.load("test", key_id="k", private_key=text)
    with pytest.raises(ConfigurationError, match="partner key 'p'") as partner:
        KeyRing.load("test", partner_keys={"p": text})

    for problem in (own, partner):
        assert "AAAA" not in str(problem.value) and "not a key" not in str(problem.value)


def test_a_key_under_a_passphrase_says_what_to_do() -> None:
    pem = private_key("EdDSA").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))

    with pytest.raises(ConfigurationError, match="passphrase"):
        KeyRing.load("test", private_key=pem)


def test_a_private_key_in_the_place_of_a_public_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="a private key stands where"):
        KeyRing.load("test", partner_keys={"p": private_pem(private_key("EdDSA"))})


def test_a_short_rsa_key_needs_a_connection_marked_legacy() -> None:
    key = short_rsa_key()

    with pytest.raises(ConfigurationError, match="1024 bits is refused"):
        ring_of(key)
    legacy = ring_of(key, legacy=True)

    legacy.verify(MESSAGE, legacy.sign(MESSAGE, "RS256"), "RS256")


def test_sha1_needs_a_connection_marked_legacy() -> None:
    strict, legacy = ring_of(private_key("RS256")), ring_of(private_key("RS256"), legacy=True)
    signature = legacy.sign(MESSAGE, "RS1")

    legacy.verify(MESSAGE, signature, "RS1")

    with pytest.raises(ConfigurationError, match="legacy"):
        strict.sign(MESSAGE, "RS1")
    with pytest.raises(NotProven, match="legacy"):
        strict.verify(MESSAGE, signature, "RS1")


def test_a_tiny_exponent_another_curve_and_another_kind_of_key_are_refused() -> None:
    modulus = private_key("RS256").public_key().public_numbers().n  # type: ignore[union-attr]  # it is RSA
    three = rsa.RSAPublicNumbers(3, modulus).public_key()
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    other = x25519.X25519PrivateKey.generate().public_key()

    with pytest.raises(ConfigurationError, match="exponent 3"):
        KeyRing.load("test", partner_keys={"p": public_pem(three)})
    with pytest.raises(ConfigurationError, match="secp384r1"):
        KeyRing.load("test", partner_keys={"p": public_pem(p384)})
    with pytest.raises(ConfigurationError, match="X25519 keys are not used"):
        KeyRing.load("test", partner_keys={"p": other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)})


# The canonical encodings of the points of order 1, 2, 4 and 8 (RFC 8032 section 5.1), and one that is not canonical.
SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@pytest.mark.parametrize("point", SMALL_ORDER)
def test_an_ed25519_key_of_small_order_is_refused(point: str) -> None:
    key = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))

    with pytest.raises(ConfigurationError, match="small order"):
        KeyRing.load("test", partner_keys={"p": public_pem(key)})


def test_a_mac_is_compared_and_any_change_is_refused() -> None:
    keys = ring("EdDSA")
    tag = keys.mac(MESSAGE, "HS256", "shared")

    keys.verify_mac(MESSAGE, tag, "HS256", "shared")

    for bad in (b"", tag[:-1], tag + b"\0", *(_flipped(tag, at) for at in range(len(tag)))):
        with pytest.raises(NotProven):
            keys.verify_mac(MESSAGE, bad, "HS256", "shared")


def test_while_a_secret_is_replaced_both_verify_and_the_first_is_used() -> None:
    old, both = KeyRing.load("t", secrets={"s": SECRET}), KeyRing.load("t", secrets={"s": [SECRET[::-1], SECRET]})

    both.verify_mac(MESSAGE, old.mac(MESSAGE, "HS256", "s"), "HS256", "s")

    assert both.mac(MESSAGE, "HS256", "s") == KeyRing.load("t", secrets={"s": SECRET[::-1]}).mac(MESSAGE, "HS256", "s")


def test_a_missing_empty_or_short_secret_fails_closed() -> None:
    keys = KeyRing.load("test", secrets={"short": "12345"})

    for name in ("none", "short"):
        with pytest.raises(NotProven):
            keys.verify_mac(MESSAGE, bytes(32), "HS256", name)
        with pytest.raises(ConfigurationError):
            keys.mac(MESSAGE, "HS256", name)
    for empty in ("", b"", []):
        with pytest.raises(ConfigurationError, match="is empty"):
            KeyRing.load("test", secrets={"s": empty})


@pytest.mark.parametrize(("algorithm", "largest"), [("RSA1_5", 245), ("RSA-OAEP", 214)])
def test_blocks_are_encrypted_to_the_partner_and_decrypted_by_modulus_length(algorithm: str, largest: int) -> None:
    keys = ring_of(private_key("RS256"))
    pieces = [b"a" * largest, b"b", b"c" * 117]

    blocks = [keys.encrypt(piece, algorithm) for piece in pieces]

    assert {len(block) for block in blocks} == {256}
    assert keys.decrypt(b"".join(blocks), algorithm) == b"".join(pieces)
    with pytest.raises(AdapterError, match="too long"):
        keys.encrypt(b"a" * (largest + 1), algorithm)


@pytest.mark.parametrize("ciphertext", [b"", bytes(255), bytes(257), bytes(256), b"\xff" * 256])
def test_what_was_not_encrypted_to_us_is_not_proven(ciphertext: bytes) -> None:
    with pytest.raises(NotProven, match="could not be decrypted"):
        ring_of(private_key("RS256")).decrypt(ciphertext, "RSA-OAEP")


def test_a_connection_without_keys_signs_nothing_and_proves_nothing() -> None:
    keys = KeyRing.load("connection bare")

    for refused in (lambda: keys.key_id, lambda: keys.sign(b"", "PS256"), lambda: keys.encrypt(b"", "RSA1_5")):
        with pytest.raises(ConfigurationError, match="connection bare"):
            refused()
    for unproven in (lambda: keys.verify(b"", b"", "PS256"), lambda: keys.decrypt(bytes(256), "RSA1_5")):
        with pytest.raises(NotProven, match="connection bare"):
            unproven()


def test_an_algorithm_that_does_not_exist_is_its_authors_mistake() -> None:
    keys = ring("RS256")

    for mistake in (
        lambda: keys.sign(b"", "none"),
        lambda: keys.verify(b"", b"", "HS256"),
        lambda: keys.mac(b"", "MD5", "shared"),
        lambda: keys.encrypt(b"", "RSA-NONE"),
    ):
        with pytest.raises(AdapterError, match="there is no"):
            mistake()


def test_a_ring_shows_ids_only_and_is_neither_copied_nor_pickled() -> None:
    keys = ring("RS256")

    assert repr(keys) == "KeyRing('connection test', own='key-1', partner=['key-1'], secrets=['shared'])"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(keys)


def test_the_core_may_reveal_a_secret_that_is_text() -> None:
    keys = KeyRing.load("test", secrets={"app": "s3cret", "raw": b"\xff\xfe"})

    assert keys.reveal("app") == "s3cret"
    for name in ("raw", "none"):
        with pytest.raises(ConfigurationError, match=name):
            keys.reveal(name)


def _flipped(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
