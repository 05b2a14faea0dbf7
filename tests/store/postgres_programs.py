"""Gateway processes that a test may kill or pause, what they write, and what must be found of it afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.audit.journal import Journal
from gateway.audit.verify import verify_store
from gateway.model.clock import SystemClock
from gateway.model.ids import Identifiers
from gateway.model.problems import StorageError
from gateway.model.states import State
from gateway.store.interface import OperationOpened, Recorded, Store
from gateway.store.operation import Operation
from gateway.store.postgres import PostgresStore
from tests.store.rows import NOW, an_event, an_operation, changed, opened

ROOT = Path(__file__).resolve().parents[2]
LONG = 60.0
"""Seconds after which a test that waits for something gives up."""

PROGRAM = """
import asyncio, sys
from tests.store import postgres_programs

asyncio.run(getattr(postgres_programs, sys.argv[2])(sys.argv[1]))
"""


def say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


async def write_for_ever(dsn: str) -> None:
    """A process that tells each operation that it was promised."""
    clock = SystemClock()
    store = await PostgresStore.open(dsn, clock)

    async def caller(journal: Journal, ids: Identifiers) -> None:
        while True:
            operation = await write_one(store, journal, ids)
            say(operation.id)

    ids = Identifiers(clock.now)
    journal = a_journal(ids)
    await asyncio.gather(*(caller(journal, ids) for _ in range(8)))


async def write_when_told(dsn: str) -> None:
    """A process that opens an operation, waits for a word, and then tries to say how it ended."""
    stopped: list[StorageError] = []
    store = await PostgresStore.open(dsn, SystemClock(), failed=stopped.append, silent_seconds=1)
    row = opened(next_inquiry_at=NOW)
    await store.commit([row])
    say(row.operation.id)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await store.commit([changed(row.operation, state=State.FAILED)])
    except StorageError:
        say(f"refused {len(stopped)}")
    await store.close()


def a_journal(ids: Identifiers) -> Journal:
    return Journal(ids, SystemClock(), "sandbox", ids.new("run"), lambda plain, context: plain)


async def write_one(store: Store, journal: Journal, ids: Identifiers) -> Operation:
    one = an_operation(id=ids.new("pay"), reference=ids.nonce(), partner_key=ids.nonce())
    record = journal.act(actor="x", what="open", operation=one.id)
    await store.commit([OperationOpened(one), Recorded(record), an_event(one, one.id)])
    return one


@asynccontextmanager
async def process(function: str, dsn: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    one = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, dsn, function, cwd=ROOT, stdin=pipe, stdout=pipe, env=os.environ | {"CI": ""}
    )
    try:
        yield one
    finally:
        if one.returncode is None:
            one.kill()
        await one.communicate()


async def line(one: asyncio.subprocess.Process) -> str:
    assert one.stdout is not None
    return (await asyncio.wait_for(one.stdout.readline(), LONG)).decode().strip()


async def holds(store: Store, promised: set[str]) -> None:
    """Everything that was promised is there, whole, in one order, without gaps."""
    kept = [one.id for one in await store.operations(limit=1_000_000)][::-1]
    entries = await store.entries(limit=1_000_000)
    events = await store.events("shop", limit=1_000_000)
    assert promised <= set(kept)
    assert [entry.chain for entry in entries] == kept == [event.type for event in events]
    assert [event.cursor for event in events] == list(range(1, len(kept) + 1))
    report = await verify_store(store)
    assert report.passed, report.findings
