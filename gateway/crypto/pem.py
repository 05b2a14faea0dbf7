"""Reading keys and certificates: every form in which a partner's portal or a key tool hands them out.

Rules
- A private key may be PEM or bare base64, PKCS#8 or PKCS#1; a public key may also be an X.509 certificate.
- An error names the place and the remedy, and says the shape and length of what stood there, never its content.
- Keys that no partner should have (tiny or degenerate ones) end here, so that no verifier has to think of them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.x509 import InvalidVersion, load_der_x509_certificate, load_pem_x509_certificate

from gateway.model.problems import ConfigurationError

__all__ = ["PrivateKey", "PublicKey", "read_private_key", "read_public_key"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

RSA_BITS_AT_LEAST: Final = 2048  # NIST SP 800-131A; FAPI 2.0 section 5.4.1
RSA_BITS_AT_MOST: Final = 8192  # more only costs the verifier time
P25519: Final = 2**255 - 19
UNREADABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, InvalidVersion)
"""What the parsers raise; all of it means the same here."""


def read_private_key(text: str | bytes, place: str, *, legacy: bool = False) -> PrivateKey:
    """Our own signing key. Raises `ConfigurationError`."""
    raw = _bytes(text)
    try:
        key = load_pem_private_key(raw, None) if _is_pem(raw) else load_der_private_key(_der(raw), None)
    except TypeError:
        raise ConfigurationError(
            f"{place}: the private key is protected by a passphrase; give it decrypted, in a file that only the "
            "gateway's user can read"
        ) from None
    except UNREADABLE:
        raise ConfigurationError(
            f"{place}: no private key could be read from {_shape(raw)}; PEM or bare base64 is expected, "
            "PKCS#8 or PKCS#1"
        ) from None
    if not isinstance(key, PrivateKey):
        raise ConfigurationError(f"{place}: {_kind(key)} keys are not used; give an RSA, P-256 or Ed25519 key")
    _require_strength(key.public_key(), place, legacy)
    return key


def read_public_key(text: str | bytes, place: str, *, legacy: bool = False) -> PublicKey:
    """A partner's key, from a public key or a certificate. Raises `ConfigurationError`."""
    raw = _bytes(text)
    if b"PRIVATE KEY" in raw:
        raise ConfigurationError(f"{place}: a private key stands where the partner's public key belongs; replace it")
    key: object = None
    for read in (_from_certificate, _from_public_key):
        try:
            key = read(raw)
        except UNREADABLE:
            continue  # the other form is tried, and the error below speaks for both
        break
    if key is None:
        raise ConfigurationError(
            f"{place}: no public key could be read from {_shape(raw)}; a PEM public key, bare base64 of one, or an "
            "X.509 certificate is expected"
        )
    if not isinstance(key, PublicKey):
        raise ConfigurationError(f"{place}: {_kind(key)} keys are not used; RSA, P-256 and Ed25519 are")
    _require_strength(key, place, legacy)
    return key


def _from_certificate(raw: bytes) -> object:
    if _is_pem(raw):
        return load_pem_x509_certificate(raw).public_key()
    return load_der_x509_certificate(_der(raw)).public_key()


def _from_public_key(raw: bytes) -> object:
    return load_pem_public_key(raw) if _is_pem(raw) else load_der_public_key(_der(raw))


def _require_strength(key: PublicKey, place: str, legacy: bool) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        least = 1024 if legacy else RSA_BITS_AT_LEAST
        if not least <= key.key_size <= RSA_BITS_AT_MOST:
            raise ConfigurationError(
                f"{place}: an RSA key of {key.key_size} bits is refused ({least} to {RSA_BITS_AT_MOST} are taken); "
                "ask for a longer one, or mark the connection `legacy` if the partner has none"
            )
        exponent = key.public_numbers().e
        if exponent < (3 if legacy else 65537) or exponent % 2 == 0:
            raise ConfigurationError(f"{place}: an RSA key with the public exponent {exponent} is refused")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise ConfigurationError(f"{place}: the curve {key.curve.name} is not used; P-256 is")
    elif _has_small_order(key):
        raise ConfigurationError(f"{place}: this Ed25519 key is a point of small order: it would fit any message")


def _has_small_order(key: ed25519.Ed25519PublicKey) -> bool:
    """Whether eight times the point is the neutral element; that depends on y alone (RFC 8032 section 5.1)."""
    y = int.from_bytes(key.public_bytes(Encoding.Raw, PublicFormat.Raw), "little") % 2**255 % P25519
    d = -121665 * pow(121666, -1, P25519) % P25519
    # Orders 1, 2 and 4 have y = 1, -1 and 0; order 8 doubles to y = 0, which means y² = -x², so d·y⁴ = 1 - 2·y².
    return y in (0, 1, P25519 - 1) or (d * pow(y, 4, P25519) + 2 * y * y - 1) % P25519 == 0


def _bytes(text: str | bytes) -> bytes:
    return text.strip() if isinstance(text, bytes) else text.strip().encode("utf-8", "replace")


def _is_pem(raw: bytes) -> bool:
    return raw.startswith(b"-----BEGIN") or b"\n-----BEGIN" in raw


def _der(raw: bytes) -> bytes:
    """DER as it stands, or written as base64 over one or more lines."""
    if raw[:1] == b"\x30" and not raw.isascii():
        return raw
    try:
        return base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error:
        return raw


def _kind(key: object) -> str:
    return type(key).__name__.strip("_").removesuffix("PrivateKey").removesuffix("PublicKey")


def _shape(raw: bytes) -> str:
    return f"{len(raw)} bytes {'of PEM' if _is_pem(raw) else 'without a PEM header'}"
