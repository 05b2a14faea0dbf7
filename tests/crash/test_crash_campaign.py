"""A short crash campaign: a gateway that is killed while a shop works with it loses nothing and repeats nothing."""

from __future__ import annotations

from pathlib import Path

from bench.crash_campaign import Campaign


async def test_killed_again_and_again_it_moves_money_once_and_tells_the_truth(tmp_path: Path) -> None:
    tally = await Campaign(tmp_path, seed=7).run(kills=6)

    assert tally.wrong == []
    assert tally.kills_with_open_intents > 0
    assert tally.states["succeeded"] > 0
