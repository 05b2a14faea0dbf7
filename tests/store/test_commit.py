"""What a commit promises on every back end: all or nothing, one winner, and no loser who hurts its neighbours."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model.states import State
from gateway.store.interface import (
    Claimed,
    OperationChanged,
    OperationOpened,
    Recorded,
    Released,
    Reserved,
    Row,
    Stale,
    Store,
    Taken,
    Unchanged,
)
from tests.store.rows import NOW, a_key, a_record, all_at_once, an_event, an_operation, changed, opened, tally


async def test_an_operation_is_read_back_as_it_was_written(store: Store) -> None:
    operation = an_operation(links_to={"loan": "L1"}, metadata={"shelf": "7"}, body={"note": None}, reservable=100)

    await store.commit([OperationOpened(operation, state_key="s1")])

    assert await store.operation(operation.id) == operation
    assert await store.operation(operation.id, "shop") == operation
    assert await store.operation_by_reference("shop", "payment", operation.reference) == operation
    assert await store.operation_by_partner_key("riverbank-main", "payment", operation.partner_key) == operation
    assert await store.operation_by_state_key("riverbank-main", "s1") == operation


async def test_another_client_sees_nothing(store: Store) -> None:
    operation = an_operation()
    await store.commit([OperationOpened(operation), a_key(operation, "k")])

    assert await store.operation(operation.id, "other") is None
    assert await store.operation_by_reference("other", "payment", operation.reference) is None
    assert await store.claimed("other", "k") is None


async def test_what_was_committed_is_seen_at_once(store: Store) -> None:
    async def write_and_read() -> bool:
        row = opened()
        await store.commit([row])
        return await store.operation(row.operation.id) == row.operation

    assert all(await asyncio.gather(*(write_and_read() for _ in range(100))))


async def test_one_of_many_wins_a_key(store: Store) -> None:
    rows = [opened() for _ in range(40)]

    results = await all_at_once(store, ([a_key(row.operation, "same", f"f{n}"), row] for n, row in enumerate(rows)))

    assert tally(results) == {None: 1, "key": 39}
    winner = results.index(None)
    claimed = await store.claimed("shop", "same")
    assert claimed == Claimed(f"f{winner}", rows[winner].operation.id)
    loser = next(result for result in results if isinstance(result, Taken))
    assert (loser.operation, loser.fingerprint) == (claimed.operation, claimed.fingerprint)


@pytest.mark.parametrize("field", ["reference", "partner_key"])
async def test_one_of_many_wins_a_name(store: Store, field: str) -> None:
    rows = [opened(**{field: "same"}) for _ in range(40)]

    results = await all_at_once(store, ([row] for row in rows))

    assert tally(results) == {None: 1, field: 39}
    winner = rows[results.index(None)].operation.id
    assert {result.operation for result in results if isinstance(result, Taken)} == {winner}


@pytest.mark.parametrize(("state", "free"), [("failed", True), ("cancelled", True), ("unknown", False)])
async def test_an_act_that_did_not_happen_lets_go_of_its_partner_key(store: Store, state: str, free: bool) -> None:
    first = an_operation(partner_key="ORDER-7")
    await store.commit([OperationOpened(first)])
    await store.commit([OperationChanged(first.changed(first.created_at, state=State(state)))])
    second = an_operation(partner_key="ORDER-7")

    (result,) = await all_at_once(store, [[OperationOpened(second)]])

    found = await store.operation_by_partner_key(first.connection, first.kind, "ORDER-7")
    assert found is not None
    if free:
        assert (result, found.id) == (None, second.id)
    else:
        assert (str(getattr(result, "what", "")), found.id) == ("partner_key", first.id)


async def test_reference_and_partner_key_are_told_apart(store: Store) -> None:
    first = an_operation()
    await store.commit([OperationOpened(first)])

    repeated = await all_at_once(
        store,
        [
            [opened(reference=first.reference, partner_key=first.partner_key)],
            [opened(partner_key=first.partner_key)],
            [OperationOpened(an_operation(id=first.id))],
        ],
    )

    assert [error.what for error in repeated if isinstance(error, Taken)] == ["reference", "partner_key", "operation"]


async def test_names_are_unique_within_client_kind_and_connection_only(store: Store) -> None:
    same = {"reference": "r", "partner_key": "p"}

    results = await all_at_once(
        store,
        [
            [opened(**same)],
            [opened(**same, kind="transfer")],
            [opened(**same, client="other", connection="lakebank")],
        ],
    )

    assert results == [None, None, None]


async def test_one_of_many_open_siblings_is_let_in(store: Store) -> None:
    rows = [opened(siblings="loan=L1") for _ in range(30)]

    results = await all_at_once(store, ([row] for row in rows))

    assert tally(results) == {None: 1, "sibling": 29}
    winner = rows[results.index(None)].operation.id
    assert {result.operation for result in results if isinstance(result, Taken)} == {winner}


async def test_a_sibling_is_let_in_despite_those_that_it_names(store: Store) -> None:
    first, second = opened(siblings="loan=L1"), opened(siblings="loan=L1")
    await store.commit([first])
    second = OperationOpened(second.operation, "loan=L1", (first.operation.id,))
    await store.commit([second])

    with pytest.raises(Taken) as refused:
        await store.commit([OperationOpened(an_operation(), "loan=L1", (first.operation.id,))])

    assert (refused.value.what, refused.value.operation) == ("sibling", second.operation.id)


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED, State.RETURNED])
async def test_an_operation_that_has_ended_is_no_sibling(store: Store, state: State) -> None:
    first = opened(siblings="loan=L1")
    await store.commit([first])

    await store.commit([changed(first.operation, state=state), opened(siblings="loan=L1")])


@pytest.mark.parametrize("state", [State.REQUIRES_ACTION, State.UNKNOWN])
async def test_an_operation_in_doubt_is_a_sibling(store: Store, state: State) -> None:
    first = opened(siblings="loan=L1")
    await store.commit([first])
    await store.commit([changed(first.operation, state=state)])

    with pytest.raises(Taken, match="sibling"):
        await store.commit([opened(siblings="loan=L1")])


async def test_operations_without_links_or_of_another_kind_are_no_siblings(store: Store) -> None:
    rows = [opened(), opened(), opened("loan=L1"), opened("loan=L1", kind="refund"), opened("loan=L1", client="b")]

    assert await all_at_once(store, ([row] for row in rows)) == [None] * 5


async def test_a_taken_reference_is_said_before_a_sibling(store: Store) -> None:
    first = opened(siblings="loan=L1")
    await store.commit([first])

    with pytest.raises(Taken, match="reference"):
        await store.commit([opened(siblings="loan=L1", reference=first.operation.reference)])


async def test_a_loser_takes_nothing_and_hurts_nobody(store: Store) -> None:
    taken = opened()
    await store.commit([taken])
    rows = [opened() for _ in range(50)]
    rows[20] = opened(reference=taken.operation.reference)
    commits = [[a_key(row.operation, f"k{n}"), row, a_record(row.operation.id)] for n, row in enumerate(rows)]

    results = await all_at_once(store, commits)

    assert tally(results) == {None: 49, "reference": 1}
    assert await store.claimed("shop", "k20") is None
    assert await store.chain(rows[20].operation.id) == []
    found = [await store.operation(row.operation.id) for row in rows]
    assert [one is None for one in found].index(True) == 20 and found.count(None) == 1
    entries = await store.entries()
    assert [entry.position for entry in entries] == list(range(1, 50))


async def test_a_record_that_cannot_be_finished_hurts_nobody(store: Store) -> None:
    def broken(number: int, previous: str, counter: int) -> tuple[bytes, str]:
        raise ValueError("too large")

    bad = a_record("c")
    bad = Recorded(type(bad.draft)(bad.draft.id, "c", "shop", "intent", NOW, broken))
    commits: list[list[Row]] = [[a_record(f"c{n}")] for n in range(20)]
    commits[7] = [opened(), bad]

    results = await all_at_once(store, commits)

    assert [str(result) for result in results if result is not None] == ["too large"]
    assert [entry.position for entry in await store.entries()] == list(range(1, 20))


async def test_a_change_needs_the_version_before_it(store: Store) -> None:
    first = an_operation()
    await store.commit([OperationOpened(first)])
    second = first.changed(NOW, state=State.UNKNOWN)
    await store.commit([OperationChanged(second)])

    ahead = second.changed(NOW).changed(NOW)
    for late in (second, first.changed(NOW, state=State.FAILED), ahead, an_operation().changed(NOW)):
        with pytest.raises(Stale) as refused:
            await store.commit([OperationChanged(late), an_event(first)])
        assert refused.value.operation == late.id

    assert await store.operation(first.id) == second
    assert await store.events("shop") == []


async def test_one_of_many_changes_the_same_version(store: Store) -> None:
    first = an_operation()
    await store.commit([OperationOpened(first)])

    results = await all_at_once(store, ([changed(first, attempts=n), an_event(first)] for n in range(30)))

    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Stale) for result in results) == 29
    winner = await store.operation(first.id)
    assert winner is not None and (winner.version, winner.attempts) == (2, results.index(None))
    assert len(await store.events("shop")) == 1


async def test_an_operation_may_be_opened_and_changed_twice_in_one_commit(store: Store) -> None:
    first = an_operation()
    second = first.changed(NOW, attempts=1)
    third = second.changed(NOW, attempts=2)

    await store.commit([OperationOpened(first), OperationChanged(second), OperationChanged(third)])

    assert await store.operation(first.id) == third


async def test_what_must_stand_unchanged_is_compared_in_the_same_commit(store: Store) -> None:
    first = an_operation()
    await store.commit([OperationOpened(first), Unchanged(first.id, 1)])
    await store.commit([Unchanged(first.id, 1), changed(first, state=State.UNKNOWN), Unchanged(first.id, 2)])

    for operation, version in ((first.id, 1), (first.id, 3), ("pay_missing", 1)):
        with pytest.raises(Stale) as refused:
            await store.commit([a_record("c"), Unchanged(operation, version)])
        assert refused.value.operation == operation

    assert await store.entries() == []


async def succeeded(store: Store, reservable: int | None) -> str:
    parent = an_operation(state=State.SUCCEEDED, reservable=reservable)
    await store.commit([OperationOpened(parent)])
    return parent.id


async def reserved(store: Store, parent: str) -> int:
    operation = await store.operation(parent)
    assert operation is not None
    return operation.reserved


async def test_one_of_fifty_reserves_more_than_half(store: Store) -> None:
    parent = await succeeded(store, 10_000)
    rows = [opened(kind="refund") for _ in range(50)]

    results = await all_at_once(store, ([row, Reserved("shop", parent, 6000)] for row in rows))

    assert tally(results) == {None: 1, "reservation": 49}
    assert await reserved(store, parent) == 6000
    kept = [row for row in rows if await store.operation(row.operation.id) is not None]
    assert kept == [rows[results.index(None)]]


async def test_what_was_given_back_can_be_reserved_again(store: Store) -> None:
    parent = await succeeded(store, 100)
    await store.commit([Reserved("shop", parent, 100)])

    await store.commit([Released("shop", parent, 40)])
    await store.commit([Reserved("shop", parent, 40)])

    assert await reserved(store, parent) == 100


async def test_a_late_success_takes_its_part_even_if_others_have_it_now(store: Store) -> None:
    parent = await succeeded(store, 100)
    await store.commit([Reserved("shop", parent, 100)])

    await store.commit([Released("shop", parent, -60)])

    assert await reserved(store, parent) == 160


async def test_nobody_gives_back_more_than_is_held(store: Store) -> None:
    parent = await succeeded(store, 100)
    await store.commit([Reserved("shop", parent, 10)])

    with pytest.raises(ValueError, match="given back before"):
        await store.commit([Released("shop", parent, 11)])

    assert await reserved(store, parent) == 10


@pytest.mark.parametrize("state", [state for state in State if state is not State.SUCCEEDED])
async def test_only_what_succeeded_can_be_reserved_from(store: Store, state: State) -> None:
    parent = an_operation(state=state, reservable=100)
    await store.commit([OperationOpened(parent)])

    with pytest.raises(Taken, match="reservation"):
        await store.commit([Reserved("shop", parent.id, 1)])


@pytest.mark.parametrize(("client", "reservable"), [("other", 100), ("shop", None), ("shop", 0)])
async def test_nothing_is_reserved_where_nothing_is_left_to_this_client(
    store: Store, client: str, reservable: int | None
) -> None:
    parent = await succeeded(store, reservable)

    with pytest.raises(Taken, match="reservation"):
        await store.commit([Reserved(client, parent, 1)])


async def test_a_change_of_the_parent_keeps_what_follow_ups_hold(store: Store) -> None:
    parent = an_operation(state=State.SUCCEEDED, reservable=100)
    await store.commit([OperationOpened(parent)])
    await store.commit([Reserved("shop", parent.id, 70)])

    await store.commit([changed(parent, reservable=90)])

    standing = await store.operation(parent.id)
    assert standing is not None and (standing.reserved, standing.reservable) == (70, 90)
    with pytest.raises(Taken, match="reservation"):
        await store.commit([Reserved("shop", parent.id, 21)])
    await store.commit([Reserved("shop", parent.id, 20)])


async def test_a_cancelled_caller_disturbs_nobody(store: Store) -> None:
    rows = [opened() for _ in range(20)]
    tasks = [asyncio.ensure_future(store.commit([row])) for row in rows]
    await asyncio.sleep(0)
    tasks[3].cancel()

    results = await asyncio.gather(*tasks, return_exceptions=True)

    assert [n for n, result in enumerate(results) if result is not None] == [3]
    assert await store.operation(rows[19].operation.id) == rows[19].operation
