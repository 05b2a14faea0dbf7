"""A disk in memory whose power can be cut between any two calls, and that keeps only what it had to keep.

What survives a cut
- Of a file, what was there when it was last fsynced. Of what was written since: nothing, all, a part, or zeros in its
  length, as file systems with delayed allocation do.
- Of a directory, the names that it had when it was last fsynced. Each name that has changed since is as it was, or as
  any of the changes left it, whatever became of the others. So a rename may leave the file under both names; the new
  name is never without one.
"""

from __future__ import annotations

import os
import random


class PowerCut(Exception):
    """The machine is off. Nothing that is called afterwards has an effect."""


class File:
    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.synced = content

    def survivor(self, chance: random.Random) -> File:
        now = bytes(self.content)
        torn = now[: chance.randrange(len(now) + 1)]
        return File(chance.choice((self.synced, now, torn, bytes(len(now)))) if now != self.synced else now)


class Folder:
    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self.synced: dict[str, File | Folder] = {}
        self.changes: dict[str, list[File | Folder | None]] = {}

    def set(self, name: str, node: File | Folder | None) -> None:
        self.changes.setdefault(name, [self.synced.get(name)]).append(node)
        if node is None:
            del self.names[name]
        else:
            self.names[name] = node

    def sync(self) -> None:
        self.synced = dict(self.names)
        self.changes.clear()

    def survivor(self, chance: random.Random, copies: dict[int, File | Folder]) -> Folder:
        folder = Folder()
        kept = {**self.synced, **{name: chance.choice(nodes) for name, nodes in self.changes.items()}}
        for name, node in kept.items():
            if node is None:
                continue
            if id(node) not in copies:
                copies[id(node)] = node.survivor(chance) if isinstance(node, File) else node.survivor(chance, copies)
            folder.names[name] = copies[id(node)]
        folder.sync()
        return folder


class UnreliableDisk:
    """Implements `gateway.audit.directory.System`. `calls_left` is how many calls are answered before the cut."""

    def __init__(self, root: Folder | None = None, *, syncs_files: bool = True, syncs_folders: bool = True) -> None:
        self.root = root or Folder()
        self.calls_left = -1
        self._syncs_files = syncs_files
        self._syncs_folders = syncs_folders
        self._open: dict[int, tuple[File | Folder, int]] = {}

    def after_power_cut(self, chance: random.Random) -> UnreliableDisk:
        """The disk as the machine finds it when it starts again."""
        root = self.root.survivor(chance, {})
        return UnreliableDisk(root, syncs_files=self._syncs_files, syncs_folders=self._syncs_folders)

    def file(self, path: str) -> bytes | None:
        """What a reader sees at the moment; costs no call."""
        try:
            node = self._find(path)
        except FileNotFoundError:
            return None
        return bytes(node.content) if isinstance(node, File) else None

    def open(self, path: str, flags: int, mode: int = 0, /) -> int:
        self._call()
        folder, name = self._parent(path)
        node = folder.names.get(name) if name else folder
        if node is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(path)
            node = File()
            folder.set(name, node)
        elif flags & os.O_EXCL:
            raise FileExistsError(path)
        elif flags & os.O_TRUNC and isinstance(node, File):
            node.content.clear()
        fd = max(self._open, default=2) + 1
        self._open[fd] = (node, 0)
        return fd

    def read(self, fd: int, length: int, /) -> bytes:
        self._call()
        node, place = self._open[fd]
        assert isinstance(node, File)
        self._open[fd] = (node, place + length)
        return bytes(node.content[place : place + length])

    def write(self, fd: int, content: bytes, /) -> int:
        self._call()
        node, _ = self._open[fd]
        assert isinstance(node, File)
        # A system may take less than it is given.
        part = content[: max(1, len(content) // 2)] if len(content) > 4096 else content
        node.content += part
        return len(part)

    def fsync(self, fd: int, /) -> None:
        self._call()
        node, _ = self._open[fd]
        if isinstance(node, File) and self._syncs_files:
            node.synced = bytes(node.content)
        elif isinstance(node, Folder) and self._syncs_folders:
            node.sync()

    def close(self, fd: int, /) -> None:
        self._call()
        del self._open[fd]

    def replace(self, source: str, target: str, /) -> None:
        self._call()
        node = self._find(source)
        folder, name = self._parent(source)
        folder.set(name, None)
        folder, name = self._parent(target)
        folder.set(name, node)

    def mkdir(self, path: str, /) -> None:
        self._call()
        folder, name = self._parent(path)
        if name in folder.names:
            raise FileExistsError(path)
        folder.set(name, Folder())

    def unlink(self, path: str, /) -> None:
        self._call()
        self._find(path)
        folder, name = self._parent(path)
        folder.set(name, None)

    def rmdir(self, path: str, /) -> None:
        node = self._find(path)
        assert isinstance(node, Folder) and not node.names
        self.unlink(path)

    def listdir(self, path: str, /) -> list[str]:
        self._call()
        node = self._find(path)
        assert isinstance(node, Folder)
        return list(node.names)

    def flock(self, fd: int, operation: int, /) -> None:
        self._call()

    def _call(self) -> None:
        if self.calls_left == 0:
            raise PowerCut
        self.calls_left -= 1

    def _find(self, path: str) -> File | Folder:
        folder, name = self._parent(path)
        if name and name not in folder.names:
            raise FileNotFoundError(path)
        return folder.names[name] if name else folder

    def _parent(self, path: str) -> tuple[Folder, str]:
        folder, parts = self.root, [part for part in path.split("/") if part != "."]
        for part in parts[:-1]:
            node = folder.names.get(part)
            if not isinstance(node, Folder):
                raise FileNotFoundError(path)
            folder = node
        return folder, parts[-1] if parts else ""
