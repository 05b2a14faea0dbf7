"""Data keys that can be destroyed: what each of them sealed opens under no other key, and nowhere else.

Rules
- A value opens only under the `context` it was sealed for, so that none can be moved to another row.
- Layout: version (1 byte, 0x02), id of the data key (8 bytes), commitment (32 bytes), nonce (12 bytes), AES-256-GCM
  ciphertext with its tag of 16 bytes. All that stands before the ciphertext is authenticated.
- Each value has a key of its own: HMAC-SHA256(data key, label | nonce | context). A nonce that two values share by
  accident therefore harms neither, and one value's key can be handed out without opening another.
- AES-GCM alone does not bind a ciphertext to one key. The commitment, SHA-256 over a label and the value's key, does:
  whoever holds the hash of a sealed value holds the hash of the one key that opens it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.model.ids import entropy
from gateway.model.problems import NotProven

__all__ = ["KEY_BYTES", "DataKey", "KeyEncryption", "key_commitment", "key_id_of"]

VERSION: Final = b"\x02"
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
COMMITMENT_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
ID_END: Final = len(VERSION) + KEY_ID_BYTES
COMMITMENT_END: Final = ID_END + COMMITMENT_BYTES
HEAD_BYTES: Final = COMMITMENT_END + NONCE_BYTES

VALUE_KEY: Final = b"lendgate/1/key of one sealed value\x00"
COMMITMENT: Final = b"lendgate/1/key commitment\x00"


class KeyEncryption(Protocol):
    """What wraps data keys where they rest: a key of the installation, or one that a key service keeps.

    `key_id` names the key that wraps now; `open` must also take what earlier ones wrapped.
    """

    @property
    def key_id(self) -> str: ...

    def seal(self, plaintext: bytes, context: bytes) -> bytes: ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Raises `NotProven` if it was changed or moved, `ConfigurationError` if the wrapping key is not held."""


class DataKey:
    """One key that can be destroyed. `id` has 16 hexadecimal digits and says nothing about whom it is for."""

    __slots__ = ("_entropy", "_prefix", "_secret", "id")

    def __init__(self, id_: str, secret: bytes, entropy: Callable[[int], bytes] = entropy) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes")
        self.id = id_
        self._secret = secret
        self._prefix = VERSION + bytes.fromhex(id_)
        self._entropy = entropy

    def __repr__(self) -> str:
        return f"DataKey({self.id})"

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The sealed value."""
        nonce = self._entropy(NONCE_BYTES)
        key = self._value_key(nonce, context)
        head = self._prefix + _commitment(key) + nonce
        return head + AESGCM(key).encrypt(nonce, plaintext, head + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises `NotProven` if the value was changed, cut or moved, or sealed by another key."""
        if len(sealed) < HEAD_BYTES + TAG_BYTES or sealed[:ID_END] != self._prefix:
            raise NotProven(f"{len(sealed)} bytes are no value that the key {self.id} sealed")
        head, nonce = sealed[:HEAD_BYTES], sealed[COMMITMENT_END:HEAD_BYTES]
        key = self._value_key(nonce, context)
        if not hmac.compare_digest(_commitment(key), sealed[ID_END:COMMITMENT_END]):
            raise NotProven("a sealed value is not committed to its key, or stands where it does not belong")
        try:
            return AESGCM(key).decrypt(nonce, sealed[HEAD_BYTES:], head + context)
        except InvalidTag:
            raise NotProven("a sealed value was changed, or stands where it does not belong") from None

    def _value_key(self, nonce: bytes, context: bytes) -> bytes:
        return hmac.digest(self._secret, VALUE_KEY + nonce + context, "sha256")


def key_id_of(sealed: bytes) -> str | None:
    """The id of the data key that sealed a value; None for a value of another layout."""
    if len(sealed) < HEAD_BYTES + TAG_BYTES or sealed[:1] != VERSION:
        return None
    return sealed[1:ID_END].hex()


def key_commitment(sealed: bytes) -> str | None:
    """The commitment to the key of this value, in hexadecimal; None for a value of another layout."""
    return None if key_id_of(sealed) is None else sealed[ID_END:COMMITMENT_END].hex()


def _commitment(key: bytes) -> bytes:
    return hashlib.sha256(COMMITMENT + key).digest()
