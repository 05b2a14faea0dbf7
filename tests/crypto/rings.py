"""Key rings for tests: one ring signs as the partner does and verifies as the gateway does. Keys are drawn here."""

from __future__ import annotations

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.crypto.keys import KeyRing
from gateway.crypto.pem import PrivateKey, PublicKey

SECRET = b"a secret of thirty-two bytes yes"


def private_pem(key: PrivateKey, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def bare(pem: bytes) -> str:
    """The base64 between the lines of a PEM, as portals show it."""
    return "".join(pem.decode().strip().splitlines()[1:-1])


@cache
def private_key(algorithm: str) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


@cache
def short_rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)  # noqa: S505 - to show that it is refused


def ring_of(key: PrivateKey, key_id: str = "key-1", *, legacy: bool = False) -> KeyRing:
    """A ring that signs with `key` and takes what it signed."""
    return KeyRing.load(
        "connection test",
        key_id=key_id,
        private_key=private_pem(key),
        partner_keys={key_id: public_pem(key.public_key())},
        secrets={"shared": SECRET},
        legacy=legacy,
    )


@cache
def ring(algorithm: str) -> KeyRing:
    return ring_of(private_key(algorithm))


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def key_from_primes(p: int, q: int) -> rsa.RSAPrivateKey:
    """A published RSA key with the exponent 65537."""
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, public).private_key()
