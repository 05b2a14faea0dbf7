"""What every back end keeps about notifications: who is to be told, in which order, and by whom at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.store.interface import EventStaged, OperationOpened, Recorded, Stale, Store, Taken
from gateway.store.operation import Operation
from gateway.store.webhooks import (
    DeliveriesTaken,
    Delivery,
    DeliveryHeld,
    DeliveryRequested,
    DeliverySettled,
    DeliveryState,
    Due,
    Endpoint,
    EndpointAdded,
    EndpointChanged,
    EndpointRemoved,
)
from tests.store.rows import NOW, a_record, an_event, an_operation, serial

LEASE = timedelta(minutes=1)
LATER = NOW + timedelta(hours=1)


def an_endpoint(client: str = "shop", url: str = "", **fields: object) -> Endpoint:
    number = serial()
    endpoint = Endpoint(f"whe_{number:032x}", client, url or f"https://shop.example/{number}", (), b"sealed", True, NOW)
    return replace(endpoint, **fields)  # type: ignore[arg-type]  # only fields of an endpoint are given


async def added(store: Store, **fields: object) -> Endpoint:
    endpoint = an_endpoint(**fields)  # type: ignore[arg-type]  # only fields of an endpoint are given
    await store.commit([EndpointAdded(endpoint)])
    return endpoint


async def told(store: Store, endpoint: Endpoint, *operations: Operation) -> list[EventStaged]:
    """An event of each operation, and its delivery to `endpoint`."""
    events = [an_event(operation) for operation in operations]
    await store.commit(events)
    await take(store, endpoint)
    return events


async def take(store: Store, endpoint: Endpoint, after: int = 0) -> None:
    rows = await store.events(endpoint.client, after=after, limit=1000)
    events = tuple((row.cursor, row.id, row.operation, row.type) for row in rows)
    await store.commit([DeliveriesTaken(endpoint.id, rows[-1].cursor, events, NOW)])


async def lease(store: Store, endpoint: Endpoint, now: datetime = NOW, limit: int = 100) -> list[Due]:
    return await store.lease_deliveries(endpoint.id, now, now + LEASE, limit)


def settled(due: Due, state: DeliveryState = "delivered", due_at: datetime | None = None) -> DeliverySettled:
    status = 200 if state == "delivered" else 500
    return DeliverySettled(
        due.endpoint, due.cursor, due.version, state, due.attempts + 1, due_at, NOW, status, f"status {status}"
    )


async def the_delivery(store: Store, endpoint: Endpoint, event: EventStaged) -> Delivery:
    found = await store.delivery(endpoint.id, event.id)
    assert found is not None
    return found


async def test_an_endpoint_is_kept_as_it_was_added_and_belongs_to_its_client(store: Store) -> None:
    first = await added(store, kinds=("payment.*", "partner.drift"))
    other = await added(store, client="other", created_at=NOW + timedelta(seconds=1), active=False)

    assert await store.endpoint(first.id) == first
    assert await store.endpoint(first.id, "other") is None
    assert await store.endpoints("other") == [other]
    assert await store.endpoints() == [first, other]


async def test_an_address_is_taken_once_by_a_client(store: Store) -> None:
    first = await added(store, url="https://shop.example/hook")
    await added(store, client="other", url="https://shop.example/hook")

    with pytest.raises(Taken) as taken:
        await added(store, url="https://shop.example/hook")

    assert (taken.value.what, taken.value.operation) == ("endpoint", first.id)


async def test_a_change_of_an_endpoint_on_an_old_version_is_refused(store: Store) -> None:
    endpoint = await added(store)
    await store.commit([EndpointChanged(replace(endpoint, secrets=b"new", version=2))])

    with pytest.raises(Stale):
        await store.commit([EndpointChanged(replace(endpoint, secrets=b"lost", version=2))])

    standing = await store.endpoint(endpoint.id)
    assert standing is not None
    assert (standing.secrets, standing.version) == (b"new", 2)


async def test_an_endpoint_is_behind_when_something_happened_to_its_client_since_it_was_added(store: Store) -> None:
    operation, elsewhere = an_operation(), an_operation(client="other")
    await store.commit([OperationOpened(operation), an_event(operation)])
    endpoint = await added(store)
    asleep = await added(store, active=False)
    await store.commit([an_event(elsewhere)])
    assert await store.endpoints_behind() == []

    await store.commit([an_event(operation)])

    (behind,) = await store.endpoints_behind()
    assert (behind.id, behind.cursor) == (endpoint.id, 1)
    assert asleep.id not in await store.endpoints_due(LATER)


async def test_events_are_taken_once_whoever_takes_them(store: Store) -> None:
    endpoint = await added(store)
    operation = an_operation()
    first, second = an_event(operation), an_event(operation)
    await store.commit([first, second])
    await asyncio.gather(*(take(store, endpoint) for _ in range(5)))
    (due,) = await lease(store, endpoint)
    await store.commit([settled(due)])

    await take(store, endpoint)

    assert await store.endpoints_behind() == []
    assert (await the_delivery(store, endpoint, first)).state == "delivered"
    assert [one.event for one in await lease(store, endpoint)] == [second.id]


async def test_what_an_endpoint_does_not_want_moves_only_its_cursor(store: Store) -> None:
    endpoint = await added(store)
    await store.commit([an_event(an_operation())])

    await store.commit([DeliveriesTaken(endpoint.id, 1, (), NOW)])

    assert await store.endpoints_behind() == []
    assert await store.deliveries(endpoint.id) == []


async def test_a_delivery_comes_with_its_event(store: Store) -> None:
    endpoint = await added(store)
    (event,) = await told(store, endpoint, an_operation())

    (due,) = await lease(store, endpoint)

    assert (due.event, due.operation, due.type, due.document) == (event.id, event.operation, event.type, event.document)
    assert (due.client, due.attempts) == ("shop", 0)


async def test_a_delivery_is_held_by_one_worker_at_a_time(store: Store) -> None:
    endpoint = await added(store)
    events = await told(store, endpoint, *(an_operation() for _ in range(20)))

    shares = await asyncio.gather(*(lease(store, endpoint, limit=4) for _ in range(7)))

    held = [due.event for share in shares for due in share]
    assert sorted(held) == sorted(event.id for event in events)
    assert await store.endpoints_due(NOW) == []
    assert await store.endpoints_due(NOW + LEASE) == [endpoint.id]


async def test_an_event_waits_for_the_earlier_ones_of_its_operation(store: Store) -> None:
    endpoint = await added(store)
    one, other = an_operation(), an_operation()
    a1, b1, a2, a3 = await told(store, endpoint, one, other, one, one)
    (again,) = await told(store, endpoint, one)

    order = []
    while batch := await lease(store, endpoint):
        order.append({due.event for due in batch})
        await store.commit([settled(due, "dead" if due.event == a2.id else "delivered") for due in batch])

    assert order == [{a1.id, b1.id}, {a2.id}, {a3.id}, {again.id}]


async def test_a_failed_attempt_is_due_again_and_those_behind_it_still_wait(store: Store) -> None:
    endpoint = await added(store)
    operation = an_operation()
    first, second = await told(store, endpoint, operation, operation)
    (due,) = await lease(store, endpoint)

    await store.commit([settled(due, "pending", LATER)])

    failed = await the_delivery(store, endpoint, first)
    assert (failed.state, failed.attempts, failed.due_at, failed.status) == ("pending", 1, LATER, 500)
    assert await lease(store, endpoint) == []
    assert [one.event for one in await lease(store, endpoint, LATER)] == [first.id]
    assert (await the_delivery(store, endpoint, second)).due_at is None


async def test_whoever_lost_a_lease_sends_nothing_and_settles_nothing(store: Store) -> None:
    endpoint = await added(store)
    (event,) = await told(store, endpoint, an_operation())
    (slow,) = await lease(store, endpoint)
    await store.commit([DeliveryHeld(endpoint.id, slow.cursor, slow.version)])
    (quick,) = await lease(store, endpoint, NOW + LEASE)

    with pytest.raises(Stale):
        await store.commit([DeliveryHeld(endpoint.id, slow.cursor, slow.version), a_record("op")])
    kept: Recorded = a_record("op")
    await store.commit([settled(slow, "dead"), kept])

    assert (await the_delivery(store, endpoint, event)).state == "pending"
    assert [entry.id for entry in await store.chain("op")] == [kept.draft.id]
    await store.commit([settled(quick)])
    assert (await the_delivery(store, endpoint, event)).state == "delivered"


async def test_an_endpoint_that_is_not_active_gets_nothing(store: Store) -> None:
    endpoint = await added(store)
    await told(store, endpoint, an_operation())
    await store.commit([EndpointChanged(replace(endpoint, active=False, version=2))])

    assert await store.endpoints_due(LATER) == []
    assert await lease(store, endpoint, LATER) == []


async def test_what_has_ended_can_be_asked_for_again(store: Store) -> None:
    endpoint = await added(store)
    operation = an_operation()
    first, second = await told(store, endpoint, operation, operation)
    for _ in range(2):
        (due,) = await lease(store, endpoint)
        await store.commit([settled(due, "dead")])

    await store.commit([DeliveryRequested(endpoint.id, due.cursor, LATER)])

    asked = await the_delivery(store, endpoint, second)
    assert (asked.state, asked.attempts, asked.due_at) == ("pending", 0, LATER)
    assert (await the_delivery(store, endpoint, first)).state == "dead"
    (again,) = await lease(store, endpoint, LATER)
    await store.commit([settled(again)])
    assert (await the_delivery(store, endpoint, second)).state == "delivered"


async def test_what_is_tried_later_can_be_asked_for_now_but_what_waits_goes_on_waiting(store: Store) -> None:
    endpoint = await added(store)
    operation = an_operation()
    first, second = await told(store, endpoint, operation, operation)
    (due,) = await lease(store, endpoint)
    await store.commit([settled(due, "pending", LATER)])
    waiting = await the_delivery(store, endpoint, second)

    await store.commit([DeliveryRequested(endpoint.id, n, NOW) for n in (due.cursor, waiting.cursor)])

    assert [one.event for one in await lease(store, endpoint)] == [first.id]
    assert (await the_delivery(store, endpoint, first)).attempts == 1
    assert await the_delivery(store, endpoint, second) == waiting


async def test_a_later_event_waits_for_one_that_was_asked_for_again(store: Store) -> None:
    endpoint = await added(store)
    operation = an_operation()
    (first,) = await told(store, endpoint, operation)
    (due,) = await lease(store, endpoint)
    await store.commit([settled(due, "dead"), DeliveryRequested(endpoint.id, due.cursor, NOW)])

    (second,) = await told(store, endpoint, operation)

    (again,) = await lease(store, endpoint)
    assert again.event == first.id
    await store.commit([settled(again)])
    assert [one.event for one in await lease(store, endpoint)] == [second.id]


async def test_deliveries_are_listed_newest_first_page_by_page_and_by_state(store: Store) -> None:
    endpoint, other = await added(store), await added(store)
    events = await told(store, endpoint, *(an_operation() for _ in range(5)))
    await take(store, other)
    due = await lease(store, endpoint, limit=3)
    states: tuple[DeliveryState, ...] = ("dead", "delivered", "dead")
    await store.commit([settled(one, state) for one, state in zip(due, states, strict=True)])

    page = await store.deliveries(endpoint.id, limit=2)
    rest = await store.deliveries(endpoint.id, before=page[-1].cursor)

    assert [one.event for one in page + rest] == [event.id for event in events[::-1]]
    assert [one.cursor for one in await store.deliveries(endpoint.id, state="dead")] == [3, 1]
    assert [one.cursor for one in await store.deliveries(endpoint.id, state="pending")] == [5, 4]


async def test_an_endpoint_goes_with_its_deliveries_and_only_by_its_client(store: Store) -> None:
    endpoint, other = await added(store), await added(store)
    (event,) = await told(store, endpoint, an_operation())
    await take(store, other)

    await store.commit([EndpointRemoved("somebody", endpoint.id)])
    assert await store.endpoint(endpoint.id) is not None
    assert await store.delivery(endpoint.id, event.id) is not None
    await store.commit([EndpointRemoved("shop", endpoint.id)])
    await take(store, endpoint)

    assert await store.endpoints() == [replace(other, cursor=1)]
    assert await store.delivery(endpoint.id, event.id) is None
    assert await store.delivery(other.id, event.id) is not None
