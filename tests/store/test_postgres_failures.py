"""Gateway processes that are killed, paused or hang, and a PostgreSQL server that is killed: promises are kept."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import asyncpg
import pytest

from gateway.audit.journal import Journal
from gateway.model.clock import SystemClock
from gateway.model.ids import Identifiers
from gateway.model.problems import StorageError
from gateway.store.interface import Store
from gateway.store.postgres import PostgresStore
from gateway.store.postgres_batch import Batch
from gateway.testing.clock import ManualClock
from tests.store.postgres_programs import LONG, a_journal, holds, line, process, write_one
from tests.store.postgres_server import PostgresServer
from tests.store.rows import NOW, a_record, opened
from tests.store.test_questions import LATER


async def test_a_process_that_stops_in_the_middle_of_a_batch_does_not_hold_up_the_others(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    paused = await PostgresStore.open(dsn, ManualClock(), failed=failed.put_nowait, held_seconds=0.3)
    other = await PostgresStore.open(dsn, ManualClock())
    inside, awake = asyncio.Event(), asyncio.Event()
    together = Batch.together

    async def pausing(batch: Batch, callers: Any) -> None:
        if batch is paused._writer._batch:
            inside.set()
            await awake.wait()
        await together(batch, callers)

    monkeypatch.setattr(Batch, "together", pausing)
    lost, kept = opened(), opened()
    losing = asyncio.ensure_future(paused.commit([lost, a_record("c")]))
    await inside.wait()

    await other.commit([kept, a_record("c")])
    awake.set()

    with pytest.raises(StorageError):
        await losing
    assert failed.qsize() == 1
    assert [one.id for one in await other.operations()] == [kept.operation.id]
    assert [entry.number for entry in await other.chain("c")] == [1]
    await asyncio.gather(paused.close(), other.close())


async def test_a_question_whose_connection_is_lost_is_asked_over_another(dsn: str) -> None:
    failed: asyncio.Queue[StorageError] = asyncio.Queue()
    store = await PostgresStore.open(dsn, ManualClock(), failed=failed.put_nowait)
    row = opened()
    await store.commit([row])
    outside = await asyncpg.connect(dsn)
    await outside.execute("BEGIN; LOCK TABLE operations")
    asking = asyncio.ensure_future(store.operation(row.operation.id))
    for _ in range(1000):
        asked = await outside.fetch("SELECT pid FROM pg_locks WHERE NOT granted")
        if asked:
            break
        await asyncio.sleep(0.01)

    await outside.execute("SELECT pg_terminate_backend($1)", asked[0]["pid"])
    await outside.execute("COMMIT")

    assert await asking == row.operation
    assert failed.empty()
    await outside.close()
    await store.close()


async def test_processes_that_are_killed_keep_what_they_promised(dsn: str) -> None:
    promised: set[str] = set()
    async with process("write_for_ever", dsn) as survivor:
        for lines in (1, 150):
            async with process("write_for_ever", dsn) as victim:
                promised |= {await line(victim) for _ in range(lines)}
                promised |= {await line(survivor) for _ in range(lines)}
                victim.kill()
        promised |= {await line(survivor) for _ in range(50)}

    store = await PostgresStore.open(dsn, SystemClock())
    await holds(store, promised)
    assert len(promised) == 2 * 151 + 50
    assert await store.in_flight_to_doubt(NOW) == len(await store.operations(limit=1_000_000))
    await store.close()


async def test_a_paused_process_wakes_up_to_a_closed_store(dsn: str) -> None:
    store = await PostgresStore.open(dsn, ManualClock())
    async with process("write_when_told", dsn) as zombie:
        operation = await line(zombie)
        assert await store.in_flight_to_doubt(NOW) == 0  # it lives

        zombie.send_signal(signal.SIGSTOP)
        for _ in range(1000):
            if await store.in_flight_to_doubt(NOW):
                break
            await asyncio.sleep(0.05)
        (held,) = await store.due(NOW, LATER, "w", 10)
        zombie.send_signal(signal.SIGCONT)
        assert zombie.stdin is not None
        zombie.stdin.write(b"go on\n")

        assert await line(zombie) == "refused 1"
    assert held.id == operation
    assert await store.operation(operation) == held
    await store.close()


async def test_a_server_that_is_killed_keeps_what_was_promised(own_server: PostgresServer) -> None:
    promised: set[str] = set()
    ids = Identifiers(SystemClock().now)
    for rounds in (1, 60):
        failed: asyncio.Queue[StorageError] = asyncio.Queue()
        stores = [await PostgresStore.open(own_server.dsn(), SystemClock(), failed=failed.put_nowait) for _ in range(2)]
        enough = asyncio.Event()

        async def caller(store: Store, journal: Journal, enough: asyncio.Event = enough, rounds: int = rounds) -> None:
            for number in range(1_000_000):
                promised.add((await write_one(store, journal, ids)).id)
                if number == rounds:
                    enough.set()

        callers = [
            asyncio.ensure_future(caller(store, journal))
            for store, journal in ((store, a_journal(ids)) for store in stores)
            for _ in range(8)
        ]
        await asyncio.wait_for(enough.wait(), LONG)

        own_server.kill()
        ends = await asyncio.gather(*callers, return_exceptions=True)

        assert {type(end) for end in ends} == {StorageError}
        assert failed.qsize() == 2
        await asyncio.gather(*(store.close() for store in stores))
        own_server.start()

    store = await PostgresStore.open(own_server.dsn(), SystemClock())
    await holds(store, promised)
    assert len(promised) >= 61
    await store.close()
