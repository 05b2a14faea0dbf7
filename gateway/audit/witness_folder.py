"""Where a witness remembers: one file for each log, replaced whole and fsynced before anybody is told."""

from __future__ import annotations

from pathlib import Path

from gateway.audit.directory import Directory
from gateway.audit.witness import place_of

__all__ = ["WitnessFolder"]


class WitnessFolder:
    """The heads below `folder`; no other process may write there. Raises `StorageError`."""

    def __init__(self, folder: Path) -> None:
        self._directory = Directory(folder)
        self._directory.lock()

    def read(self, origin: str) -> bytes | None:
        """See `witness.Heads`."""
        return self._directory.read(place_of(origin))

    def write(self, origin: str, note: bytes) -> None:
        """See `witness.Heads`."""
        self._directory.replace(place_of(origin), note)

    def close(self) -> None:
        """Let another process witness."""
        self._directory.close()
