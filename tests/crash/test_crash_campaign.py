"""Short crash campaigns: gateways that are killed while a shop works with them lose nothing and repeat nothing."""

from __future__ import annotations

from pathlib import Path

from bench.crash_campaign import campaign, database


async def test_a_gateway_killed_again_and_again_moves_money_once_and_tells_the_truth(tmp_path: Path) -> None:
    done = await campaign(tmp_path, seed=7, kills=30)

    assert done.found.wrong == []
    assert done.stage.strange == []
    assert sum(1 for intents in done.found.open_at_death if intents) >= 15
    assert done.killed.in_start > 0
    assert done.found.states["succeeded"] > 200


async def test_two_gateways_on_one_database_killed_at_their_own_times_keep_the_same_promises(tmp_path: Path) -> None:
    with database("postgres") as url:
        done = await campaign(tmp_path, seed=8, kills=10, database_url=url)

    assert done.found.wrong == []
    assert done.stage.strange == []
    assert set(done.killed.by_gateway) == {0, 1}
    assert done.found.states["succeeded"] > 50
