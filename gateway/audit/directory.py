"""A log's directory on a disk. Every tile, bundle and checkpoint is written here and nowhere else.

    checkpoint                   the signed head; the one file that is replaced
    tile/…                       hashes and entries (see `tiles`); never changed once written
    minimum_index                entries below it may be gone (C2SP tlog-tiles, "Pruning"); not there means 0
    log.vkey                     the log's public key, as a convenience: whoever verifies has it from elsewhere
    .state/                      the writer's own; not to be served

Rules
- Whatever the machine does in between, each file is as it was or as it should be, never part of it: written under
  another name, fsynced, renamed, and the directory fsynced before anything that builds on it.
- A checkpoint is published after all that it covers is durable; partial tiles and pruned bundles go after what allows
  it is durable. So at every instant, and after any crash, the published checkpoint verifies.
- The last line of defence stands here: no file that is there is changed, and no checkpoint goes back or contradicts
  the published one, whoever asks.
- An fsync that failed is final. The pages may be marked as clean, so a repetition that succeeds would prove nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from gateway.audit.checkpoint import CHECKPOINT, Checkpoint
from gateway.audit.note import InvalidNote, parse_note
from gateway.audit.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, Read, levels, tile_path
from gateway.model.problems import StorageError

__all__ = ["MINIMUM_INDEX", "PUBLIC_KEY", "STATE", "Directory", "FileReader", "System", "read_minimum"]

MINIMUM_INDEX: Final = "minimum_index"
PUBLIC_KEY: Final = "log.vkey"
STATE: Final = ".state"

FILE_MODE: Final = 0o644
READ_BYTES: Final = 1 << 20


class System(Protocol):
    """The calls of the operating system that are used here, so that a test can cut the power between any two."""

    def open(self, path: str, flags: int, mode: int = ..., /) -> int: ...
    def read(self, fd: int, length: int, /) -> bytes: ...
    def write(self, fd: int, content: bytes, /) -> int: ...
    def fsync(self, fd: int, /) -> None: ...
    def close(self, fd: int, /) -> None: ...
    def replace(self, source: str, target: str, /) -> None: ...
    def mkdir(self, path: str, /) -> None: ...
    def unlink(self, path: str, /) -> None: ...
    def rmdir(self, path: str, /) -> None: ...
    def listdir(self, path: str, /) -> list[str]: ...
    def flock(self, fd: int, operation: int, /) -> None: ...


class OperatingSystem:
    """The real one."""

    open = staticmethod(os.open)
    read = staticmethod(os.read)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    close = staticmethod(os.close)
    replace = staticmethod(os.replace)
    mkdir = staticmethod(os.mkdir)
    unlink = staticmethod(os.unlink)
    rmdir = staticmethod(os.rmdir)
    listdir = staticmethod(os.listdir)
    flock = staticmethod(fcntl.flock)


class FileReader:
    """Reads the files below a root (a `tiles.Read`); for whoever verifies, also in another process."""

    def __init__(self, root: Path | str) -> None:
        self.root = str(root)

    def __call__(self, path: str) -> bytes | None:
        try:
            with open(f"{self.root}/{path}", "rb", buffering=0) as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None


class Directory:
    """The directory at `root`, which is made if it is not there. Every method raises `StorageError`."""

    def __init__(self, root: Path | str, system: System | None = None) -> None:
        self._root = str(root)
        self._system: System = system or OperatingSystem()
        self._lock: int | None = None
        self._made: set[str] = set()  # directories below the root that are known to be durable
        try:
            if self._make(""):
                self._sync_directory(os.path.dirname(self._root))
            self._prepare(STATE)
        except OSError as error:
            raise self._failed("be made", error) from error

    def lock(self) -> None:
        """Become the one writer, until `close` or the end of the process."""
        try:
            self._lock = self._open_lock("writer")
            self._system.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise StorageError(f"another process writes the log in {self._root}; stop it first") from None
        except OSError as error:
            raise self._failed("be locked", error) from error

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Wait until nobody else is in the section of that name."""
        try:
            fd = self._open_lock(name)
        except OSError as error:
            raise self._failed("be locked", error) from error
        try:
            self._system.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            self._system.close(fd)

    def _open_lock(self, name: str) -> int:
        return self._system.open(self._place(f"{STATE}/{name}.lock"), os.O_RDWR | os.O_CREAT, FILE_MODE)

    def close(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            self._system.close(self._lock)
            self._lock = None

    def read(self, path: str) -> bytes | None:
        """The file's bytes, or None if it is not there (a `tiles.Read`)."""
        try:
            fd = self._system.open(self._place(path), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._failed(f"give {path}", error) from error
        try:
            parts = []
            while part := self._system.read(fd, READ_BYTES):
                parts.append(part)
            return b"".join(parts)
        except OSError as error:
            raise self._failed(f"give {path}", error) from error
        finally:
            self._system.close(fd)

    def add(self, files: Mapping[str, bytes]) -> None:
        """Write tiles and bundles; durable on return. One that is there already has to be the same."""
        for path, content in files.items():
            there = self.read(path)
            if there is not None and there != content:
                raise StorageError(f"{self._root}/{path} is there with other bytes; a log's tiles never change")
        self._write(files)

    def publish(self, checkpoint: bytes) -> None:
        """Replace the checkpoint; durable on return. What it covers has to be durable before."""
        new, published = _head(checkpoint), self.published()
        if published is not None:
            old = _head(published)
            if new.origin != old.origin:
                raise StorageError(f"{self._root} is the log {old.origin!r}, not {new.origin!r}")
            if new.size < old.size:
                raise StorageError(f"{self._root} has published size {old.size}; it never goes back to {new.size}")
            if new.size == old.size and new.root != old.root:
                raise StorageError(f"{self._root} has published another tree of size {old.size}")
        self._write({CHECKPOINT: checkpoint})

    def published(self) -> bytes | None:
        """The published checkpoint."""
        return self.read(CHECKPOINT)

    def replace(self, path: str, content: bytes) -> None:
        """Write a file that may change, such as a policy or the writer's state; durable on return."""
        if path == CHECKPOINT or path.startswith("tile/"):
            raise ValueError(f"{path} has rules of its own")
        self._write({path: content})

    def drop_partials(self, full: Iterable[str]) -> None:
        """Remove the partial forms of tiles and bundles that are full and published (C2SP, "Partial Tiles")."""
        for path in full:
            self._remove_all(f"{path}.p")

    def sweep(self, size: int) -> None:
        """Remove what a crash between `publish` and `drop_partials` left over; looks at the end of the log only."""
        for level in (ENTRIES, *range(levels(size))):
            height = 0 if level == ENTRIES else TILE_HEIGHT * int(level)
            edge = (size >> height) // TILE_WIDTH
            for directory in {os.path.dirname(tile_path(level, index)) for index in (edge, max(0, edge - 1000))}:
                partial = [name.removesuffix(".p") for name in self._names(directory) if name.endswith(".p")]
                self.drop_partials({f"{directory}/{name}" for name in partial} - {tile_path(level, edge)})

    def minimum(self) -> int:
        """The published minimum index."""
        return read_minimum(self.read)

    def prune(self, minimum: int) -> int:
        """Publish a higher minimum index and remove the bundles that end at or below it; gives how many.

        Hash tiles stay, so that every proof stays possible. Repeat it after a crash: it removes what was left over.
        """
        published = self.published()
        size = 0 if published is None else _head(published).size
        if not self.minimum() <= minimum <= size:
            raise StorageError(f"the minimum index rises from {self.minimum()} up to the size {size}, not to {minimum}")
        self._write({MINIMUM_INDEX: f"{minimum}\n".encode()})
        return self._remove_bundles(f"tile/{ENTRIES}", 0, minimum // TILE_WIDTH)

    def _remove_bundles(self, directory: str, index: int, below: int) -> int:
        """Remove the full bundles whose index, `index` being that of the directory's path so far, is below."""
        removed = 0
        for name in self._names(directory):
            path = f"{directory}/{name}"
            if name.startswith("x") and name[1:].isdigit():
                # Paths are in groups of three digits, so that a directory holds a thousand times a thousand bundles.
                removed += self._remove_bundles(path, (index + int(name[1:])) * 1000, below)
            elif name.isdigit() and path == tile_path(ENTRIES, index + int(name)) and index + int(name) < below:
                self._unlink(path)
                removed += 1
        return removed

    def _remove_all(self, directory: str) -> None:
        try:
            for name in self._names(directory):
                self._unlink(f"{directory}/{name}")
            self._system.rmdir(self._place(directory))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._failed(f"remove {directory}", error) from error
        self._made.discard(directory)

    def _names(self, directory: str) -> list[str]:
        try:
            return sorted(self._system.listdir(self._place(directory)))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._failed(f"list {directory}", error) from error

    def _unlink(self, path: str) -> None:
        try:
            self._system.unlink(self._place(path))
        except FileNotFoundError:
            pass  # an earlier attempt removed it
        except OSError as error:
            raise self._failed(f"remove {path}", error) from error

    def _write(self, files: Mapping[str, bytes]) -> None:
        """Each file whole under another name and fsynced, then its own name, then the directories fsynced."""
        parents = sorted({os.path.dirname(path) for path in files})
        try:
            for parent in parents:
                self._prepare(parent)
            for path, content in files.items():
                self._write_whole(f"{path}.new", content)
            for path in files:
                self._system.replace(self._place(f"{path}.new"), self._place(path))
            for parent in parents:
                self._sync_directory(self._place(parent))
        except OSError as error:
            raise self._failed("be written", error) from error

    def _write_whole(self, path: str, content: bytes) -> None:
        fd = self._create(path)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[self._system.write(fd, bytes(rest)) :]
            self._system.fsync(fd)
        finally:
            self._system.close(fd)

    def _create(self, path: str) -> int:
        """A new file. What a crash has left there under this name may be a published file too, since a rename may
        leave both names behind: so it is unlinked, and never truncated.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            return self._system.open(self._place(path), flags, FILE_MODE)
        except FileExistsError:
            self._system.unlink(self._place(path))
            return self._system.open(self._place(path), flags, FILE_MODE)

    def _prepare(self, directory: str) -> None:
        """Make a directory below the root, and those on the way; durable on return."""
        if not directory or directory in self._made:
            return
        parent = os.path.dirname(directory)
        self._prepare(parent)
        self._make(directory)
        # Also where it was there: an earlier attempt may have ended before this.
        self._sync_directory(self._place(parent))
        self._made.add(directory)

    def _make(self, directory: str) -> bool:
        try:
            self._system.mkdir(self._place(directory))
        except FileExistsError:
            return False
        return True

    def _sync_directory(self, place: str) -> None:
        fd = self._system.open(place or ".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._system.fsync(fd)
        finally:
            self._system.close(fd)

    def _place(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def _failed(self, what: str, error: OSError) -> StorageError:
        return StorageError(f"the log's directory {self._root} could not {what}: {error}")


def read_minimum(read: Read) -> int:
    """The minimum index that a log publishes; 0 if it publishes none. Raises `StorageError` if it is no number."""
    raw = read(MINIMUM_INDEX)
    if raw is None:
        return 0
    text = raw.removesuffix(b"\n")
    if not (text.isdigit() and len(text) < 20):
        raise StorageError(f"{MINIMUM_INDEX} holds {raw[:40]!r}, which is no index")
    return int(text)


def _head(raw: bytes) -> Checkpoint:
    try:
        return Checkpoint.parse(parse_note(raw).text)
    except InvalidNote as error:
        raise StorageError(f"this is no checkpoint: {error}") from None
