"""What an operator asks about notifications, and does about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from click.testing import Result

from gateway.store.webhooks import DeliverySettled
from tests.api.house import KEYS, House, payment
from tests.cli.conftest import Run
from tests.operations.lending_platform import Platform, listening

Ask = Callable[..., Awaitable[Result]]


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as opened:
        yield opened


@pytest.fixture
def ask(house: House, run: Run) -> Ask:
    """`await ask("list")`: as an operator."""

    async def call(*words: str) -> Result:
        return await asyncio.to_thread(run, "webhooks", *words, "--url", house.url, "--key", KEYS["operator"])

    return call


async def given_up(house: House, platform: Platform, payments: int) -> tuple[str, list[str]]:
    """An endpoint, and its dead deliveries."""
    shop = house.caller("shop")
    endpoint = (await shop.send("POST", "/v1/webhook-endpoints", json={"url": platform.url})).body["id"]
    platform.answer = lambda got: 503
    for _ in range(payments):
        await shop.act("/v1/payments", payment())
    await house.gateway.notifier.round()
    now, store = house.gateway.clock.now(), house.gateway.store
    deliveries = await store.deliveries(endpoint)
    # Its version went up by one when it was handed out; days of trying are cut short.
    await store.commit(
        [DeliverySettled(endpoint, one.cursor, 2, "dead", 10, None, now, 503, "answered 503") for one in deliveries]
    )
    platform.answer = lambda got: 200
    platform.got.clear()
    return endpoint, [one.event for one in deliveries]


async def test_endpoints_and_what_is_dead_are_listed(house: House, platform: Platform, ask: Ask) -> None:
    assert "There are none." in (await ask("list")).stdout
    endpoint, events = await given_up(house, platform, 2)

    listed, dead = await ask("list"), await ask("dead")

    assert all(word in listed.stdout for word in (endpoint, "shop", "active", platform.url, "all"))
    assert listed.stdout.split()[-1] == "2"
    assert all(event in dead.stdout for event in events)
    assert "answered 503" in dead.stdout


async def test_one_event_or_everything_that_is_dead_is_sent_again(house: House, platform: Platform, ask: Ask) -> None:
    endpoint, events = await given_up(house, platform, 3)

    one = await ask("redeliver", endpoint, events[0])
    await house.gateway.notifier.round()
    assert platform.ids == [events[0]]
    rest = await ask("redeliver", endpoint, "--all-dead")
    await house.gateway.notifier.round()

    assert (one.exit_code, rest.exit_code) == (0, 0)
    assert sorted(platform.ids) == sorted(events)
    assert "None is dead." in (await ask("dead", endpoint)).stdout


async def test_what_cannot_be_done_is_said(house: House, platform: Platform, ask: Ask) -> None:
    endpoint, _ = await given_up(house, platform, 1)

    nowhere = await ask("dead", "whe_nowhere")
    unclear = await ask("redeliver", endpoint)
    nothing = await ask("redeliver", endpoint, "evt_nothing")

    assert (nowhere.exit_code, unclear.exit_code, nothing.exit_code) == (1, 2, 1)
    assert "404" in nowhere.stderr and "404" in nothing.stderr
    assert "--all-dead" in unclear.stderr
