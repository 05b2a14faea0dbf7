"""The database file: who may open it, with which rights, and how its connections behave.

Rules
- One process at a time: an advisory lock on `<file>.lock` is held as long as the store is open.
- Nobody but the owner reads it: created with mode 0600, which SQLite gives to the -wal and -shm files too.
- A commit returns only after fsync (WAL, synchronous=FULL).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

import apsw

from gateway.model.problems import ConfigurationError
from gateway.store.durable import sync

__all__ = ["FileLock", "create", "reader", "writer"]

WAL_PAGES: Final = 4000
"""Pages of 4 KiB in the write-ahead log after which a commit moves them into the database."""

BUSY_MILLISECONDS: Final = 1000
CACHED_STATEMENTS: Final = 256


class FileLock:
    """Holds `<file>.lock` until `release`. Raises `ConfigurationError` if another process holds it."""

    def __init__(self, path: Path) -> None:
        place = path.with_name(path.name + ".lock")
        self._descriptor = _owned(place)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise ConfigurationError(
                f"{path} is open in another process{f' ({holder})' if holder else ''}: stop that one first,"
                " or give this one a store of its own"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f"process {os.getpid()}\n".encode())

    def release(self) -> None:
        """Let the next process in."""
        os.close(self._descriptor)


def _owned(path: Path) -> int:
    """The file, made for its owner alone if it is not there."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as wrong:
        raise ConfigurationError(f"{path} cannot be opened: {wrong.strerror}") from None


def create(path: Path) -> None:
    """Make an empty file that only its owner may read, if there is none, and make its name durable."""
    if path.exists():
        return
    os.close(_owned(path))
    sync(path.parent)


def writer(path: Path) -> apsw.Connection:
    """The one connection that writes."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=CACHED_STATEMENTS)
    connection.set_busy_timeout(10 * BUSY_MILLISECONDS)  # somebody with a shell; the loop is not waiting here
    if connection.execute("PRAGMA journal_mode = WAL").get != "wal":
        raise ConfigurationError(f"{path} stands on a file system that cannot hold a write-ahead log: use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone does not reach the disk
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA cache_size = -32000")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def reader(path: Path) -> apsw.Connection:
    """A connection that cannot write."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, statementcachesize=CACHED_STATEMENTS)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection
