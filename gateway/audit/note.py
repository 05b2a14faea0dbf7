"""Signed notes (C2SP signed-note): a text and the lines that sign it.

Rules
- A note is parsed strictly and within limits before any key is tried; what is odd is refused, never repaired.
- Signatures by unknown keys are ignored. One by a known key that does not verify refuses the whole note.
- A signer checks what it signed before anybody sees it: a wrong or failing key must not publish a broken note.
- Two kinds of Ed25519 signature: the plain one of logs (0x01), and the timestamped one of witnesses (0x04, C2SP
  tlog-cosignature) over `cosignature/v1`, the time, and the text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from gateway.model.problems import ConfigurationError, GatewayError

__all__ = [
    "InvalidNote",
    "Kind",
    "Note",
    "Signature",
    "Signed",
    "Signer",
    "VerifierKey",
    "decode_base64",
    "encode_base64",
    "format_note",
    "parse_note",
    "verify_note",
]

LARGEST_NOTE: Final = 1_000_000
"""Bytes. Sixteen post-quantum signatures take about 110,000 in base64."""

MOST_SIGNATURES: Final = 100
"""The specification wants at least 16 to be accepted."""

LONGEST_NAME: Final = 255
"""Bytes of UTF-8; cosignatures of the newer kind give a name's length in one byte."""

DASH: Final = "— "
KEY_ID_BYTES: Final = 4
TIMESTAMP_BYTES: Final = 8
LATEST_TIMESTAMP: Final = (1 << 63) - 1
PUBLIC_KEY_BYTES: Final = 32


class InvalidNote(GatewayError):
    """A note, checkpoint or key is malformed, or is not signed by those who must have signed it."""


class Kind(IntEnum):
    """Signature types that are understood here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line; what it means depends on the key that name and id belong to."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{DASH}{self.name} {encode_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was verified; `at` is the time that a cosignature states."""

    key: VerifierKey
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who may sign: a name, a kind of signature and an Ed25519 public key of 32 bytes."""

    name: str
    kind: Kind
    public: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.public) != PUBLIC_KEY_BYTES:
            raise InvalidNote(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes, not {len(self.public)}")

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `<name>+<hex of the key id>+<base64 of kind and key>`. Raises `InvalidNote`."""
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        material = decode_base64(encoded)
        try:
            key = cls(name, Kind(material[0]), material[1:])
        except (ValueError, IndexError):
            raise InvalidNote(f"the key of {name[:80]!r} is of a kind that is not known here") from None
        if key.key_id.hex() != key_id:
            raise InvalidNote(f"the key of {name[:80]!r} has the id {key.key_id.hex()}, not {key_id[:80]!r}")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name, newline, kind, public key)."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:KEY_ID_BYTES]

    def made(self, signature: Signature) -> bool:
        """Whether the line names this key."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, text: str, signature: bytes) -> Signed:
        """Verify the bytes behind the key id. Raises `InvalidNote`."""
        message, at = text.encode(), None
        if self.kind is Kind.COSIGNATURE:
            timestamp = int.from_bytes(signature[:TIMESTAMP_BYTES], "big")
            signature = signature[TIMESTAMP_BYTES:]
            message, at = _cosigned(text, timestamp), _moment(timestamp)
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise InvalidNote(f"the signature of {self.name!r} is not over this text") from None
        return Signed(self, at)


class Signer:
    """Signs notes under `key`. `sign` is the key provider's: it gives the Ed25519 signature over some bytes."""

    def __init__(self, key: VerifierKey, sign: Callable[[bytes], bytes]) -> None:
        self.key = key
        self._sign = sign

    def sign(self, text: str, at: datetime | None = None) -> Signature:
        """Sign `text`. A cosignature states `at`, in whole seconds.

        Raises `ConfigurationError` if the signature does not verify under the public key.
        """
        if self.key.kind is Kind.COSIGNATURE:
            if at is None:
                raise ValueError("a cosignature states its time")
            timestamp = int(at.timestamp())
            signature = timestamp.to_bytes(TIMESTAMP_BYTES, "big") + self._sign(_cosigned(text, timestamp))
        else:
            signature = self._sign(text.encode())
        try:
            self.key.verify(text, signature)
        except InvalidNote:
            message = f"the private key does not belong to {self.key}; configure the pair"
            raise ConfigurationError(message) from None
        return Signature(self.key.name, self.key.key_id, signature)


def parse_note(raw: bytes) -> Note:
    """Read a note without verifying anything. Raises `InvalidNote`."""
    if len(raw) > LARGEST_NOTE:
        raise InvalidNote(f"a note of {len(raw)} bytes is larger than {LARGEST_NOTE}")
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise InvalidNote("a note is UTF-8") from None
    if any(character < " " and character != "\n" for character in whole):
        raise InvalidNote("a note holds no control character but the newline")
    # "the text is separated from the signatures by the last empty line in the note"
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise InvalidNote("a note is a text, an empty line, and signature lines, each with its newline")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MOST_SIGNATURES:
        raise InvalidNote(f"a note of {len(signatures)} signatures has more than {MOST_SIGNATURES}")
    return Note(text + "\n", tuple(_parse_signature(line) for line in signatures))


def format_note(note: Note) -> bytes:
    """The note's bytes. Raises `InvalidNote` if they would not be read back."""
    raw = (note.text + "\n" + "".join(f"{signature}\n" for signature in note.signatures)).encode()
    if parse_note(raw) != note:
        raise InvalidNote("the text has to end in exactly one newline")
    return raw


def verify_note(note: Note, keys: Iterable[VerifierKey]) -> list[Signed]:
    """The valid signatures by `keys`, in the order of the note and one for each key.

    Raises `InvalidNote` if there is none, or if one by a known key is wrong.
    """
    known, signed, seen = list(keys), [], set()
    for signature in note.signatures:
        for key in known:
            if key.made(signature):
                verified = key.verify(note.text, signature.signature)
                if key not in seen:
                    signed.append(verified)
                    seen.add(key)
    if not signed:
        names = ", ".join(sorted({key.name for key in known}))
        raise InvalidNote(f"the note is not signed by any of the known keys ({names})")
    return signed


def encode_base64(raw: bytes) -> str:
    """Standard base64 (RFC 4648 section 4)."""
    return base64.b64encode(raw).decode()


def decode_base64(text: str) -> bytes:
    """Standard base64, padded and canonical: two spellings of one value are not taken. Raises `InvalidNote`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidNote(f"this is not base64: {text[:80]!r}") from None
    if encode_base64(raw) != text:
        raise InvalidNote(f"this is not canonical base64: {text[:80]!r}")
    return raw


def _parse_signature(line: str) -> Signature:
    if not line.startswith(DASH):
        raise InvalidNote(f"a signature line begins with an em dash and a space: {line[:80]!r}")
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    _require_name(name)
    raw = decode_base64(encoded)
    if len(raw) <= KEY_ID_BYTES:
        raise InvalidNote(f"the signature of {name!r} is too short")
    return Signature(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])


def _require_name(name: str) -> None:
    if not name or "+" in name or any(character.isspace() or character < " " for character in name):
        raise InvalidNote(f"a key's name is not empty and has neither spaces nor plus signs: {name[:80]!r}")
    if len(name.encode()) > LONGEST_NAME:
        raise InvalidNote(f"a key's name is longer than {LONGEST_NAME} bytes: {name[:80]!r}…")


def _cosigned(text: str, timestamp: int) -> bytes:
    """C2SP tlog-cosignature, "Ed25519 signed message"."""
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def _moment(timestamp: int) -> datetime:
    if timestamp > LATEST_TIMESTAMP:
        raise InvalidNote("the time of a cosignature is out of range")
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        raise InvalidNote("the time of a cosignature is out of range") from None
