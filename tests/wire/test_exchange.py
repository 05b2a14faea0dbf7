"""What a verb may do on the wire, and what its run sums up to."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import AdapterError, NotSent, OutcomeUnknown
from gateway.wire.exchange import ReplayDiffers
from gateway.wire.limits import Limit
from gateway.wire.retry import Repeat
from tests.wire.partner import Partner, close, silence
from tests.wire.rig import Rig, said

KEYED, ONCE = Repeat.KEYED, Repeat.ONCE


async def refused(rig: Rig, asked: Any, exchange: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        await rig.channel.send(asked, exchange)
    assert rig.partner.arrivals == []
    assert await rig.store.entries() == []


async def test_a_verb_that_reads_may_not_act(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        await refused(rig, rig.act(), rig.exchange(effects=False), AdapterError, "only reads")


async def test_a_verb_has_one_effect(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.act(), exchange)

        with pytest.raises(AdapterError, match="acted twice"):
            await rig.channel.send(rig.act(), exchange)

        assert len(partner.arrivals) == 1


async def test_an_act_that_was_not_sent_is_not_tried_by_another(tmp_path: Path) -> None:
    async with Partner() as partner:
        pass
    async with Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        with pytest.raises(NotSent):
            await rig.channel.send(rig.act(), exchange)

        with pytest.raises(AdapterError, match="acted twice"):
            await rig.channel.send(rig.act(), exchange)


async def test_a_replay_sends_the_recorded_body_or_nothing(tmp_path: Path) -> None:
    content = hashlib.sha256(b'{"cents":100}').hexdigest()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        other = rig.act(b'{"cents":101}')
        await refused(rig, other, rig.exchange(KEYED, expected_content=content), ReplayDiffers, "another body")

        reply = await rig.channel.send(rig.act(), rig.exchange(KEYED, expected_content=content))

        assert reply.status == 200


@pytest.mark.parametrize("repeat", [KEYED, ONCE])
async def test_a_replay_outside_the_keys_life_is_refused(tmp_path: Path, repeat: Repeat) -> None:
    content = hashlib.sha256(b'{"cents":100}').hexdigest()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(repeat, expected_content=content, key_until=rig.later(-1))

        await refused(rig, rig.act(), exchange, NotSent, "repeating could act twice")


async def test_a_host_that_is_not_configured_is_refused(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act()
        asked.request = asked.request.with_url("https://evil.example/payments")

        await refused(rig, asked, rig.exchange(), AdapterError, "may not call evil.example:443")


async def test_without_time_nothing_is_begun(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(deadline=rig.clock.monotonic() + 0.04)

        await refused(rig, rig.act(), exchange, NotSent, "the time for this call was over")


async def test_a_verb_that_fails_again_and_again_is_left_alone(tmp_path: Path) -> None:
    async with Partner(close) as partner, Rig(tmp_path, partner) as rig:
        for _ in range(5):
            with pytest.raises(OutcomeUnknown):
                await rig.channel.send(rig.act(), rig.exchange())

        with pytest.raises(NotSent, match="failed again and again"):
            await rig.channel.send(rig.act(), rig.exchange())

        assert len(partner.arrivals) == 5


async def test_what_is_more_than_may_wait_is_refused_and_hurts_no_health(tmp_path: Path) -> None:
    limit = Limit("riverbank-main", at_once=1, waiting=0)
    async with Partner(silence, said("PAID")) as partner, Rig(tmp_path, partner, limit=limit) as rig:
        first = asyncio.create_task(rig.channel.send(rig.act(), rig.exchange()))
        await partner.arrived()

        for _ in range(10):
            with pytest.raises(NotSent, match="under way"):
                await rig.channel.send(rig.act(), rig.exchange())

        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (await rig.channel.send(rig.act(), rig.exchange())).status == 200


async def test_the_exchange_sums_up_for_the_operation(tmp_path: Path) -> None:
    class Stored:
        attempts, first_sent_at, last_sent_at = 2, None, None

    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange, stored = rig.exchange(KEYED), Stored()
        assert exchange.evidence is None
        assert exchange.summary(stored)["attempts"] == 3  # type: ignore[arg-type]  # it reads these fields only
        began = rig.clock.now()
        await rig.channel.send(rig.act(), exchange)

        assert exchange.summary(stored) == {  # type: ignore[arg-type]  # see above
            "attempts": 4,
            "first_sent_at": began,
            "last_sent_at": rig.clock.now(),
        }
        assert rig.clock.now() > began
