"""Records, callbacks and tokens on every back end: what is numbered, what comes once, what is replaced."""

from __future__ import annotations

from gateway.store.interface import (
    CallbackSettled,
    CallbackStored,
    Row,
    Store,
    StoredToken,
    Taken,
    TokenDropped,
    TokenKept,
)
from tests.store.rows import NOW, Finished, a_record, all_at_once, opened, tally


async def test_numbers_of_chains_counters_and_positions_have_no_gaps(store: Store) -> None:
    taken = opened()
    await store.commit([taken])
    records = [a_record(f"chain-{n % 7}") for n in range(300)]
    commits: list[list[Row]] = [[record] for record in records]
    # Losers that would leave holes, all over the batches.
    commits += [[a_record(f"chain-{n % 7}"), opened(reference=taken.operation.reference)] for n in range(30)]
    commits.sort(key=lambda rows: hash(str(rows[0])) % 97)

    results = await all_at_once(store, commits)

    assert tally(results) == {None: 300, "reference": 30}
    entries = await store.entries()
    assert [entry.position for entry in entries] == list(range(1, 301))
    finished = {record.draft.id: record.draft.finish for record in records}
    places = [finish.places[-1] for entry in entries if isinstance(finish := finished[entry.id], Finished)]
    assert [counter for _, _, counter in places] == list(range(1, 301))
    for n in range(7):
        chain = await store.chain(f"chain-{n}")
        assert [entry.number for entry in chain] == list(range(1, len(chain) + 1))
        before = {entry.id: previous for entry, (_, previous, _) in zip(entries, places, strict=True)}
        assert [before[entry.id] for entry in chain] == ["", *(entry.hash for entry in chain[:-1])]


async def test_a_record_is_read_back_as_it_was_finished(store: Store) -> None:
    record = a_record("c", "outcome", digest="d" * 64, content="c" * 64, body=b"\x00sealed")

    await store.commit([record])

    (entry,) = await store.entries()
    leaf, hash_ = record.draft.finish(1, "", 1)
    assert (entry.id, entry.chain, entry.client, entry.kind, entry.at) == (record.draft.id, "c", "shop", "outcome", NOW)
    assert (entry.leaf, entry.hash, entry.number) == (leaf, hash_, 1)
    assert (entry.digest, entry.content, entry.body) == ("d" * 64, "c" * 64, b"\x00sealed")


async def test_entries_come_page_by_page(store: Store) -> None:
    await store.commit([a_record("c") for _ in range(25)])

    first = await store.entries(limit=10)
    rest = await store.entries(after=first[-1].position, limit=100)

    assert [entry.number for entry in first + rest] == list(range(1, 26))


async def test_a_callback_is_taken_in_once(store: Store) -> None:
    commits = [[CallbackStored(f"cb_{n}", "riverbank-main", "d1", NOW, b"sealed")] for n in range(10)]

    results = await all_at_once(store, [*commits, [CallbackStored("cb_x", "lakebank", "d1", NOW, b"")]])

    assert tally(results) == {None: 2, "callback": 9}
    winner = f"cb_{results.index(None)}"
    assert {result.operation for result in results if isinstance(result, Taken)} == {winner}
    await store.commit([CallbackSettled(winner, "proven")])
    stored = await store.callback(winner)
    assert stored is not None and (stored.message, stored.verdict, stored.at) == (b"sealed", "proven", NOW)


async def test_a_token_is_kept_replaced_and_dropped(store: Store) -> None:
    await store.commit([TokenKept("riverbank-main", "app", b"one", NOW)])
    await store.commit([TokenKept("riverbank-main", "app", b"two", None)])
    kept = await store.token("riverbank-main", "app")

    await store.commit([TokenDropped("riverbank-main", "app")])

    assert kept == StoredToken(b"two", None)
    assert await store.token("riverbank-main", "app") is None


async def test_leaves_come_without_their_bodies_and_one_record_by_its_place(store: Store) -> None:
    await store.commit([a_record(f"chain-{n % 2}", body=b"sealed") for n in range(12)])

    leaves = await store.leaves(after=4, limit=3)
    third, last = await store.record("chain-1", 3), await store.last_record("chain-1")

    entries, chain = await store.entries(), await store.chain("chain-1")
    assert leaves == [(entry.position, entry.leaf) for entry in entries[4:7]]
    assert third == chain[2]
    assert last is not None and (last.number, last.hash, last.body) == (6, chain[-1].hash, None)
    assert await store.record("chain-1", 99) is None
    assert await store.last_record("chain-9") is None
