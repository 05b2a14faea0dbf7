"""Files outside of any database that must be there after a power cut, whole.

The transparency log's own directory has its own writer (`audit.directory`), whose every call a test can cut.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["replace", "sync"]


def sync(path: Path) -> None:
    """Make durable what a file holds, or which names a folder holds. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Give `path` this content, durably: after a crash it holds the old or the new one, whole. Raises `OSError`."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(beside, path)
    sync(path.parent)
