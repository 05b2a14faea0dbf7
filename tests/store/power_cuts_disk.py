"""A disk in memory under SQLite: its power can be cut between any two calls, and each of its calls can fail.

What survives a power cut
- Of a file, what was there at its last sync. Of the writes since: none, a prefix, or any subset; about a third of those
  kept is torn at 512 bytes.
- A file is there once it was synced: SQLite syncs the folder with the first sync of a file that it made, which makes
  earlier deletions durable too. Until then one that was deleted may come back.
What a failed call does
- The call raises, once, and the disk goes on as if it were well. A failed sync is worse: what it should have made
  durable stays readable but is never written any more, as on Linux.

It knows no store. SQLite has no shared memory here, so that each connection takes the file for itself.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any, Final

import apsw

__all__ = ["Disk", "mounted"]

SECTOR: Final = 512
TORN: Final = 0.3

KEPT: Final = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
"""Files that outlive a process. Of temporary ones nothing is left, so they are none of the disk's."""

WRITER: Final = "store writer"
"""The thread that commits."""

Change = tuple[int, bytes | None]
"""What is written where; without content, the size that a file is cut to."""


class File:
    """What a reader sees, what is durable, and the changes in between."""

    def __init__(self, content: bytes = b"", durable: bool = False) -> None:
        self.content = bytearray(content)
        self.synced = bytearray(content)
        self.changes: list[Change] = []
        self.durable = durable
        self.before: bytes | None = None  # what the name stood for, should the deletion not have reached the disk

    def change(self, change: Change) -> None:
        apply(self.content, change)
        self.changes.append(change)

    def sync(self) -> None:
        for change in self.changes:
            apply(self.synced, change)
        self.changes.clear()
        self.durable, self.before = True, None

    def survivor(self, chance: random.Random) -> bytes | None:
        """What a start after the cut finds; None if not even the name."""
        if not self.durable and chance.random() < 0.5:
            return self.before
        kept = bytearray(self.synced)
        for change in surviving(self.changes, chance):
            apply(kept, change)
        return bytes(kept)


def apply(content: bytearray, change: Change) -> None:
    at, what = change
    if what is None:
        del content[at:]
        return
    if at > len(content):
        content.extend(bytes(at - len(content)))
    content[at : at + len(what)] = what


def surviving(changes: list[Change], chance: random.Random) -> list[Change]:
    """Those of `changes` that reached the disk, whole or torn."""
    how = chance.choice(("none", "prefix", "subset"))
    if how == "none":
        return []
    if how == "prefix":
        kept = changes[: chance.randrange(len(changes) + 1)]
    else:
        kept = [change for change in changes if chance.random() < 0.5]
    return [torn(change, chance) if chance.random() < TORN else change for change in kept]


def torn(change: Change, chance: random.Random) -> Change:
    """The first sectors of a write; one within a sector is kept, for a sector is written in one piece."""
    at, what = change
    if what is None:
        return change
    cuts = range(SECTOR - at % SECTOR, len(what), SECTOR)
    return (at, what[: chance.choice(cuts)]) if cuts else change


class Disk(apsw.VFS):
    """The files, by name. `calls_left`: how many changing calls are answered before the power is cut (-1: all).

    `fail` is asked before each changing call, by its name (`write`, `sync`, `truncate`, `delete`), and raises to make
    it fail. `calls` counts the changing calls.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, base="", makedefault=False)
        self.files: dict[str, File] = {}
        self.deleted: dict[str, bytes] = {}
        self.calls_left = -1
        self.calls = 0
        self.off = False
        self.fail: Callable[[str], None] | None = None

    def hold(self, files: dict[str, bytes]) -> None:
        """Be on, with exactly these files, all durable."""
        self.files = {name: File(content, durable=True) for name, content in files.items()}
        self.deleted.clear()
        self.off, self.calls_left, self.calls, self.fail = False, -1, 0, None

    def survivors(self, chance: random.Random) -> dict[str, bytes]:
        """The files as a start after the cut finds them."""
        found = {name: file.survivor(chance) for name, file in self.files.items()}
        for name, content in self.deleted.items():
            if name not in self.files and chance.random() < 0.5:
                found[name] = content
        return {name: content for name, content in found.items() if content is not None}

    def changing(self, what: str) -> None:
        """Before each call that changes something. From the cut on it has no effect.

        It raises then for the writer, so that nothing is acknowledged that went nowhere; but not again for whoever
        only opens or closes: SQLite passes over errors there, and apsw would raise them.
        """
        first, self.off = not self.off and self.calls_left == 0, self.off or self.calls_left == 0
        if first or (self.off and threading.current_thread().name == WRITER):
            raise apsw.IOError("IOError: the power is off")
        if self.off:
            return
        self.calls_left -= 1
        self.calls += 1
        if self.fail is not None:
            self.fail(what)

    # As SQLite calls it

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.files

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> OpenFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if self.off or path is None or not flags[0] & KEPT:
            return OpenFile(None, File(), readonly=False)
        if path not in self.files:
            self.files[path] = File()
            self.files[path].before = self.deleted.pop(path, None)
        flags[1] = flags[0]
        return OpenFile(self, self.files[path], readonly=bool(flags[0] & apsw.SQLITE_OPEN_READONLY))

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.changing("delete")
        if self.off:
            return
        file = self.files.pop(filename)
        if file.durable and not syncdir:
            self.deleted[filename] = bytes(file.synced)

    def xRandomness(self, numbytes: int) -> bytes:
        return random.randbytes(numbytes)

    def xSleep(self, microseconds: int) -> int:
        return microseconds

    def xGetLastError(self) -> tuple[int, str]:
        return 0, ""


class OpenFile:
    """A file as SQLite holds it open, temporary if `disk` is None.

    Locks are not kept: the store's processes exclude each other by other means.
    """

    def __init__(self, disk: Disk | None, file: File, readonly: bool) -> None:
        self._disk = disk
        self._file = file
        self._readonly = readonly

    def _changing(self, what: str) -> bool:
        """Whether the call has an effect."""
        if self._readonly:
            raise apsw.ReadOnlyError("ReadOnlyError: opened for reading")
        if self._disk is None:
            return True
        self._disk.changing(what)
        return not self._disk.off

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.content[offset : offset + amount])

    def xWrite(self, content: bytes, offset: int) -> None:
        if self._changing("write"):
            self._file.change((offset, bytes(content)))

    def xTruncate(self, size: int) -> None:
        if self._changing("truncate"):
            self._file.change((size, None))

    def xSync(self, flags: int) -> None:
        try:
            effective = self._changing("sync")
        except apsw.Error:
            if self._disk is not None and not self._disk.off:
                self._file.changes.clear()  # readable, taken for written, and lost
            raise
        if effective:
            if self._disk is not None and not self._file.durable:
                self._disk.deleted.clear()  # the folder is synced with it
            self._file.sync()

    def xFileSize(self) -> int:
        return len(self._file.content)

    def xLock(self, level: int) -> None:
        return None

    def xUnlock(self, level: int) -> None:
        return None

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return 4096

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE  # what SQLite takes any disk for

    def xClose(self) -> None:
        return None


class mounted:
    """Within it, SQLite's files stand on a `Disk`, whatever opens them; each connection has its file for itself."""

    NAME: Final = "unreliable disk"

    def __enter__(self) -> Disk:
        self._before = apsw.vfs_names()[0]
        self._disk = Disk(self.NAME)
        apsw.set_default_vfs(self.NAME)
        apsw.connection_hooks.append(self._alone)
        return self._disk

    def __exit__(self, *raised: Any) -> None:
        apsw.connection_hooks.remove(self._alone)
        apsw.set_default_vfs(self._before)
        self._disk.unregister()

    @staticmethod
    def _alone(connection: apsw.Connection) -> None:
        connection.pragma("locking_mode", "EXCLUSIVE")
