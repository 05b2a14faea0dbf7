"""A log whose store was put back: it is closed as it is, and another one begins beside it, under a name of its own.

Rules
- What was published is never taken back. A closed log keeps its directory, with every entry that the store has lost;
  auditors and witnesses go on verifying it under its old name.
- The new log has the old one's name with the store's new identity behind it. It begins with the first record that the
  store holds, and the closing is one of its entries: size and root of the closed log, and where it lies.
- A log that says the same as the store goes on, whatever happened to the store's identity.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.audit.directory import STATE, Directory
from gateway.audit.head import Head, HeadFile
from gateway.audit.tree import RightEdge, hash_leaf
from gateway.store.durable import replace, sync
from gateway.store.interface import Store
from gateway.store.quarantine import Standing

__all__ = ["Closed", "close_if_contradicted", "published_number", "succession"]

BELONGS: Final = "store"
"""Below `.state`: the identity of the store whose records the log holds."""

SUCCESSION: Final = "succession"
"""Below `.state`: what stands behind the configured name of the log."""

PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Closed:
    """A log that was closed: its last size and root, and its directory now."""

    size: int
    root: bytes
    directory: Path


def succession(directory: Path) -> str | None:
    """What stands behind the configured name of the log in `directory`; None for the first one."""
    return _read(directory, SUCCESSION)


async def published_number(directory: Path, identity: str) -> int:
    """The last record of this store that the log in `directory` holds; 0 where it is none of this store's."""
    if _read(directory, BELONGS) != identity:
        return 0
    head = await HeadFile(Directory(directory)).read_head()
    return 0 if head is None else head.position


async def close_if_contradicted(directory: Path, store: Store, standing: Standing) -> Closed | None:
    """Close the log in `directory` if it holds what the store does not; nobody else may be writing it.

    `standing.identity` is the store's own by now. Raises `OSError`, `StorageError`.
    """
    if not directory.exists() and _next(directory).exists():
        os.rename(_next(directory), directory)  # the last process died in the middle
    belongs = _read(directory, BELONGS)
    if belongs == standing.identity:
        return None
    head = await HeadFile(Directory(directory)).read_head()
    if head is None or not await _contradicts(head, store, standing):
        await asyncio.to_thread(_write, directory, BELONGS, standing.identity)
        return None
    closed = directory.with_name(f"{directory.name}.closed-{(belongs or 'first')[:8]}")
    await asyncio.to_thread(_succeed, directory, closed, standing.identity)
    return Closed(head.size, head.root, closed)


async def _contradicts(head: Head, store: Store, standing: Standing) -> bool:
    if head.position > standing.number:
        return True
    edge, position = RightEdge(), head.position - head.size
    while edge.size < head.size:
        page = await store.entries(after=position, limit=min(PAGE, head.size - edge.size))
        if not page:
            return True
        for entry in page:
            edge.append(hash_leaf(entry.leaf))
        position = page[-1].position
    return edge.root() != head.root


def _succeed(directory: Path, closed: Path, identity: str) -> None:
    """The new directory stands complete before the old one goes aside."""
    following = _next(directory)
    _write(following, SUCCESSION, identity[:8])
    _write(following, BELONGS, identity)
    os.rename(directory, closed)
    os.rename(following, directory)
    sync(directory.parent)


def _next(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.next")


def _read(directory: Path, name: str) -> str | None:
    try:
        return (directory / STATE / name).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(directory: Path, name: str, value: str) -> None:
    (directory / STATE).mkdir(parents=True, exist_ok=True)
    replace(directory / STATE / name, f"{value}\n".encode("ascii"), 0o644)
    for folder in (directory, directory.parent):
        sync(folder)
