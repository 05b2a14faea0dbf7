"""The bank's own JOSE: PS256 and nothing else, compact and detached (RFC 7515, 7518 section 3.5).

Rules
- Everything that is read is read strictly: three parts, canonical base64url, JSON objects without repeated members.
- A name of an algorithm is never believed: the verifier knows PS256 with a salt of 32 bytes only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = [
    "Compact",
    "Malformed",
    "Signer",
    "b64",
    "hash_half",
    "json_object",
    "read_compact",
    "signed_by",
    "thumbprint",
]

SHA256: Final = hashes.SHA256()
PSS: Final = padding.PSS(padding.MGF1(SHA256), salt_length=32)


class Malformed(Exception):
    """This is no JWS; the message says why."""


def b64(raw: bytes) -> str:
    """base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """Raises `Malformed` for padding, another alphabet, or bits that no encoder would have left."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("not base64url") from None
    if b64(raw) != text:
        raise Malformed("not canonical base64url")
    return raw


def hash_half(text: str) -> str:
    """`c_hash` and `s_hash` of OpenID Connect Core 3.3.2.11 and FAPI 1.0 part 2 section 5.2.2.1."""
    return b64(hashlib.sha256(text.encode("ascii", "replace")).digest()[:16])


def thumbprint(der: bytes) -> str:
    """`x5t#S256` of RFC 8705 section 3.1."""
    return b64(hashlib.sha256(der).digest())


@dataclass(frozen=True)
class Compact:
    """The three parts of a compact JWS. `payload` is empty where the JWS is detached."""

    header: Mapping[str, Any]
    encoded_header: str
    encoded_payload: str
    signature: bytes

    def claims(self) -> Mapping[str, Any]:
        """The payload as a JSON object. Raises `Malformed`."""
        return json_object(unb64(self.encoded_payload))


def read_compact(token: str) -> Compact:
    """Take a compact JWS apart; nothing is verified. Raises `Malformed`."""
    parts = token.split(".")
    if len(parts) != 3:
        raise Malformed("not three parts")
    return Compact(json_object(unb64(parts[0])), parts[0], parts[1], unb64(parts[2]))


def signed_by(key: rsa.RSAPublicKey, jws: Compact, encoded_payload: str | None = None) -> bool:
    """Whether `key` made the PS256 signature, over `encoded_payload` where the JWS is detached."""
    payload = jws.encoded_payload if encoded_payload is None else encoded_payload
    try:
        key.verify(jws.signature, f"{jws.encoded_header}.{payload}".encode(), PSS, SHA256)
    except InvalidSignature:
        return False
    return True


class Signer:
    """The bank's signing key with its key id."""

    def __init__(self, key_id: str, key: rsa.RSAPrivateKey) -> None:
        self.key_id = key_id
        self._key = key

    def compact(self, claims: Mapping[str, Any]) -> str:
        """A JWT."""
        header = {"alg": "PS256", "kid": self.key_id, "typ": "JWT"}
        return self._signed(header, b64(compact_json(claims)), detached=False)

    def detached(self, header: Mapping[str, Any], body: bytes) -> str:
        """A detached JWS over `body`; `header` is used as it stands."""
        return self._signed(header, b64(body), detached=True)

    def _signed(self, header: Mapping[str, Any], payload: str, *, detached: bool) -> str:
        encoded = b64(compact_json(header))
        signature = b64(self._key.sign(f"{encoded}.{payload}".encode(), PSS, SHA256))
        return f"{encoded}.{'' if detached else payload}.{signature}"


def compact_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def json_object(raw: bytes) -> Mapping[str, Any]:
    """A JSON object whose members are all different. Raises `Malformed`."""

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a member occurs twice")
        return dict(pairs)

    try:
        value = json.loads(raw, object_pairs_hook=members)
    except (ValueError, RecursionError):
        raise Malformed("not JSON") from None
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return value
