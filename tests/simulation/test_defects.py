"""Each planted defect is caught at its recorded seed, where the sources as they are keep every promise."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.defects.planting import caught, patches, recorded


def test_each_defect_has_its_seed() -> None:
    names = {patch.stem for patch in patches()}

    assert len(names) >= 20
    assert names == set(recorded())


@pytest.mark.parametrize("patch", patches(), ids=lambda patch: patch.stem)
def test_a_planted_defect_is_caught(patch: Path) -> None:
    seed, _ = recorded()[patch.stem]

    assert caught(patch, seed, 1) is not None


def test_without_a_defect_the_same_stories_keep_every_promise() -> None:
    for seed in sorted({seed for seed, _ in recorded().values()}):
        assert caught(None, seed, 1) is None
