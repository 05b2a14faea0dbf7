"""Only so many sends at once, only so many waiting, and no place is ever lost."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model.problems import NotSent
from gateway.wire.limits import Limit


async def entering(limit: Limit, verb: str = "pay", seconds: float = 5) -> asyncio.Task[None]:
    """A send that has come as far as it can."""
    task = asyncio.create_task(limit.enter(verb, seconds))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


def counts(limit: Limit, verb: str = "pay") -> tuple[object, object]:
    room = limit.describe()[verb]
    assert isinstance(room, dict)
    return room["under_way"], room["waiting"]


async def test_those_within_the_limit_enter_at_once() -> None:
    limit = Limit("riverbank-main", at_once=2)

    await limit.enter("pay", 0)
    await limit.enter("pay", 0)

    assert counts(limit) == (2, 0)


async def test_the_next_one_waits_and_the_first_to_come_is_the_first_to_go() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("pay", 0)
    second, third = await entering(limit), await entering(limit)
    assert counts(limit) == (1, 2)

    limit.leave("pay")
    await second

    assert not third.done()
    limit.leave("pay")
    await third
    limit.leave("pay")
    assert counts(limit) == (0, 0)


async def test_a_full_queue_refuses_instead_of_growing() -> None:
    limit = Limit("riverbank-main", at_once=1, waiting=1)
    await limit.enter("pay", 0)
    waiting = await entering(limit)

    with pytest.raises(NotSent, match="1 calls of pay under way and 1 waiting"):
        await limit.enter("pay", 5)

    limit.leave("pay")
    await waiting


async def test_whoever_has_no_time_left_is_told_so_and_leaves_the_queue() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("pay", 0)

    with pytest.raises(NotSent, match="busy with other calls"):
        await limit.enter("pay", 0.01)

    assert counts(limit) == (1, 0)
    limit.leave("pay")
    assert counts(limit) == (0, 0)


async def test_a_cancelled_one_leaves_the_queue() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("pay", 0)
    second, third = await entering(limit), await entering(limit)

    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    limit.leave("pay")
    await third

    assert counts(limit) == (1, 0)


async def test_a_place_given_to_one_that_is_cancelled_in_the_same_moment_goes_on_to_the_next() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("pay", 0)
    second, third = await entering(limit), await entering(limit)

    limit.leave("pay")
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await third

    assert counts(limit) == (1, 0)


async def test_two_cancelled_in_a_row_are_passed_over() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("pay", 0)
    second, third, fourth = await entering(limit), await entering(limit), await entering(limit)

    second.cancel()
    third.cancel()
    limit.leave("pay")
    await asyncio.gather(second, third, return_exceptions=True)
    await fourth

    assert counts(limit) == (1, 0)


async def test_verbs_do_not_stand_in_each_others_way() -> None:
    limit = Limit("riverbank-main", at_once=1)
    await limit.enter("balances", 0)

    await limit.enter("fetch_payment", 0)

    assert counts(limit, "fetch_payment") == (1, 0)
