"""What was acknowledged outlives a power cut, whole; what was not is gone, whole, or there, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.power_cuts import run


@pytest.mark.parametrize("seed", range(4))
def test_what_was_promised_outlives_every_power_cut(tmp_path: Path, seed: int) -> None:
    tally = run(tmp_path, 20, seed)

    assert tally.found == {}
    assert tally.acknowledged > 200


@pytest.mark.parametrize("synchronous", ["OFF", "NORMAL"])
def test_the_rig_finds_what_a_store_that_syncs_too_little_loses(tmp_path: Path, synchronous: str) -> None:
    tally = run(tmp_path, 24, 1, synchronous)

    assert tally.losing > 0
    assert tally.found["lost"] > 0
