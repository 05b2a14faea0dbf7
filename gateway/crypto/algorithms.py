"""Signature and encryption algorithms by their JOSE names (RFC 7518), each with the one key type that it takes.

Rules
- A name means one thing: the hash, the padding and the salt length are fixed here and nowhere else.
- A key of another type is no key for an algorithm, so that nobody can swap algorithms inside a family.
- Verifying raises; it never answers a bool.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from gateway.crypto.pem import PrivateKey, PublicKey
from gateway.model.problems import AdapterError

__all__ = ["ENCRYPTION", "LEGACY", "MAC", "SIGNATURES", "decrypt", "encrypt", "fits", "sign", "verify"]

SHA256: Final = hashes.SHA256()
# RFC 7518 section 3.5: the salt is as long as the digest, and MGF1 uses the same hash.
PSS: Final = padding.PSS(padding.MGF1(SHA256), padding.PSS.DIGEST_LENGTH)
ECDSA: Final = ec.ECDSA(SHA256)
P256_BYTES: Final = 32

RSA_SIGNATURES: Final[dict[str, tuple[padding.PKCS1v15 | padding.PSS, hashes.HashAlgorithm]]] = {
    "RS256": (padding.PKCS1v15(), SHA256),
    "PS256": (PSS, SHA256),
    "RS1": (padding.PKCS1v15(), hashes.SHA1()),  # some partners sign nothing else; see LEGACY
}
SIGNATURES: Final[dict[str, type[PublicKey]]] = {
    **dict.fromkeys(RSA_SIGNATURES, rsa.RSAPublicKey),
    "ES256": ec.EllipticCurvePublicKey,
    "EdDSA": ed25519.Ed25519PublicKey,
}
LEGACY: Final = frozenset({"RS1"})
"""Algorithms that only a connection marked `legacy` may use."""

ENCRYPTION: Final[dict[str, padding.AsymmetricPadding]] = {
    "RSA1_5": padding.PKCS1v15(),
    # RFC 7518 section 4.3: "RSAES OAEP using default parameters", which are SHA-1 and MGF1 with SHA-1.
    "RSA-OAEP": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
}
MAC: Final = frozenset({"HS256"})


def fits(key: PublicKey, algorithm: str) -> bool:
    """Whether `key` is of the type that `algorithm` takes. Raises `AdapterError` for a name that does not exist."""
    wanted = SIGNATURES.get(algorithm)
    if wanted is None:
        raise AdapterError(f"there is no signature algorithm {algorithm!r}; there are {', '.join(sorted(SIGNATURES))}")
    return isinstance(key, wanted)


def sign(key: PrivateKey, message: bytes, algorithm: str) -> bytes:
    """Sign; ECDSA gives r‖s of 64 bytes (RFC 7518 section 3.4). The key must fit the algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        pad, digest = RSA_SIGNATURES[algorithm]
        return key.sign(message, pad, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(message, ECDSA))
        return r.to_bytes(P256_BYTES, "big") + s.to_bytes(P256_BYTES, "big")
    return key.sign(message)


def verify(key: PublicKey, message: bytes, signature: bytes, algorithm: str) -> None:
    """Check a signature. Raises `InvalidSignature`. The key must fit the algorithm."""
    if isinstance(key, rsa.RSAPublicKey):
        pad, digest = RSA_SIGNATURES[algorithm]
        key.verify(signature, message, pad, digest)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if len(signature) != 2 * P256_BYTES:
            raise InvalidSignature
        r = int.from_bytes(signature[:P256_BYTES], "big")
        s = int.from_bytes(signature[P256_BYTES:], "big")
        key.verify(encode_dss_signature(r, s), message, ECDSA)
    else:
        key.verify(signature, message)


def encrypt(key: rsa.RSAPublicKey, plaintext: bytes, algorithm: str) -> bytes:
    """One block. Raises `ValueError` where the plaintext is too long for the modulus and its padding."""
    return key.encrypt(plaintext, _encryption(algorithm))


def decrypt(key: rsa.RSAPrivateKey, ciphertext: bytes, algorithm: str) -> bytes:
    """One or more blocks of the modulus' length. Raises `ValueError`."""
    pad = _encryption(algorithm)
    block = (key.key_size + 7) // 8
    if not ciphertext or len(ciphertext) % block:
        raise ValueError
    return b"".join(key.decrypt(ciphertext[at : at + block], pad) for at in range(0, len(ciphertext), block))


def _encryption(algorithm: str) -> padding.AsymmetricPadding:
    pad = ENCRYPTION.get(algorithm)
    if pad is None:
        raise AdapterError(f"there is no encryption {algorithm!r}; there are {', '.join(sorted(ENCRYPTION))}")
    return pad
