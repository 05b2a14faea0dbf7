"""What the store answers on every back end: searches, the event feed, and who asks a partner next."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.model.states import Attention, State
from gateway.store.interface import OperationChanged, OperationOpened, Row, Stale, Store, Unchanged
from gateway.store.operation import AttentionItem, Operation
from tests.store.rows import NOW, a_record, all_at_once, an_event, an_operation, changed, opened, tally

LATER = NOW + timedelta(minutes=1)


async def kept(store: Store, **fields: Any) -> Operation:
    operation = an_operation(**fields)
    await store.commit([OperationOpened(operation)])
    return operation


async def test_a_search_gives_the_newest_first_page_by_page(store: Store) -> None:
    # Identifiers of different kinds do not sort together by time; the order of their opening counts.
    kinds = ["transfer", "payment", "refund", "payment", "consent"]
    all_of_them = [await kept(store, kind=kind, id=f"{kind}_{n}") for n, kind in enumerate(kinds)]

    first = await store.operations(client="shop", limit=2)
    rest = await store.operations(client="shop", before=first[-1].id)

    assert first + rest == all_of_them[::-1]


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"kind": "transfer"}, {"kind": "transfer"}),
        ({"state": "unknown"}, {"state": State.UNKNOWN}),
        ({"state": "failed"}, {"state": State.FAILED}),
        ({"connection": "lakebank"}, {"connection": "lakebank"}),
        ({"reference": "order-x"}, {"reference": "order-x"}),
        ({"link": ("loan", "L1")}, {"links_to": {"loan": "L1", "instalment": "3"}}),
        ({"parent": "pay_1"}, {"parent": "pay_1", "kind": "refund"}),
        ({"attention": True}, {"attention": (AttentionItem(code=Attention.CONFLICT, since=NOW),)}),
        (
            {"state": "unknown", "link": ("loan", "L1"), "kind": "payment"},
            {"state": State.UNKNOWN, "links_to": {"loan": "L1"}},
        ),
        (
            {"state": "unknown", "attention": True, "connection": "riverbank-main"},
            {"state": State.UNKNOWN, "attention": (AttentionItem(code=Attention.OVERDUE_UNKNOWN, since=NOW),)},
        ),
    ],
)
async def test_a_search_finds_what_was_asked_for(store: Store, asked: dict[str, Any], fields: dict[str, Any]) -> None:
    await kept(store, links_to={"loan": "L2"})
    wanted = await kept(store, **fields)
    elsewhere = await kept(store, client="other", **fields | ({} if "reference" in fields else {"reference": "r"}))

    assert await store.operations(client="shop", **asked) == [wanted]
    assert await store.operations(**asked) == [elsewhere, wanted]


async def test_a_search_sees_the_state_as_it_is_now(store: Store) -> None:
    operation = await kept(store)
    await store.commit([changed(operation, state=State.SUCCEEDED)])

    assert await store.operations(client="shop", state="processing") == []
    assert [one.id for one in await store.operations(client="shop", state="succeeded")] == [operation.id]


async def test_events_carry_gapless_cursors_in_the_order_of_their_commits(store: Store) -> None:
    operations = [an_operation(client=f"client-{n % 3}") for n in range(60)]
    await store.commit([taken := opened(client="client-0")])
    loser = an_operation(client="client-0", reference=taken.operation.reference)
    commits: list[list[Row]] = [[OperationOpened(one), an_event(one), an_event(one)] for one in operations]
    commits.insert(30, [an_event(loser), OperationOpened(loser)])

    results = await all_at_once(store, commits)

    assert tally(results) == {None: 60, "reference": 1}

    feeds = [await store.events(f"client-{n}", limit=1000) for n in range(3)]
    assert sorted(event.cursor for feed in feeds for event in feed) == list(range(1, 121))
    for feed in feeds:
        assert [event.cursor for event in feed] == sorted(event.cursor for event in feed)


async def test_the_feed_goes_on_behind_a_cursor_and_can_follow_one_operation(store: Store) -> None:
    first, second = await kept(store), await kept(store)
    await store.commit([an_event(first, "a"), an_event(second, "b"), an_event(first, "c"), an_event(second, "d")])

    start = await store.events("shop", limit=2)
    rest = await store.events("shop", after=start[-1].cursor)

    assert [event.type for event in start + rest] == ["a", "b", "c", "d"]
    assert [event.type for event in await store.events("shop", operation=first.id)] == ["a", "c"]
    assert [event.type for event in await store.events("shop", operation=first.id, after=1)] == ["c"]


async def test_what_is_due_is_held_by_one_worker(store: Store) -> None:
    rows = [opened(next_inquiry_at=NOW - timedelta(seconds=n)) for n in range(30)]
    await store.commit([*rows, opened(next_inquiry_at=LATER), opened()])

    shares = await asyncio.gather(*(store.due(NOW, LATER, f"worker-{n}", 7) for n in range(6)))

    held = [operation.id for share in shares for operation in share]
    assert sorted(held) == sorted(row.operation.id for row in rows)
    assert [operation.id for operation in shares[0]] == [row.operation.id for row in rows[:-8:-1]]  # longest due first


async def test_what_was_released_or_whose_lease_has_ended_is_due_again(store: Store) -> None:
    first = await kept(store, next_inquiry_at=NOW)
    second = await kept(store, next_inquiry_at=NOW)
    assert len(await store.due(NOW, LATER, "one", 10)) == 2

    await store.release(first.id, "one")

    assert [one.id for one in await store.due(NOW, LATER, "two", 10)] == [first.id]
    assert {one.id for one in await store.due(LATER, LATER, "three", 10)} == {first.id, second.id}


async def test_a_worker_that_lost_its_lease_cannot_release_the_new_holders(store: Store) -> None:
    operation = await kept(store, next_inquiry_at=NOW)
    await store.due(NOW, LATER, "slow", 10)
    await store.due(LATER, LATER + timedelta(minutes=1), "quick", 10)

    await store.release(operation.id, "slow")

    assert await store.due(LATER, LATER, "third", 10) == []


async def test_a_worker_that_lost_its_lease_cannot_overwrite_what_came_since(store: Store) -> None:
    await kept(store, next_inquiry_at=NOW)
    (slow,) = await store.due(NOW, LATER, "slow", 10)
    (quick,) = await store.due(LATER, LATER, "quick", 10)
    await store.commit([changed(quick, state=State.SUCCEEDED, next_inquiry_at=None)])

    with pytest.raises(Stale):
        await store.commit([changed(slow, state=State.FAILED, next_inquiry_at=None)])


async def test_a_worker_that_lost_its_lease_is_fenced_off_before_the_new_holder_writes(store: Store) -> None:
    operation = await kept(store, next_inquiry_at=NOW)
    (slow,) = await store.due(NOW, LATER, "slow", 10)
    (quick,) = await store.due(LATER, LATER + timedelta(minutes=1), "quick", 10)

    with pytest.raises(Stale):
        await store.commit([changed(slow, state=State.FAILED, next_inquiry_at=None)])
    with pytest.raises(Stale):
        await store.commit([Unchanged(slow.id, slow.version), a_record(slow.id)])

    assert await store.operation(operation.id) == quick
    assert await store.chain(operation.id) == []
    await store.commit([Unchanged(quick.id, quick.version), a_record(quick.id)])
    await store.commit([changed(quick, state=State.SUCCEEDED, next_inquiry_at=None)])


async def test_a_call_that_runs_while_its_operation_is_handed_out_decides_again(store: Store) -> None:
    calling = await kept(store, next_inquiry_at=NOW)
    (held,) = await store.due(NOW, LATER, "one", 10)

    with pytest.raises(Stale):
        await store.commit([changed(calling, state=State.SUCCEEDED)])

    standing = await store.operation(calling.id)
    assert standing == held and held.version == calling.version + 1
    await store.commit([changed(standing, state=State.SUCCEEDED)])


async def test_the_next_due_moment_heeds_leases(store: Store) -> None:
    assert await store.next_due() is None
    early = await kept(store, next_inquiry_at=NOW)
    await kept(store, next_inquiry_at=NOW + timedelta(hours=1))
    assert await store.next_due() == NOW

    (held,) = await store.due(NOW, LATER, "one", 10)
    assert await store.next_due() == LATER

    await store.release(early.id, "one")
    await store.commit([changed(held, state=State.SUCCEEDED, next_inquiry_at=None)])
    assert await store.next_due() == NOW + timedelta(hours=1)


async def test_calls_that_were_cut_are_due_at_once(store: Store) -> None:
    cut = await kept(store, next_inquiry_at=LATER)
    never_due = await kept(store)
    ended = await kept(store, next_inquiry_at=LATER)
    resumed = await kept(store)
    final = await kept(store, state=State.SUCCEEDED)
    await store.commit([changed(ended, next_inquiry_at=LATER)])
    await store.commit([changed(resumed, in_flight=True, next_inquiry_at=LATER)])

    count = await store.in_flight_to_doubt(NOW)

    due = {one.id: one for one in await store.due(NOW, LATER, "w", 10)}
    assert count == 3
    assert set(due) == {cut.id, never_due.id, resumed.id}
    # One version for the new moment, one for the hand-over.
    assert (due[cut.id].version, due[cut.id].next_inquiry_at, due[cut.id].state) == (3, NOW, State.PROCESSING)
    assert await store.operation(final.id) == final
    assert await store.in_flight_to_doubt(NOW) == 0


async def test_a_cut_call_that_was_made_due_can_be_changed(store: Store) -> None:
    operation = await kept(store)
    await store.in_flight_to_doubt(NOW)

    with pytest.raises(Stale):
        await store.commit([changed(operation, state=State.FAILED)])
    standing = await store.operation(operation.id)

    assert standing is not None
    await store.commit([OperationChanged(standing.changed(NOW, state=State.UNKNOWN))])
