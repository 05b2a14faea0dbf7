"""Cuts the power under the store again and again, and checks each time what is left.

One cut
1. The store that ships is opened on what the disk held, and eight callers commit at once: operations with key and
   record, their outcomes with record and event, follow-ups that reserve on a parent, and keys that are taken already.
2. At a random call of the disk the power is cut; what a start finds is drawn by `power_cuts_disk`.
3. A copy of that is opened on the real disk. Every acknowledged commit is there, none is there in part, numbers and
   chains have no gap, what stands reserved is what follow-ups hold, SQLite finds the file sound, and the store goes on.
4. The next cut begins with what survived, so that recovery is cut too; after some cuts, with nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from gateway.model.problems import StorageError
from gateway.model.states import State
from gateway.store.interface import Entry, OperationOpened, Reserved, Row, Taken
from gateway.store.operation import Operation
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from tests.store.power_cuts_disk import Disk, mounted
from tests.store.rows import a_key, a_record, an_event, an_operation, changed

CALLERS = 8
MOST_CALLS = 400
"""Changing calls of the disk before a cut, at most."""

CHECKPOINT_PAGES = 60
"""A log this small is moved into the database often enough for cuts to meet it."""

CUTS_IN_A_ROW = 8
SIZE = 1000
"""Minor units that follow-ups of a parent may hold."""


@dataclass
class Tally:
    """What the campaign did and found."""

    cuts: int = 0
    cuts_in_start: int = 0
    acknowledged: int = 0
    losing: int = 0  # cuts after which an acknowledged commit was gone
    found: Counter[str] = field(default_factory=Counter)

    @property
    def sound(self) -> bool:
        return not self.found


@dataclass
class Known:
    """What must be there: acknowledged operations with the version that was acknowledged."""

    versions: dict[str, int] = field(default_factory=dict)

    def at_least(self, id_: str, version: int) -> None:
        self.versions[id_] = max(version, self.versions.get(id_, 0))


def run(folder: Path, cuts: int, seed: int, synchronous: str = "FULL") -> Tally:
    """So many power cuts, each checked on a real file in `folder`."""
    return asyncio.run(_run(folder, cuts, random.Random(seed), synchronous))


async def _run(folder: Path, cuts: int, chance: random.Random, synchronous: str) -> Tally:
    tally, path = Tally(), folder / "lendgate.db"
    files: dict[str, bytes] = {}
    known = Known()
    for cut in range(cuts):
        if cut % CUTS_IN_A_ROW == 0:
            files, known = {}, Known()
        with mounted() as disk:
            disk.hold(files)
            disk.calls_left = chance.randrange(1, MOST_CALLS)
            tally.cuts_in_start += await _work(path, disk, known, tally, chance, synchronous)
            files = disk.survivors(chance)
        tally.cuts += 1
        lost = await _check(path, files, known, tally)
        tally.losing += bool(lost)
        if lost:
            files, known = {}, Known()  # found once; what follows would find it again
    return tally


async def _work(path: Path, disk: Disk, known: Known, tally: Tally, chance: random.Random, synchronous: str) -> bool:
    """Commit until the power is cut. Whether that was before the store was open."""
    try:
        store = await SQLiteStore.open(path, ManualClock())
    except StorageError:
        return True
    connection = store._writer._connection  # idle as yet
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    callers = (_caller(store, known, tally, random.Random(chance.random())) for _ in range(CALLERS))
    ends = await asyncio.gather(*callers, return_exceptions=True)
    for end in ends:
        if not isinstance(end, StorageError):
            raise AssertionError(f"a caller ended by something else than the cut: {end!r}")
    assert disk.off
    await store.close()
    return False


async def _caller(store: SQLiteStore, known: Known, tally: Tally, chance: random.Random) -> None:
    while True:
        one = an_operation(reservable=SIZE)
        key = a_key(one)

        async def commit(kept: Operation, *rows: Row) -> None:
            await store.commit(rows)
            tally.acknowledged += 1
            known.at_least(kept.id, kept.version)

        await commit(one, OperationOpened(one), key, a_record(one.id))
        done = changed(one, state=State.SUCCEEDED)
        await commit(done.operation, done, a_record(one.id, "outcome"), an_event(one))
        for _ in range(chance.randrange(3)):
            part = an_operation(kind="refund", parent=one.id)
            await commit(
                part, Reserved("shop", one.id, 1), OperationOpened(part), a_key(part), a_record(part.id), an_event(part)
            )
        if chance.random() < 0.3:
            late = an_operation()
            try:
                await store.commit([OperationOpened(late), a_record(late.id), a_key(late, key.key)])
                raise AssertionError("a key was taken twice")
            except Taken:
                pass


async def _check(path: Path, files: dict[str, bytes], known: Known, tally: Tally) -> list[str]:
    """Open a copy of what survived on the real disk; gives the acknowledged operations that are not there."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    for name, content in files.items():
        Path(name).write_bytes(content)
    try:
        store = await SQLiteStore.open(path, ManualClock())
        try:
            operations = {one.id: one for one in await store.operations(limit=1_000_000)}
            lost = [
                i for i, version in known.versions.items() if i not in operations or operations[i].version < version
            ]
            tally.found.update(await _gaps(store, operations))
            await store.commit([OperationOpened(on := an_operation()), a_record(on.id)])
            if [entry.number for entry in await store.chain(on.id)] != [1]:
                tally.found["does not go on"] += 1
        finally:
            await store.close()
        if _asked(path, "PRAGMA integrity_check") != [("ok",)]:
            tally.found["corrupt"] += 1
    except (StorageError, apsw.Error, ValueError):  # a row that a torn page left may be no operation at all
        tally.found["corrupt"] += 1
        return list(known.versions)
    tally.found.update({"lost": len(lost)} if lost else {})
    # Whatever a start has found may have been told to somebody: from now on it must stay.
    for id_, one in operations.items():
        known.at_least(id_, one.version)
    return lost


async def _gaps(store: SQLiteStore, operations: dict[str, Operation]) -> Counter[str]:
    """Commits that are there in part, and numbers that are left out."""
    entries, events = await store.entries(limit=1_000_000), await store.events("shop", limit=1_000_000)
    wrong: Counter[str] = Counter()
    records, told = Counter(entry.chain for entry in entries), Counter(event.operation for event in events)
    parts = Counter(one.parent for one in operations.values() if one.parent)
    for one in operations.values():
        steps = one.version
        wrong["half"] += records.pop(one.id, 0) != steps
        wrong["half"] += told.pop(one.id, 0) != (1 if one.parent else steps - 1)
        wrong["half"] += one.reserved != parts[one.id]
    wrong["half"] += len(records) + len(told)
    wrong["gap"] += [entry.position for entry in entries] != list(range(1, len(entries) + 1))
    wrong["gap"] += [event.cursor for event in events] != list(range(1, len(events) + 1))
    wrong["gap"] += _broken_chains(entries)
    return +wrong


def _broken_chains(entries: list[Entry]) -> int:
    """Records that do not name the one before them in their chain."""
    ends: dict[str, tuple[int, str]] = {}
    broken = 0
    for entry in entries:
        number, previous = ends.get(entry.chain, (0, ""))
        _, leaf_number, leaf_previous, _ = json.loads(entry.leaf)
        broken += (leaf_number, entry.number, leaf_previous) != (number + 1, number + 1, previous)
        broken += hashlib.sha256(entry.leaf).hexdigest() != entry.hash
        ends[entry.chain] = (entry.number, entry.hash)
    return broken


def _asked(path: Path, question: str) -> list[Any]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(question))
    finally:
        connection.close()
