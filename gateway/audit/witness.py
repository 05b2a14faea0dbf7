"""A witness (C2SP tlog-witness): it remembers each log's head, and cosigns only what continues what it remembers.

For one `add-checkpoint`, in this order
  1. the request is well formed                                         400
  2. the checkpoint's log is known                                      404
  3. its log signed it                                                  403
  4. the old size is not larger than the new one                        400
  5. the old size is the one that this witness remembers                409, with the size that it remembers
  6. the proof shows that the remembered tree begins the new one        409 for another tree of one size, 422
  7. the new head is remembered, durably, before the cosignature leaves

Rules
- What is remembered never goes back. A log that was rolled back or written anew gets no cosignature, and the refusal
  is printed: it is the finding.
- One request at a time: two that race must not both be judged by the same old head.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.audit.checkpoint import Checkpoint, open_checkpoint
from gateway.audit.note import InvalidNote, Signer, VerifierKey, decode_base64, encode_base64, parse_note
from gateway.audit.tree import EMPTY_ROOT, HASH_BYTES, InvalidProof, verify_consistency
from gateway.model.problems import GatewayError

__all__ = ["SIZE_TYPE", "Addition", "Heads", "Witness", "WitnessRefusal", "place_of"]

SIZE_TYPE: Final = "text/x.tlog.size"
"""Media type of a 409's body: the size that the witness remembers."""

MOST_HASHES: Final = 63


class WitnessRefusal(GatewayError):
    """Why nothing is cosigned; `size` is what the witness remembers, where that is the answer."""

    def __init__(self, status: int, why: str, size: int | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.size = size


class Heads(Protocol):
    """Where a witness remembers; both raise `StorageError`."""

    def read(self, origin: str) -> bytes | None:
        """The note that was cosigned last."""

    def write(self, origin: str, note: bytes) -> None:
        """Remember it; durable on return."""


@dataclass(frozen=True, slots=True)
class Addition:
    """An `add-checkpoint`: the size that the asker takes the witness to remember, the proof, the new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def format(self) -> bytes:
        """The request's body."""
        lines = [f"old {self.old}", *map(encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.note

    @classmethod
    def parse(cls, body: bytes) -> Addition:
        """Read a body. Raises `WitnessRefusal`."""
        head, blank, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
            proof = tuple(decode_base64(line) for line in lines)
        except (UnicodeDecodeError, InvalidNote) as wrong:
            raise WitnessRefusal(400, f"the request is malformed: {wrong}") from None
        word, _, old = first.partition(" ")
        if not blank or word != "old" or not (old.isdigit() and len(old) < 20 and str(int(old)) == old):
            raise WitnessRefusal(400, "a request is `old <size>`, the proof, an empty line, and a checkpoint")
        if len(proof) > MOST_HASHES or any(len(hash_) != HASH_BYTES for hash_ in proof):
            raise WitnessRefusal(400, f"a proof has at most {MOST_HASHES} hashes of {HASH_BYTES} bytes")
        return cls(int(old), proof, note)


class Witness:
    """One witness over the logs that it knows. `signer` has a cosignature key."""

    def __init__(self, signer: Signer, logs: Iterable[VerifierKey], heads: Heads) -> None:
        self.key = signer.key
        self._signer = signer
        self._logs: Mapping[str, VerifierKey] = {key.name: key for key in logs}
        self._heads = heads
        self._one = threading.Lock()

    @property
    def logs(self) -> Mapping[str, VerifierKey]:
        """The logs that it knows, by origin."""
        return self._logs

    def remembered(self, origin: str) -> Checkpoint | None:
        """The head of a log as it was cosigned last."""
        note = self._heads.read(origin)
        return None if note is None else Checkpoint.parse(parse_note(note).text)

    def add(self, body: bytes, at: datetime) -> str:
        """Steps 1 to 7: the line that cosigns. Raises `WitnessRefusal`, `StorageError`."""
        # 1.
        asked = Addition.parse(body)
        try:
            claimed = Checkpoint.parse(parse_note(asked.note).text)
        except InvalidNote as wrong:
            raise WitnessRefusal(400, str(wrong)) from None
        # 2.
        key = self._logs.get(claimed.origin)
        if key is None:
            raise WitnessRefusal(404, f"the log {claimed.origin[:80]!r} is not known here")
        # 3.
        try:
            new = open_checkpoint(asked.note, key).checkpoint
        except InvalidNote as wrong:
            raise WitnessRefusal(403, str(wrong)) from None
        # 4.
        if asked.old > new.size:
            raise WitnessRefusal(400, f"the old size {asked.old} is larger than the new one, {new.size}")
        with self._one:
            # 5.
            old = self.remembered(claimed.origin) or Checkpoint(claimed.origin, 0, EMPTY_ROOT)
            if asked.old != old.size:
                raise WitnessRefusal(409, f"this witness remembers the size {old.size}, not {asked.old}", old.size)
            # 6.
            _require_growth(old, new, asked.proof)
            # 7.
            self._heads.write(claimed.origin, asked.note)
            return f"{self._signer.sign(new.text(), at)}\n"


def _require_growth(old: Checkpoint, new: Checkpoint, proof: tuple[bytes, ...]) -> None:
    if old.size == new.size and old.root != new.root:
        raise WitnessRefusal(409, f"there are two trees of size {new.size}: the log's history was split", old.size)
    if old.size == 0 or old.size == new.size:
        if proof:
            raise WitnessRefusal(422, "a proof is given where none is needed")
        return
    try:
        verify_consistency(old.size, new.size, old.root, new.root, proof)
    except InvalidProof as wrong:
        raise WitnessRefusal(422, f"the tree of size {old.size} does not begin the new one: {wrong}") from None


def place_of(origin: str) -> str:
    """The name under which a log's head is kept (tlog-witness: SHA-256 of the origin)."""
    return hashlib.sha256(origin.encode()).hexdigest()
