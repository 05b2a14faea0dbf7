"""Values sealed at rest: AES-256-GCM, bound to the place where they stand.

Rules
- A sealed value opens only under the `context` it was sealed for, so that none can be moved to another row.
- Layout: version (1 byte, 0x01), key id (4 bytes), nonce (12 bytes), ciphertext with its tag of 16 bytes. Version,
  key id and context are authenticated.
- Nonces are random; one key must not seal more than 2^32 values (NIST SP 800-38D section 8.3).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.model.ids import entropy
from gateway.model.problems import ConfigurationError, NotProven

__all__ = ["OVERHEAD_BYTES", "Sealer"]

VERSION: Final = b"\x01"
KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 4
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
OVERHEAD_BYTES: Final = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES


class Sealer:
    """Seals with `key`; opens also what `retired` keys sealed. `entropy(n)` gives n random bytes."""

    __slots__ = ("_entropy", "_keys", "_prefix")

    def __init__(self, key: bytes, *, retired: Sequence[bytes] = (), entropy: Callable[[int], bytes] = entropy) -> None:
        if any(len(one) != KEY_BYTES for one in (key, *retired)):
            raise ConfigurationError(f"a sealing key has {KEY_BYTES} bytes; create one with `lendgate keys`")
        self._keys = {_key_id(one): AESGCM(one) for one in (key, *retired)}
        self._prefix = VERSION + _key_id(key)
        self._entropy = entropy

    def __repr__(self) -> str:
        return f"Sealer(key_id={self._prefix[1:].hex()})"

    @property
    def key_id(self) -> str:
        """The id of the key that seals now, in hexadecimal."""
        return self._prefix[1:].hex()

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """The sealed value, `OVERHEAD_BYTES` longer than `plaintext`."""
        nonce = self._entropy(NONCE_BYTES)
        return self._prefix + nonce + self._keys[self._prefix[1:]].encrypt(nonce, plaintext, self._prefix + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises `NotProven` if the value was changed, cut or moved, `ConfigurationError` if its key is
        not held."""
        if len(sealed) < OVERHEAD_BYTES or sealed[:1] != VERSION:
            raise NotProven(f"{len(sealed)} bytes are no sealed value of version {VERSION[0]}")
        key_id = sealed[1 : 1 + KEY_ID_BYTES]
        key = self._keys.get(key_id)
        if key is None:
            raise ConfigurationError(
                f"a value was sealed with the key {key_id.hex()}, which is not held; add it to the retired sealing keys"
            )
        start = len(VERSION) + KEY_ID_BYTES
        nonce, ciphertext = sealed[start : start + NONCE_BYTES], sealed[start + NONCE_BYTES :]
        try:
            return key.decrypt(nonce, ciphertext, sealed[:start] + context)
        except InvalidTag:
            raise NotProven("a sealed value was changed, or stands where it does not belong") from None


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"sealing key id" + key).digest()[:KEY_ID_BYTES]
