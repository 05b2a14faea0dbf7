"""Proof that one entry is in a log (C2SP tlog-proof): a text that is checked offline against the log's public key.

Rules
- A proof holds the checkpoint as it was published, cosignatures included; what it shows is worth what they are worth.
- Extra lines are carried and never believed.
- The entry's bytes are not in it: whoever verifies has them from elsewhere, and hashes them as they are.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from gateway.audit.checkpoint import CHECKPOINT, Checkpoint, Opened, open_checkpoint
from gateway.audit.note import LARGEST_NOTE, InvalidNote, VerifierKey, decode_base64, encode_base64, parse_note
from gateway.audit.tiles import Read, TileReader
from gateway.audit.tree import HASH_BYTES, InvalidProof, hash_leaf, inclusion_proof, verify_inclusion

__all__ = ["Proof", "prove", "verify_proof"]

FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"

MOST_HASHES: Final = 63
"""The way from a leaf to the root of the largest tree."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The way from the entry at `index` to the root of `checkpoint` (a signed note), from the leaf's sibling up."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""

    def format(self) -> bytes:
        """The text, for a file whose name ends in `.tlog-proof`."""
        lines = [FIRST_LINE]
        if self.extra:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines += [f"index {self.index}", *map(encode_base64, self.hashes), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, raw: bytes) -> Proof:
        """Read the text; nothing is verified. Raises `InvalidProof`."""
        head, blank, checkpoint = raw[:LARGEST_NOTE].partition(b"\n\n")
        if not blank or len(raw) > LARGEST_NOTE:
            raise InvalidProof("a proof is some lines, an empty line, and a checkpoint")
        try:
            first, *lines = head.decode("ascii").split("\n")
            extra = b""
            if first == FIRST_LINE and lines and lines[0].startswith("extra "):
                extra = decode_base64(lines.pop(0).removeprefix("extra "))
            word, _, index = lines.pop(0).partition(" ") if lines else ("", "", "")
            hashes = tuple(decode_base64(line) for line in lines)
        except (UnicodeDecodeError, InvalidNote) as error:
            raise InvalidProof(f"the proof is malformed: {error}") from None
        if first != FIRST_LINE or word != "index" or not (index.isdigit() and str(int(index[:20])) == index):
            raise InvalidProof(f"a proof begins with {FIRST_LINE!r} and the entry's index")
        if len(hashes) > MOST_HASHES or any(len(hash_) != HASH_BYTES for hash_ in hashes):
            raise InvalidProof(f"a proof has at most {MOST_HASHES} hashes of {HASH_BYTES} bytes")
        return cls(int(index), hashes, checkpoint, extra)


def prove(read: Read, index: int, checkpoint: bytes | None = None, extra: bytes = b"") -> Proof:
    """Prove the entry at `index` against the published checkpoint, or against an older one of the same log.

    Raises `IndexError` where the checkpoint does not reach, `MissingTile`, or `InvalidNote` without a checkpoint.
    """
    published = read(CHECKPOINT)
    raw = published if checkpoint is None else checkpoint
    if raw is None or published is None:
        raise InvalidNote("the log has published no checkpoint")
    head = Checkpoint.parse(parse_note(raw).text)
    # Tiles are read as they stand now: partial ones of an older tree may be gone.
    reader = TileReader(read, max(head.size, Checkpoint.parse(parse_note(published).text).size))
    return Proof(index, tuple(inclusion_proof(reader, index, head.size)), raw, extra)


def verify_proof(
    proof: Proof, leaf: bytes, key: VerifierKey, witnesses: Collection[VerifierKey] = (), quorum: int = 0
) -> Opened:
    """Verify that `leaf` is in the log that `key` belongs to (C2SP tlog-proof, "Verifying a tlog proof").

    1. hash the leaf
    2. and 3. open the checkpoint: its origin, its log's signature, its cosignatures
    4. follow the proof from the leaf to the checkpoint's root

    Raises `InvalidProof`, or `InvalidNote` for steps 2 and 3.
    """
    # 1.
    leaf_hash = hash_leaf(leaf)
    # 2. and 3.
    opened = open_checkpoint(proof.checkpoint, key, witnesses, quorum)
    # 4.
    verify_inclusion(proof.index, opened.checkpoint.size, leaf_hash, proof.hashes, opened.checkpoint.root)
    return opened
