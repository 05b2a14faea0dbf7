"""Asks the configured witnesses to cosign what the log publishes, beside everything else that goes on.

One round
  1. take the newest checkpoint; there is nothing to do if enough witnesses cosigned it
  2. ask each witness, from the size that it is known to remember; it may correct that size, once
  3. verify each cosignature under the witness's key
  4. if there are enough, publish the checkpoint with them

Rules
- Never on the path of a call. A witness that is slow, silent or refuses costs nobody anything: it is logged, and asked
  again in the next round.
- A refusal by a witness that knows the log is an alarm: it remembers another history than the one that is published.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from gateway.audit.checkpoint import CHECKPOINT, Checkpoint, open_checkpoint
from gateway.audit.note import InvalidNote, Note, Signature, VerifierKey, format_note, parse_note
from gateway.audit.policy import COSIGNED
from gateway.audit.tiles import MissingTile, Read, TileReader
from gateway.audit.tree import consistency_proof
from gateway.audit.witness import Addition
from gateway.model.clock import Clock

__all__ = ["ROUND_SECONDS", "Known", "Post", "Witnesses", "post"]

log = logging.getLogger(__name__)

ROUND_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 5.0
LARGEST_ANSWER: Final = 64 * 1024

Post = Callable[[str, bytes], tuple[int, bytes]]
"""Sends a body to a URL; gives status and body. Raises `OSError`."""


@dataclass(slots=True)
class Known:
    """A witness: where it answers, its key, and the size that it remembers as far as we know."""

    url: str
    key: VerifierKey
    size: int = 0


@dataclass(slots=True)
class Witnesses:
    """The witnesses of one log. `publish` makes a cosigned checkpoint public, durably."""

    key: VerifierKey
    read: Read
    known: Sequence[Known]
    quorum: int
    publish: Callable[[bytes], Awaitable[None]]
    clock: Clock
    send: Post
    refusals: dict[str, int] = field(default_factory=dict)  # by witness
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Round after round until `stop`. Raises `StorageError`."""
        while not self._stopping.is_set():
            await self.round()
            try:
                async with asyncio.timeout(ROUND_SECONDS):
                    await self._stopping.wait()
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Begin no further round."""
        self._stopping.set()

    async def round(self) -> bool:
        """One round; whether it published a cosigned checkpoint."""
        cosigned = await asyncio.to_thread(self._gather)
        if cosigned is None:
            return False
        # 4.
        await self.publish(cosigned)
        return True

    def _gather(self) -> bytes | None:
        # 1.
        note = self.read(CHECKPOINT)
        if note is None or self._cosigned(note):
            return None
        head = open_checkpoint(note, self.key).checkpoint
        # 2. and 3.
        signatures = list(parse_note(note).signatures[:1])
        for witness in self.known:
            line = self._ask(witness, head, note)
            if line is not None:
                signatures.append(line)
        if len(signatures) == 1 or len(signatures) - 1 < self.quorum:
            return None
        return format_note(Note(parse_note(note).text, tuple(signatures)))

    def _cosigned(self, note: bytes) -> bool:
        there = self.read(COSIGNED)
        return there is not None and parse_note(there).text == parse_note(note).text

    def _ask(self, witness: Known, head: Checkpoint, note: bytes) -> Signature | None:
        for _ in range(2):
            try:
                status, body = self.send(f"{witness.url}/add-checkpoint", self._addition(witness, head, note).format())
            except (OSError, MissingTile) as wrong:
                log.warning("the witness %s does not answer: %s", witness.key.name, wrong)
                return None
            if status == 200:
                return self._taken(witness, head, body)
            remembered = body.strip()
            if status != 409 or not remembered.isdigit() or int(remembered[:20]) == witness.size:
                break
            witness.size = int(remembered[:20])
            if witness.size > head.size:
                log.critical(
                    "the witness %s remembers the log at size %d, and it is published at %d: it was rolled back",
                    *(witness.key.name, witness.size, head.size),
                )
                break
        self.refusals[witness.key.name] = self.refusals.get(witness.key.name, 0) + 1
        log.error("the witness %s refused (%d): %.200r", witness.key.name, status, body)
        return None

    def _addition(self, witness: Known, head: Checkpoint, note: bytes) -> Addition:
        old = min(witness.size, head.size)
        proof: tuple[bytes, ...] = ()
        if 0 < old < head.size:
            proof = tuple(consistency_proof(TileReader(self.read, head.size), old, head.size))
        return Addition(old, proof, note)

    def _taken(self, witness: Known, head: Checkpoint, body: bytes) -> Signature | None:
        """The witness's own line among those that it answered with."""
        witness.size = head.size
        try:
            answered = parse_note(head.text().encode() + b"\n" + body).signatures
            line = next(one for one in answered if witness.key.made(one))
            witness.key.verify(head.text(), line.signature)
        except (InvalidNote, StopIteration) as wrong:
            log.error("the witness %s answered with no cosignature of its own: %s", witness.key.name, wrong)
            return None
        return line


def post(url: str, body: bytes) -> tuple[int, bytes]:
    """Over the standard library, in a thread. Raises `OSError` where no answer came."""
    request = Request(url, data=body, method="POST", headers={"Content-Type": "application/octet-stream"})
    try:
        with urlopen(request, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status), bytes(answer.read(LARGEST_ANSWER))
    except HTTPError as refused:
        with refused:
            return refused.code, refused.read(LARGEST_ANSWER)
    except (URLError, TimeoutError) as wrong:
        raise OSError(str(getattr(wrong, "reason", wrong))) from None
