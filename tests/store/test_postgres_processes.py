"""Several gateway processes on one PostgreSQL database: races, one order of everything, and who asks a partner.

A process is a store of its own here, with its own writer, session and pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

import asyncpg
import pytest

from gateway.model.states import State
from gateway.store.interface import OperationOpened, Recorded, Reserved, Row, Stale, Store, Taken, Unchanged
from gateway.store.postgres import PostgresStore
from gateway.testing.clock import ManualClock
from tests.store.rows import NOW, Finished, a_key, a_record, an_event, an_operation, changed, opened, tally

LATER = NOW + timedelta(minutes=1)


@pytest.fixture
async def stores(dsn: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    """Two processes."""
    first, second = [await PostgresStore.open(dsn, ManualClock()) for _ in range(2)]
    yield first, second
    await asyncio.gather(first.close(), second.close())


async def spread(stores: Sequence[Store], commits: Sequence[Sequence[Row]]) -> list[BaseException | None]:
    """What each of the commits ended with, made by the processes in turn and all at once."""
    return await asyncio.gather(
        *(stores[n % len(stores)].commit(rows) for n, rows in enumerate(commits)), return_exceptions=True
    )


# Races


@pytest.mark.parametrize(
    ("what", "commit"),
    [
        ("key", lambda: [a_key(row := an_operation(), "same"), OperationOpened(row)]),
        ("reference", lambda: [opened(reference="same")]),
        ("partner_key", lambda: [opened(partner_key="same")]),
        ("sibling", lambda: [opened(siblings="loan=L1")]),
    ],
)
async def test_one_of_many_in_two_processes_wins(
    stores: Sequence[Store], what: str, commit: Callable[[], list[Row]]
) -> None:
    commits = [commit() for _ in range(60)]

    results = await spread(stores, commits)

    assert tally(results) == {None: 1, what: 59}
    winner = next(row.operation.id for row in commits[results.index(None)] if isinstance(row, OperationOpened))
    assert {result.operation for result in results if isinstance(result, Taken)} == {winner}
    assert [one.id for one in await stores[0].operations()] == [winner]


async def test_one_of_fifty_in_two_processes_reserves_more_than_half(stores: Sequence[Store]) -> None:
    parent = an_operation(state=State.SUCCEEDED, reservable=10_000)
    await stores[0].commit([OperationOpened(parent)])
    rows = [opened(kind="refund") for _ in range(50)]

    results = await spread(stores, [[row, Reserved("shop", parent.id, 6000)] for row in rows])

    assert tally(results) == {None: 1, "reservation": 49}
    standing = await stores[1].operation(parent.id)
    assert standing is not None and standing.reserved == 6000
    assert [one.id for one in await stores[0].operations(kind="refund")] == [rows[results.index(None)].operation.id]


async def test_one_of_many_in_two_processes_changes_the_same_version(stores: Sequence[Store]) -> None:
    first = an_operation()
    await stores[0].commit([OperationOpened(first)])

    results = await spread(stores, [[changed(first, attempts=n), an_event(first)] for n in range(40)])

    assert [type(result) for result in results].count(Stale) == 39
    winner = await stores[1].operation(first.id)
    assert winner is not None and (winner.version, winner.attempts) == (2, results.index(None))
    assert len(await stores[1].events("shop")) == 1


async def test_names_that_are_raced_for_crosswise_end_in_no_deadlock(
    dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "gateway.store")
    stores = [await PostgresStore.open(f"{dsn}&deadlock_timeout=1ms", ManualClock()) for _ in range(2)]
    names = [f"name-{n}" for n in range(100)]

    results = await asyncio.gather(
        spread(stores[:1], [[opened(reference=name)] for name in names]),
        spread(stores[1:], [[opened(reference=name)] for name in reversed(names)]),
    )

    # Nobody waits for somebody who waits for him: the lock on the numbers is taken first, by everybody.
    assert tally([*results[0], *results[1]]) == {None: 100, "reference": 100}
    assert "tried again" not in caplog.text
    await asyncio.gather(*(store.close() for store in stores))


# One order of everything


async def test_chains_positions_and_counters_have_no_gaps_over_two_processes(stores: Sequence[Store]) -> None:
    taken = opened()
    await stores[0].commit([taken])
    commits: list[list[Row]] = [[a_record(f"chain-{n % 7}")] for n in range(300)]
    # Losers that would leave holes, all over the batches.
    for n in range(30):
        commits.insert(n * 9, [a_record(f"chain-{n % 7}"), opened(reference=taken.operation.reference)])

    results = await spread(stores, commits)

    assert tally(results) == {None: 300, "reference": 30}
    entries = await stores[0].entries()
    assert [entry.position for entry in entries] == list(range(1, 301))
    places = {
        row.draft.id: (n % 2, row.draft.finish.places[-1])
        for n, rows in enumerate(commits)
        for row in rows
        if isinstance(row, Recorded) and isinstance(row.draft.finish, Finished)
    }
    for process in range(2):
        counters = [counter for at, (_, _, counter) in (places[entry.id] for entry in entries) if at == process]
        assert counters == list(range(1, len(counters) + 1))
    for n in range(7):
        chain = await stores[1].chain(f"chain-{n}")
        assert [entry.number for entry in chain] == list(range(1, len(chain) + 1))
        assert [places[entry.id][1][1] for entry in chain] == ["", *(entry.hash for entry in chain[:-1])]


async def test_a_chain_goes_on_where_another_process_left_it(stores: Sequence[Store]) -> None:
    records = [a_record("c") for _ in range(6)]
    for n, record in enumerate(records):
        await stores[n % 2].commit([record, opened(), an_event(an_operation())])

    chain = await stores[0].chain("c")

    assert [(entry.id, entry.number, entry.position) for entry in chain] == [
        (record.draft.id, n, n) for n, record in enumerate(records, 1)
    ]
    finishes = [record.draft.finish for record in records]
    places = [finish.places for finish in finishes if isinstance(finish, Finished)]
    assert [tries[-1][1] for tries in places] == ["", *(entry.hash for entry in chain[:-1])]
    # At once, and not after a collision had shown that the end had moved.
    assert [len(tries) for tries in places] == [1] * 6
    assert [event.cursor for event in await stores[1].events("shop")] == [1, 2, 3, 4, 5, 6]


async def test_a_reader_of_the_feed_never_skips_an_event(stores: Sequence[Store]) -> None:
    operation = an_operation()
    writing = [asyncio.ensure_future(store.commit([an_event(operation)])) for store in stores for _ in range(200)]
    seen: list[int] = []

    reading = True
    while reading:
        reading = not all(task.done() for task in writing)
        # The reader goes on behind what it has seen last, as a platform does, and asks either process.
        page = await stores[len(seen) % 2].events("shop", after=seen[-1] if seen else 0, limit=50)
        seen += [event.cursor for event in page]
        reading = reading or bool(page)

    assert seen == list(range(1, 401))
    await asyncio.gather(*writing)


# Leases


async def test_what_is_due_is_held_by_one_worker_of_two_processes(stores: Sequence[Store]) -> None:
    rows = [opened(next_inquiry_at=NOW - timedelta(seconds=n)) for n in range(60)]
    await stores[0].commit(rows)

    shares = await asyncio.gather(*(stores[n % 2].due(NOW, LATER, f"worker-{n}", 7) for n in range(10)))

    held = [operation.id for share in shares for operation in share]
    assert sorted(held) == sorted(row.operation.id for row in rows)


async def test_a_worker_whose_lease_went_to_another_process_changes_and_sends_nothing(stores: Sequence[Store]) -> None:
    await stores[0].commit([opened(next_inquiry_at=NOW)])
    (slow,) = await stores[0].due(NOW, LATER, "slow", 1)
    (quick,) = await stores[1].due(LATER, LATER + timedelta(minutes=1), "quick", 1)

    late = await spread(
        stores[:1], [[changed(slow, state=State.FAILED)], [Unchanged(slow.id, slow.version), a_record(slow.id)]]
    )
    await stores[0].release(slow.id, "slow")

    assert [type(result) for result in late] == [Stale, Stale]
    assert await stores[0].operation(slow.id) == quick
    assert await stores[0].due(LATER, LATER, "third", 1) == []
    await stores[1].commit([changed(quick, state=State.SUCCEEDED, next_inquiry_at=None)])


async def test_an_operation_that_is_being_written_is_handed_out_after_that(
    stores: Sequence[PostgresStore], dsn: str
) -> None:
    row, other = opened(next_inquiry_at=NOW), opened(next_inquiry_at=NOW)
    await stores[0].commit([row, other])
    writing = await asyncpg.connect(dsn)
    await writing.execute("BEGIN")
    await writing.execute("UPDATE operations SET attention = true WHERE id = $1", row.operation.id)

    first = await stores[1].due(NOW, LATER, "one", 10)
    await writing.execute("COMMIT")
    second = await stores[1].due(NOW, LATER, "two", 10)
    await writing.close()

    assert [[one.id for one in held] for held in (first, second)] == [[other.operation.id], [row.operation.id]]


async def test_calls_of_a_living_process_are_left_to_it(stores: Sequence[PostgresStore]) -> None:
    mine, theirs = opened(), opened()
    await stores[0].commit([mine])
    await stores[1].commit([theirs])

    assert await stores[0].in_flight_to_doubt(NOW) == 1

    assert [one.id for one in await stores[0].due(NOW, LATER, "w", 10)] == [mine.operation.id]
    await stores[1].close()
    assert await stores[0].in_flight_to_doubt(NOW) == 1
    assert [one.id for one in await stores[0].due(NOW, LATER, "w", 10)] == [theirs.operation.id]


async def test_what_a_dead_process_was_asking_about_is_free_at_the_next_start(stores: Sequence[PostgresStore]) -> None:
    mine, theirs = opened(next_inquiry_at=NOW), opened(next_inquiry_at=NOW)
    await stores[0].commit([mine])
    (held,) = await stores[0].due(NOW, LATER, "w", 10)
    await stores[1].commit([theirs])
    await stores[1].due(NOW, LATER, "w", 10)

    await stores[0].in_flight_to_doubt(NOW)
    assert await stores[0].due(NOW, LATER, "w", 10) == []  # both live
    await stores[1].close()
    await stores[0].in_flight_to_doubt(NOW)

    assert held.id == mine.operation.id
    assert [one.id for one in await stores[0].due(NOW, LATER, "w", 10)] == [theirs.operation.id]
