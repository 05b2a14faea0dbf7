"""What every back end knows of itself: its identity, its last record, and its quarantines."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from gateway.store.interface import Recorded, Store
from gateway.store.quarantine import (
    EVERY_CONNECTION,
    Quarantine,
    QuarantineBegan,
    QuarantineCleared,
    QuarantinePrepared,
    StoreMarked,
)
from tests.store.rows import NOW, a_record

FIRST = Quarantine("qua_1", NOW, "behind", "before", 7, 9, NOW - timedelta(hours=1))
SECOND = Quarantine("qua_2", NOW + timedelta(hours=1), "other", "between", 8, None, None)


async def test_a_new_store_has_an_identity_and_no_records(store: Store) -> None:
    standing = await store.standing()

    assert len(standing.identity) == 32
    assert (standing.marked, standing.number, standing.last_at) == (False, 0, None)
    assert await store.quarantines() == []


async def test_it_knows_its_last_record(store: Store) -> None:
    await store.commit([a_record("c1"), a_record("c1")])

    standing = await store.standing()
    (*_, last) = await store.entries()

    assert (standing.number, standing.last_at) == (last.position, last.at)


async def test_that_a_mark_was_written_stays_known(store: Store) -> None:
    await store.commit([StoreMarked()])
    await store.commit([StoreMarked()])

    assert (await store.standing()).marked


async def test_a_quarantine_gives_the_store_another_identity(store: Store) -> None:
    await store.commit([QuarantineBegan(FIRST, "after"), *_records()])

    assert (await store.standing()).identity == "after"
    assert await store.quarantines() == [FIRST]


async def test_it_is_over_for_the_connections_that_were_cleared(store: Store) -> None:
    await store.commit([QuarantineBegan(FIRST, "i"), QuarantineBegan(SECOND, "j")])

    await store.commit([QuarantineCleared(FIRST.id, "riverbank", NOW, "ops/1")])
    await store.commit([QuarantineCleared(FIRST.id, "riverbank", NOW, "ops/2")])
    await store.commit([QuarantineCleared(SECOND.id, EVERY_CONNECTION, NOW, "ops/1"), QuarantinePrepared(FIRST.id)])
    first, second = await store.quarantines()

    assert first == replace(FIRST, prepared=True, cleared=frozenset({"riverbank"}))
    assert not first.holds("riverbank") and first.holds("oxbow")
    assert not second.holds("riverbank") and not second.holds("oxbow")


def _records() -> list[Recorded]:
    return [a_record("c1")]
