"""Keys that come from the installation secret: one secret to keep safe, one key for each purpose.

HKDF-SHA256 (RFC 5869) without salt, because the secret is random already; the purpose stands in `info`. A purpose's
name is never changed: what was sealed under its key would be lost.
"""

from __future__ import annotations

from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["Purpose", "derived_key"]

KEY_BYTES = 32


class Purpose(StrEnum):
    """What a derived key is for."""

    STORED = "lendgate/1/sealing/stored"  # bodies, callbacks and tokens, as they rest in the store
    SUBJECT_KEYS = "lendgate/1/sealing/subject-keys"  # wraps the keys of persons where they rest
    SUBJECT_TAGS = "lendgate/1/tag/subjects"  # by what persons are found
    CURSORS = "lendgate/1/sealing/cursors"  # cursors that platforms hold
    LOG_KEY = "lendgate/1/signing/log"  # seed of the Ed25519 key that signs checkpoints
    LOG_ORIGIN = "lendgate/1/name/log"


def derived_key(secret: bytes, purpose: Purpose) -> bytes:
    """32 bytes for one purpose."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)
