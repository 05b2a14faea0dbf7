"""Short restore drills: whoever puts an old store back does nothing a second time, and would without the quarantine."""

from __future__ import annotations

from pathlib import Path

from bench.restore_drills import drills


async def test_an_old_store_that_is_put_back_repeats_nothing_and_tells_no_lie(tmp_path: Path) -> None:
    tally = await drills(tmp_path, 10, seed=3)

    assert (tally.duplicates, tally.wrong) == ([], [])
    assert (tally.drills, tally.gave_up) == (10, 0)
    assert tally.found > 10


async def test_without_a_quarantine_the_same_drills_pay_twice(tmp_path: Path) -> None:
    tally = await drills(tmp_path, 3, seed=3, quarantine=False)

    assert tally.duplicates != []
