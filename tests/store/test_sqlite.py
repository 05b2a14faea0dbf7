"""What is SQLite's own: the file, the lock on it, the schema, a killed process, and a disk that fails."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gateway.audit.verify import verify_store
from gateway.model.problems import ConfigurationError, StorageError
from gateway.store import sqlite_file
from gateway.store.interface import OperationOpened, Taken
from gateway.store.migrate import migrations
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_batch import Batch
from gateway.store.sqlite_rows import ManyRows
from gateway.store.sqlite_writer import Writer
from gateway.testing.clock import ManualClock
from tests.store.rows import a_key, a_record, an_event, an_operation, opened

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lendgate.db"


@pytest.fixture
async def failures() -> AsyncIterator[list[StorageError]]:
    yield []


def run(program: str, path: Path) -> subprocess.CompletedProcess[str]:
    """Run `program` in a process of its own, to its end."""
    return subprocess.run(
        [sys.executable, "-c", program, str(path)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def killed_after(lines: int, program: str, path: Path) -> list[str]:
    """Kill `program` when it has printed so many lines; gives all that it printed to the end of a line."""
    with subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        printed += process.stdout.readlines()
    return [line.decode().strip() for line in printed if line.endswith(b"\n")]


async def open_store(path: Path, failures: list[StorageError] | None = None) -> SQLiteStore:
    return await SQLiteStore.open(path, ManualClock(), failed=None if failures is None else failures.append)


async def test_only_the_owner_may_read_the_files(path: Path) -> None:
    store = await open_store(path)
    await store.commit([opened()])

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await store.close()

    assert modes == dict.fromkeys(("lendgate.db", "lendgate.db-wal", "lendgate.db-shm", "lendgate.db.lock"), 0o600)


async def test_a_commit_waits_for_the_disk(path: Path) -> None:
    await (await open_store(path)).close()

    connection = sqlite_file.writer(path)

    assert connection.execute("PRAGMA journal_mode").get == "wal"
    assert connection.execute("PRAGMA synchronous").get == 2  # FULL
    connection.close()


async def test_everything_is_there_after_a_restart_and_numbers_go_on(path: Path) -> None:
    operation = an_operation()
    store = await open_store(path)
    await store.commit([OperationOpened(operation), a_key(operation, "k"), a_record("c"), an_event(operation)])
    await store.close()

    store = await open_store(path)
    await store.commit([a_record("c"), an_event(operation), opened()])
    entries, events = await store.entries(), await store.events("shop")
    found = await store.operation(operation.id)
    await store.close()

    assert found == operation
    assert [(entry.position, entry.number) for entry in entries] == [(1, 1), (2, 2)]
    assert [event.cursor for event in events] == [1, 2]


async def test_leases_end_with_the_process_that_held_them(path: Path) -> None:
    clock = ManualClock()
    store = await open_store(path)
    await store.commit([opened(next_inquiry_at=clock.now())])
    far = clock.now().replace(year=2099)
    assert len(await store.due(clock.now(), far, "gone", 10)) == 1
    await store.close()

    store = await open_store(path)

    assert len(await store.due(clock.now(), far, "new", 10)) == 1
    await store.close()


SECOND = """
import asyncio, pathlib, sys
from gateway.model.clock import SystemClock
from gateway.store.sqlite import SQLiteStore
asyncio.run(SQLiteStore.open(pathlib.Path(sys.argv[1]), SystemClock()))
"""


async def test_one_process_at_a_time(path: Path) -> None:
    store = await open_store(path)

    second = run(SECOND, path)
    await store.close()
    third = await open_store(path)
    await third.close()

    assert f"is open in another process (process {os.getpid()})" in second.stderr
    assert second.returncode == 1


async def test_a_database_of_a_newer_version_is_refused_untouched(path: Path) -> None:
    await (await open_store(path)).close()
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO schema_version VALUES (99, 'tomorrow')")
    connection.close()

    for _ in range(2):  # the refusal leaves no lock behind
        with pytest.raises(ConfigurationError, match=r"newer lendgate \(schema 99; this one knows \d+\)"):
            await open_store(path)


async def test_a_database_of_something_else_is_refused(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()

    with pytest.raises(ConfigurationError, match="something else"):
        await open_store(path)


async def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)

    with pytest.raises(StorageError, match="cannot be opened"):
        await open_store(path)


async def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await open_store(tmp_path / "nowhere" / "lendgate.db")


def test_migrations_are_numbered_without_gaps() -> None:
    assert [one.version for one in migrations("sqlite")] == list(range(1, len(migrations("sqlite")) + 1))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 63, 64, 65, 127, 128, 200])
def test_a_statement_takes_any_number_of_rows_in_order(count: int) -> None:
    rows = [(n, -n) for n in range(count)]

    portions = list(ManyRows("VALUES ", 2).portions(rows))

    assert [value for _, values, _ in portions for value in values] == [value for row in rows for value in row]
    assert [text.count("(?,?)") for text, _, _ in portions] == [size for _, _, size in portions]
    assert len(portions) <= count // 64 + 7


async def test_callers_share_a_transaction(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    commit = Writer._commit

    def counted(writer: Writer) -> None:
        commits.append(1)
        commit(writer)

    monkeypatch.setattr(Writer, "_commit", counted)
    store = await open_store(path)

    await asyncio.gather(*(store.commit([opened()]) for _ in range(200)))
    await store.close()

    assert len(commits) == 1


async def test_what_waits_is_written_before_the_store_closes(path: Path) -> None:
    store = await open_store(path)
    rows = [opened() for _ in range(10)]
    waiting = [asyncio.ensure_future(store.commit([row])) for row in rows]
    await asyncio.sleep(0)

    await store.close()
    await store.close()

    await asyncio.gather(*waiting)
    with pytest.raises(StorageError, match="closed"):
        await store.commit([opened()])
    with pytest.raises(StorageError, match="closed"):
        await store.operation(rows[0].operation.id)
    with pytest.raises(StorageError, match="closed"):
        await store.entries()


async def test_more_callers_than_may_wait_come_through(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.sqlite.MOST_WAITING", 5)
    store = await open_store(path)

    await asyncio.gather(*(store.commit([a_record("c")]) for _ in range(100)))

    assert len(await store.chain("c")) == 100
    await store.close()


async def test_a_failed_commit_closes_the_store_for_everyone(
    path: Path, monkeypatch: pytest.MonkeyPatch, failures: list[StorageError]
) -> None:
    store = await open_store(path, failures)
    before = opened()
    await store.commit([before])
    commit = Writer._commit

    def fail(writer: Writer) -> None:
        raise apsw.IOError("IOError: disk I/O error in fsync")

    monkeypatch.setattr(Writer, "_commit", fail)
    results = await asyncio.gather(*(store.commit([opened()]) for _ in range(20)), return_exceptions=True)
    monkeypatch.setattr(Writer, "_commit", commit)

    assert {type(result) for result in results} == {StorageError}
    assert len({id(result) for result in results}) == 20
    with pytest.raises(StorageError, match="may or may not be on disk"):
        await store.commit([opened()])
    with pytest.raises(StorageError):
        await store.operation(before.operation.id)
    assert len(failures) == 1
    await store.close()
    store = await open_store(path)
    assert await store.operation(before.operation.id) == before.operation
    assert [one.id for one in await store.operations()] == [before.operation.id]
    await store.close()


async def test_nothing_is_tried_after_a_failed_commit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def fail(writer: Writer) -> None:
        tries.append(1)
        raise apsw.FullError("FullError: database or disk is full")

    monkeypatch.setattr(Writer, "_commit", fail)
    monkeypatch.setattr("gateway.store.sqlite_writer.LARGEST_BATCH", 5)
    store = await open_store(path)

    results = await asyncio.gather(*(store.commit([opened()]) for _ in range(20)), return_exceptions=True)
    await store.close()

    assert {type(result) for result in results} == {StorageError}
    assert len(tries) == 1


@pytest.mark.parametrize("method", ["together", "alone"])
async def test_an_error_of_the_disk_is_nobodys_fault(
    path: Path, monkeypatch: pytest.MonkeyPatch, failures: list[StorageError], method: str
) -> None:
    def fail(*rows: object) -> None:
        raise apsw.IOError("IOError: disk I/O error")

    store = await open_store(path, failures)
    await store.commit([first := opened()])
    monkeypatch.setattr(Batch, method, fail)
    again = opened(reference=first.operation.reference)  # collides, so that each caller is also tried alone

    results = await asyncio.gather(store.commit([opened()]), store.commit([again]), return_exceptions=True)
    await store.close()

    assert [type(result) for result in results] == [StorageError, StorageError]
    assert len(failures) == 1


async def test_a_loser_is_told_even_in_a_batch_of_its_own(path: Path, failures: list[StorageError]) -> None:
    store = await open_store(path, failures)
    first = opened()
    await store.commit([first])

    with pytest.raises(Taken):
        await store.commit([opened(reference=first.operation.reference)])

    await store.commit([opened()])
    assert failures == []
    await store.close()


FULL_DISK = """
import asyncio, pathlib, resource, signal, sys
from gateway.model.clock import SystemClock
from gateway.model.problems import StorageError
from gateway.store.sqlite import SQLiteStore
from tests.store.rows import opened

async def main():
    stop = []
    store = await SQLiteStore.open(pathlib.Path(sys.argv[1]), SystemClock(), failed=stop.append)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))
    for _ in range(10_000):
        row = opened(metadata={"filler": "x" * 500})
        try:
            await store.commit([row])
        except StorageError:
            break
        print(row.operation.id, flush=True)
    print("stopped", len(stop), flush=True)
    await store.close()

asyncio.run(main())
"""


async def test_a_full_disk_loses_nothing_that_was_promised(path: Path) -> None:
    ran = run(FULL_DISK, path)
    *promised, last = ran.stdout.splitlines()

    assert last == "stopped 1", ran.stderr
    assert len(promised) > 10
    store = await open_store(path)
    assert [one.id for one in await store.operations(limit=10_000)] == promised[::-1]
    await store.close()


KILLED = """
import asyncio, pathlib, sys
from gateway.audit.journal import Journal
from gateway.model.clock import SystemClock
from gateway.model.ids import Identifiers
from gateway.store.interface import OperationOpened, Recorded
from gateway.store.sqlite import SQLiteStore
from tests.store.rows import an_event, an_operation

async def main():
    clock = SystemClock()
    ids = Identifiers(clock.now)
    journal = Journal(ids, clock, "sandbox", ids.new("proc"), lambda plain, context: plain)
    store = await SQLiteStore.open(pathlib.Path(sys.argv[1]), clock)

    async def caller():
        while True:
            one = an_operation(id=ids.new("pay"), reference=ids.nonce(), partner_key=ids.nonce())
            record = journal.act(actor="x", what="open", operation=one.id)
            await store.commit([OperationOpened(one), Recorded(record), an_event(one)])
            print(one.id, flush=True)

    await asyncio.gather(*(caller() for _ in range(8)))

asyncio.run(main())
"""


async def test_a_killed_process_keeps_what_it_promised(path: Path) -> None:
    promised = [line for lines in (1, 40, 150) for line in killed_after(lines, KILLED, path)]

    store = await open_store(path)
    kept = await store.operations(limit=100_000)
    entries = await store.entries(limit=100_000)
    report = await verify_store(store)
    await store.close()

    assert len(promised) >= 191
    assert set(promised) <= {one.id for one in kept}
    assert [entry.chain for entry in entries] == [one.id for one in kept[::-1]]  # all or nothing, in one order
    assert report.passed, report.findings
