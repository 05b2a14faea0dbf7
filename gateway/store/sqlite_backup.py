"""Copies of the SQLite store: made while a gateway runs, verified before anybody relies on them, and looked at.

Rules
- A copy is one file, without write-ahead log, as the store was at one instant; it is durable when `copy` returns.
- Nothing here writes to the store that it reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import apsw

from gateway.model.problems import StorageError
from gateway.store import sqlite_quarantine
from gateway.store.durable import sync
from gateway.store.migrate import APPLICATION_ID
from gateway.store.quarantine import Standing
from gateway.store.sqlite_file import reader

__all__ = ["copy", "examine"]

PAGES: Final = 2000
"""Copied in one step; a commit in between makes the copy begin again, so a small store is copied in one."""

STEPS: Final = 200
"""After so many the rest is copied in one step, whoever waits: the copy must end on a busy store too."""


def copy(source: Path, target: Path) -> Standing:
    """Copy the store to `target`, which is not there yet, and verify the copy. Raises `StorageError`."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        reading, writing = reader(source), apsw.Connection(str(target))
        try:
            with writing.backup("main", reading, "main") as backup:
                for _ in range(STEPS):
                    if backup.step(PAGES):
                        break
                else:
                    backup.step(-1)
            # A single file from here on: whoever copies it elsewhere must not need a second one.
            writing.execute("PRAGMA journal_mode = DELETE").fetchall()
        finally:
            writing.close()
            reading.close()
        sync(target)
        sync(target.parent)
    except (apsw.Error, OSError) as wrong:
        raise StorageError(f"{source} cannot be copied to {target} ({type(wrong).__name__}: {wrong})") from wrong
    return examine(target)


def examine(path: Path) -> Standing:
    """Check every page and index of the database at `path`, and say which store it is and how far it had come.

    Raises `StorageError` if it is damaged or not ours. A store from before there were identities has an empty one.
    """
    try:
        connection = reader(path)
        try:
            if connection.execute("PRAGMA application_id").get != APPLICATION_ID:
                raise StorageError(f"{path} is no store of lendgate")
            found = connection.execute("PRAGMA integrity_check").get
            if found != "ok":
                raise StorageError(f"{path} is damaged: {found}")
            return _standing(connection)
        finally:
            connection.close()
    except apsw.Error as wrong:
        raise StorageError(f"{path} cannot be read ({type(wrong).__name__}: {wrong})") from wrong


def _standing(connection: apsw.Connection) -> Standing:
    if connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'store_identity'").get:
        return sqlite_quarantine.standing(lambda query: connection.execute(query).fetchall())
    number = connection.execute("SELECT coalesce(max(position), 0) FROM records").get
    return Standing("", False, number, None)
