"""What is remembered of erasures outside of every database: the ids of the keys that must not come back.

A backup of the key store brings destroyed keys back. This file, which is only ever appended to, says which ones they
are; at each start they are destroyed once more before anything is served.

Rules
- One line of JSON for each erasure, durable on return. It is written before the keys are destroyed: after a crash in
  between, the next start finishes the work.
- It names nobody: a tag (an HMAC), ids of keys (chance), and a moment.
- A line that was cut by a crash in the middle of writing is that of an erasure which had not begun; it is left out.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store.durable import sync

__all__ = ["Erasure", "Erasures"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """Whom it was about, by tag; the keys that were destroyed; when, as RFC 3339."""

    tag: str
    keys: tuple[str, ...]
    at: str


class Erasures:
    """The file at `path`; it need not exist."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[Erasure]:
        """All of them. Raises `ConfigurationError` for a file that is something else."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        except OSError as wrong:
            raise ConfigurationError(f"{self._path} cannot be read: {wrong.strerror}") from None
        whole = text[: text.rfind("\n") + 1].splitlines()
        return [self._parsed(number, line) for number, line in enumerate(whole, 1)]

    def append(self, tag: str, keys: Sequence[str], at: str) -> None:
        """Remember one, durably. Raises `StorageError`; then nothing may be destroyed."""
        line = json.dumps(asdict(Erasure(tag, tuple(keys), at))).encode() + b"\n"
        try:
            new = not self._path.exists()
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                _cut_to_whole_lines(descriptor)
                os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if new:
                sync(self._path.parent)
        except OSError as wrong:
            raise StorageError(f"{self._path} cannot be written ({wrong.strerror}): nothing was erased") from wrong

    def _parsed(self, number: int, line: str) -> Erasure:
        try:
            found = json.loads(line)
            return Erasure(str(found["tag"]), tuple(map(str, found["keys"])), str(found["at"]))
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"{self._path}:{number} is no erasure. Put the file back as it was: without it a restored backup would"
                " bring back what was erased"
            ) from None


def _cut_to_whole_lines(descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
