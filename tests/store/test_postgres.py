"""What is PostgreSQL's own: the database and its schema, one process's group commit, and a server that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import asyncpg
import pytest

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store.interface import OperationOpened, Reserved, Row, Taken
from gateway.store.migrate import migrations
from gateway.store.postgres import PostgresStore
from gateway.store.postgres_batch import Batch
from gateway.store.postgres_writer import Waiting, Writer
from gateway.testing.clock import ManualClock
from tests.store.postgres_server import PostgresServer
from tests.store.rows import a_key, a_record, all_at_once, an_event, an_operation, opened, tally

LONG = 20.0
"""Seconds after which a test that waits for something gives up."""


@pytest.fixture
async def outside(dsn: str) -> AsyncIterator[Any]:
    """A session that is not the gateway's."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def open_store(dsn: str, failed: asyncio.Queue[StorageError] | None = None) -> PostgresStore:
    return await PostgresStore.open(dsn, ManualClock(), failed=None if failed is None else failed.put_nowait)


# The database


def test_migrations_are_numbered_without_gaps() -> None:
    assert [one.version for one in migrations("postgres")] == list(range(1, len(migrations("postgres")) + 1))


async def test_everything_is_there_after_a_restart_and_numbers_go_on(dsn: str) -> None:
    operation = an_operation()
    store = await open_store(dsn)
    await store.commit([OperationOpened(operation), a_key(operation, "k"), a_record("c"), an_event(operation)])
    await store.close()

    store = await open_store(dsn)
    await store.commit([a_record("c"), an_event(operation), opened()])
    entries, events = await store.entries(), await store.events("shop")
    found = await store.operation(operation.id)
    await store.close()

    assert found == operation
    assert [(entry.position, entry.number) for entry in entries] == [(1, 1), (2, 2)]
    assert [event.cursor for event in events] == [1, 2]


async def test_processes_that_start_together_make_one_schema(dsn: str, outside: Any) -> None:
    stores = await asyncio.gather(*(open_store(dsn) for _ in range(4)))

    versions = await outside.fetch("SELECT version FROM lendgate_schema ORDER BY version")
    await asyncio.gather(*(store.close() for store in stores))

    assert [version for (version,) in versions] == [step.version for step in migrations("postgres")]


async def test_a_database_of_a_newer_version_is_refused_untouched(dsn: str, outside: Any) -> None:
    await (await open_store(dsn)).close()
    await outside.execute("INSERT INTO lendgate_schema VALUES (99, now())")

    with pytest.raises(ConfigurationError, match=r"newer lendgate \(schema 99; this one knows \d+\)"):
        await open_store(dsn)


async def test_a_schema_with_tables_of_something_else_is_refused_untouched(dsn: str, outside: Any) -> None:
    await outside.execute("CREATE TABLE theirs ()")

    with pytest.raises(ConfigurationError, match="something else"):
        await open_store(dsn)

    assert await outside.fetchval("SELECT to_regclass('operations')") is None


async def test_a_schema_that_does_not_exist_is_named_as_the_fault(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match="no schema on the search path"):
        await open_store(postgres_server.dsn("nowhere"))


async def configure(outside: Any, setting: str, value: str) -> None:
    """Change the server's configuration, and come back when it has taken effect."""
    await outside.execute(f"ALTER SYSTEM SET {setting} = {value}")
    await outside.execute("SELECT pg_reload_conf()")
    for _ in range(2000):
        if await outside.fetchval(f"SHOW {setting}") == value:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{setting} does not become {value}")


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
async def test_a_server_that_may_lose_what_it_promised_is_refused(dsn: str, outside: Any, setting: str) -> None:
    await configure(outside, setting, "off")
    try:
        with pytest.raises(ConfigurationError, match=f"runs with {setting} = off"):
            await open_store(dsn)
    finally:
        await configure(outside, setting, "on")


async def test_a_database_in_another_encoding_is_refused(postgres_server: PostgresServer, outside: Any) -> None:
    await outside.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")

    with pytest.raises(ConfigurationError, match="encoded in LATIN1"):
        await open_store(postgres_server.dsn().replace("/postgres?", "/latin?"))


async def test_a_database_that_does_not_exist_is_the_operators_fault(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match=r'cannot be opened: database "missing" does not exist'):
        await open_store(postgres_server.dsn().replace("/postgres?", "/missing?"))


@pytest.mark.parametrize("dsn", ["postgresql://h:x:y/d", "mysql://h/d", "postgresql://u:hun/ter2@h/d"])
async def test_a_url_that_makes_no_sense_is_the_operators_fault_and_not_quoted(dsn: str) -> None:
    with pytest.raises(ConfigurationError, match="URL cannot be understood") as refused:
        await open_store(dsn)

    assert "hun" not in str(refused.value) and "ter2" not in str(refused.value)


@pytest.mark.parametrize("password", ["hunter2", "1/hunter2"])
async def test_a_server_that_does_not_answer_is_named_without_its_password(password: str) -> None:
    with pytest.raises(StorageError, match=r"cannot be opened \(ConnectionRefusedError") as refused:
        await open_store(f"postgresql://127.0.0.1:{password}@127.0.0.1:1/ledger")

    assert "hunter2" not in str(refused.value)


async def test_a_commit_waits_for_the_disk_whatever_the_database_prefers(dsn: str, outside: Any) -> None:
    store = await open_store(f"{dsn}&synchronous_commit=off&default_transaction_isolation=serializable")

    shown = [await store._writer._connection.fetchval(f"SHOW {name}") for name in ("synchronous_commit", "fsync")]
    isolation = await store._writer._connection.fetchval("SHOW transaction_isolation")
    await store.close()

    assert (*shown, isolation) == ("on", "on", "read committed")


# Group commit


async def test_callers_share_a_transaction(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    transaction = Writer._transaction

    async def counted(writer: Writer, batch: Sequence[Waiting]) -> None:
        commits.append(len(batch))
        await transaction(writer, batch)

    monkeypatch.setattr(Writer, "_transaction", counted)
    store = await open_store(dsn)

    await all_at_once(store, ([opened()] for _ in range(200)))
    await store.close()

    assert commits == [200]


async def test_a_loser_among_many_costs_few_statements(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_store(dsn)
    taken = opened()
    await store.commit([taken])
    tries: list[int] = []
    together = Batch.together

    async def counted(batch: Batch, callers: Any) -> None:
        callers = list(callers)
        tries.append(len(callers))
        await together(batch, callers)

    monkeypatch.setattr(Batch, "together", counted)
    commits = [[opened()] for _ in range(256)]
    commits[77] = [opened(reference=taken.operation.reference)]

    results = await all_at_once(store, commits)
    await store.close()

    assert tally(results) == {None: 255, "reference": 1}
    assert isinstance(results[77], Taken)
    assert len(tries) == 1 + 2 * 8  # all, then two halves at each of eight levels


async def test_what_waits_is_written_before_the_store_closes(dsn: str) -> None:
    store = await open_store(dsn)
    rows = [opened() for _ in range(10)]
    waiting = [asyncio.ensure_future(store.commit([row])) for row in rows]
    await asyncio.sleep(0)

    await store.close()
    await store.close()

    await asyncio.gather(*waiting)
    for question in (
        store.commit([opened()]),
        store.operation(rows[0].operation.id),
        store.entries(),
        store.release("pay_1", "w"),
    ):
        with pytest.raises(StorageError, match="closed"):
            await question


async def test_more_callers_than_may_wait_come_through(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.postgres.MOST_WAITING", 5)
    store = await open_store(dsn)

    await asyncio.gather(*(store.commit([a_record("c")]) for _ in range(100)))

    assert len(await store.chain("c")) == 100
    await store.close()


@pytest.mark.parametrize("bad", ["nul\x00", "half a pair \ud800", "x" * 9000])
async def test_a_value_that_cannot_be_stored_hurts_its_own_caller_only(dsn: str, bad: str) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await open_store(dsn, failed)
    commits = [[opened()] for _ in range(9)]
    # What is too long for an index must not be compressible, or it would fit after all.
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(len(bad))) if len(bad) > 100 else bad
    commits[4] = [opened(siblings=noise, kind="transfer")]

    results = await all_at_once(store, commits)

    assert [n for n, result in enumerate(results) if result is not None] == [4]
    assert not isinstance(results[4], StorageError)
    assert failed.empty()
    await store.close()


async def test_a_number_that_is_too_large_hurts_its_own_caller_only(dsn: str) -> None:
    store = await open_store(dsn)
    commits: list[list[Row]] = [[opened()], [opened(reservable=2**63)], [Reserved("shop", "pay_1", 2**63)], [opened()]]

    results = await all_at_once(store, commits)

    assert [n for n, result in enumerate(results) if result is not None] == [1, 2]
    assert await store.operations(limit=3) != []
    await store.close()


@pytest.mark.parametrize("code", ["deadlock_detected", "serialization_failure"])
async def test_a_batch_that_is_given_up_for_anothers_sake_is_tried_again(dsn: str, outside: Any, code: str) -> None:
    store = await open_store(dsn)
    taken = opened()
    await store.commit([taken])
    # A sequence goes on even where the transaction is rolled back: three times the database gives up, then no more.
    await outside.execute(
        "CREATE SEQUENCE tries; CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN IF nextval('tries') <= 3 THEN RAISE {code}; END IF; RETURN NULL; END $$;"
        "CREATE TRIGGER give_up AFTER INSERT ON records EXECUTE FUNCTION give_up()"
    )
    commits = [[opened(reference=taken.operation.reference)], [a_record("c")], [a_record("c")]]

    results = await all_at_once(store, commits)

    assert tally(results) == {"reference": 1, None: 2}
    assert [entry.number for entry in await store.chain("c")] == [1, 2]
    await store.close()


async def test_a_batch_that_is_given_up_again_and_again_closes_the_store(dsn: str, outside: Any) -> None:
    store = await open_store(dsn)
    await outside.execute(
        "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE deadlock_detected; END $$;"
        "CREATE TRIGGER give_up AFTER INSERT ON records EXECUTE FUNCTION give_up()"
    )

    with pytest.raises(StorageError, match="DeadlockDetectedError"):
        await store.commit([a_record("c")])

    await store.close()


# A server that goes away


async def test_a_failed_commit_closes_the_store_for_everyone(dsn: str, outside: Any) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await open_store(dsn, failed)
    before = opened()
    await store.commit([before])
    # Refused at COMMIT: all statements before it go well.
    await outside.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON operations DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION refuse()"
    )

    results = await all_at_once(store, ([opened()] for _ in range(20)))

    assert {type(result) for result in results} == {StorageError}
    assert len({id(result) for result in results}) == 20
    with pytest.raises(StorageError, match="may or may not be in the database"):
        await store.commit([opened()])
    with pytest.raises(StorageError):
        await store.operation(before.operation.id)
    assert failed.qsize() == 1
    await store.close()
    await outside.execute("DROP TRIGGER late ON operations")
    store = await open_store(dsn)
    assert [one.id for one in await store.operations()] == [before.operation.id]
    await store.close()


async def test_a_transaction_that_was_rolled_back_at_its_end_is_no_success(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(dsn)
    together = Batch.together

    async def swallowing(batch: Batch, callers: Any) -> None:
        await together(batch, callers)
        try:
            await batch._connection.execute("SELECT 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass

    monkeypatch.setattr(Batch, "together", swallowing)

    with pytest.raises(StorageError, match="answered COMMIT with ROLLBACK"):
        await store.commit([opened()])

    await store.close()


async def test_a_session_that_ends_while_nobody_waits_stops_the_process(dsn: str, outside: Any) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await PostgresStore.open(dsn, ManualClock(), failed=failed.put_nowait, silent_seconds=3600)

    await outside.execute("SELECT pg_terminate_backend($1)", store._writer._connection.get_server_pid())
    failure = await asyncio.wait_for(failed.get(), LONG)

    with pytest.raises(StorageError, match=r"Check the database and the way to it"):
        await store.commit([opened()])
    assert isinstance(failure, StorageError)
    await store.close()


async def test_a_batch_that_does_not_come_through_in_time_closes_the_store(
    dsn: str, outside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.store.postgres.ANSWER_SECONDS", 0.5)
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await open_store(dsn, failed)
    await outside.execute("BEGIN")
    await outside.execute("SELECT FROM heads FOR UPDATE")

    with pytest.raises(StorageError, match="TimeoutError"):
        await store.commit([opened()])

    assert failed.qsize() == 1
    await store.close()


async def test_a_read_that_fails_is_no_reason_to_stop(dsn: str, outside: Any) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await open_store(dsn, failed)
    await outside.execute("ALTER TABLE operations RENAME TO elsewhere")

    with pytest.raises(StorageError, match="cannot be read"):
        await store.operation("pay_1")
    with pytest.raises(StorageError, match="cannot be read"):
        await store.due(ManualClock().now(), ManualClock().now(), "w", 1)

    await outside.execute("ALTER TABLE elsewhere RENAME TO operations")
    assert await store.operation("pay_1") is None
    assert failed.empty()
    await store.close()


async def test_a_session_that_only_waits_is_kept_alive(dsn: str) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await PostgresStore.open(dsn, ManualClock(), failed=failed.put_nowait, silent_seconds=0.3)

    await asyncio.sleep(1)

    await store.commit([opened()])
    assert failed.empty()
    await store.close()
