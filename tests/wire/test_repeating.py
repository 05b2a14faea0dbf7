"""When and how often a request is sent again, and the pauses in between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import NoAnswer
from gateway.wire.budget import Budget
from gateway.wire.retry import Pace, Repeat
from tests.wire.partner import Partner, close
from tests.wire.rig import Rig, said

ONCE = Repeat.ONCE


async def test_pauses_are_jittered_and_grow(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert rig.clock.pauses == [0.1, 0.2]


async def test_retry_after_is_obeyed(tmp_path: Path) -> None:
    async with Partner(said("BUSY", Retry_After="7"), said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await rig.channel.send(rig.act(), rig.exchange())

        assert rig.clock.pauses == [7]


async def test_a_retry_after_beyond_the_deadline_ends_the_call(tmp_path: Path) -> None:
    async with Partner(said("BUSY", Retry_After="25")) as partner, Rig(tmp_path, partner) as rig:
        reply = await rig.channel.send(rig.act(), rig.exchange())

        assert reply.json() == {"code": "BUSY"}
        assert len(partner.arrivals) == 1


async def test_without_budget_nothing_is_repeated(tmp_path: Path) -> None:
    budget = Budget(tokens=2)
    async with Partner(close) as partner, Rig(tmp_path, partner, budget=budget) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert len(partner.arrivals) == 1


async def test_the_number_of_attempts_is_a_setting(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner, pace=Pace(attempts=5)) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert len(partner.arrivals) == 5


async def test_a_question_is_cut_short_where_an_act_that_may_happen_twice_waits(tmp_path: Path) -> None:
    pace = Pace(attempts=1, attempt_seconds=0.1)

    async def late(writer: asyncio.StreamWriter, arrival: Any) -> None:
        await asyncio.sleep(0.3)
        await said("PAID")(writer, arrival)

    async with Partner(late) as partner, Rig(tmp_path, partner, pace=pace) as rig:
        with pytest.raises(NoAnswer):
            await rig.channel.send(rig.ask(), rig.exchange())

        assert (await rig.channel.send(rig.act(), rig.exchange(ONCE))).status == 200
