"""Checkpoints (C2SP tlog-checkpoint): a log's origin, size and root, as a signed note.

Rules
- We write no extension lines: an auditor cannot check them. Those of others are read and kept.
- A checkpoint is believed only after a signature of the log's own key was verified, and only for the expected origin.
- What the log signs, it never takes back: the callers see to it that no two checkpoints contradict each other.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.audit.note import (
    InvalidNote,
    Note,
    Signed,
    Signer,
    VerifierKey,
    decode_base64,
    encode_base64,
    format_note,
    parse_note,
    verify_note,
)
from gateway.audit.tree import EMPTY_ROOT, HASH_BYTES

__all__ = ["CHECKPOINT", "Checkpoint", "Opened", "cosign_checkpoint", "open_checkpoint", "sign_checkpoint"]

CHECKPOINT: Final = "checkpoint"
"""Where it stands below a log's root (C2SP tlog-tiles)."""

LARGEST_SIZE: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log's tree: `size` leaves under `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note's text."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a note's text. Raises `InvalidNote`."""
        lines = text.removesuffix("\n").split("\n")
        if len(lines) < 3 or not all(lines):
            raise InvalidNote("a checkpoint has an origin, a size and a root, and no empty line")
        origin, size, root, *extensions = lines
        # "the ASCII decimal representation …, with no leading zeroes"
        if not (size.isascii() and size.isdigit() and str(int(size[:20])) == size and int(size) <= LARGEST_SIZE):
            raise InvalidNote(f"this is not the size of a tree: {size[:80]!r}")
        checkpoint = cls(origin, int(size), decode_base64(root), tuple(extensions))
        if len(checkpoint.root) != HASH_BYTES or (checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT):
            raise InvalidNote("the root of a checkpoint is a SHA-256 hash, and that of nothing for a tree of size 0")
        return checkpoint


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that its log signed, and who of the known witnesses cosigned it."""

    checkpoint: Checkpoint
    note: Note
    witnesses: tuple[Signed, ...] = ()


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a note that the log's key signs."""
    text = checkpoint.text()
    return format_note(Note(text, (signer.sign(text),)))


def cosign_checkpoint(raw: bytes, witness: Signer, at: datetime) -> bytes:
    """The same checkpoint with one more line: the witness saw it at `at`. Whether it may say so is its own question."""
    note = parse_note(raw)
    return format_note(Note(note.text, (*note.signatures, witness.sign(note.text, at))))


def open_checkpoint(raw: bytes, key: VerifierKey, witnesses: Collection[VerifierKey] = (), quorum: int = 0) -> Opened:
    """Verify a checkpoint of the log that `key` belongs to; the key's name is the log's origin.

    1. the note is well formed                       (C2SP signed-note)
    2. its log signed it, and every known witness that signed it did so rightly
    3. the text is a checkpoint of this origin       (C2SP tlog-checkpoint)
    4. at least `quorum` of `witnesses` cosigned it  (C2SP tlog-cosignature)

    Raises `InvalidNote`.
    """
    # 1.
    note = parse_note(raw)
    # 2. One witness is one public key, under whatever names it is known.
    signed = verify_note(note, [key, *witnesses])
    if not any(one.key == key for one in signed):
        raise InvalidNote(f"the checkpoint is not signed by its log {key.name!r}")
    # 3.
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != key.name:
        raise InvalidNote(f"the checkpoint is of the log {checkpoint.origin[:80]!r}, not of {key.name!r}")
    # 4.
    cosigned = {one.key.public: one for one in signed if one.key.public != key.public}
    if len(cosigned) < quorum:
        raise InvalidNote(f"{len(cosigned)} of the known witnesses cosigned the checkpoint; {quorum} have to")
    return Opened(checkpoint, note, tuple(cosigned.values()))
