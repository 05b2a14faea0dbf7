"""Cuts the power under the store on SQLite again and again: what was not synced is dropped, torn or kept by chance.

    python bench/power_cuts.py --cuts 1000 --seed 1

The back end that ships commits on a disk in memory (`tests/store/power_cuts_disk.py`) whose power is cut at a random
call, also while it starts and recovers. What survived is opened on a real disk by the same code: every acknowledged
commit must be there, none in part (`tests/store/power_cuts.py`). Two controls run the same with `synchronous` OFF and
NORMAL, and must lose what was acknowledged, or the rig shows nothing. Exit status 1 if anything was wrong.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.store.power_cuts import Tally, run

PORTION = 50
CONTROLS = ("OFF", "NORMAL")
CONTROL_CUTS = 50


def cuts(number: int, seed: int, synchronous: str) -> Tally:
    """So many cuts, with progress; each portion has a seed and a folder of its own."""
    whole, began = Tally(), time.monotonic()
    for first in range(0, number, PORTION):
        with tempfile.TemporaryDirectory(prefix="lendgate-power-") as folder:
            tally = run(Path(folder), min(PORTION, number - first), seed * 1_000_003 + first, synchronous)
        whole.cuts += tally.cuts
        whole.cuts_in_start += tally.cuts_in_start
        whole.acknowledged += tally.acknowledged
        whole.losing += tally.losing
        whole.found.update(tally.found)
        if whole.cuts % (5 * PORTION) == 0 or whole.cuts == number:
            print(f"  {synchronous}: {whole.cuts:,} of {number:,} cuts, {time.monotonic() - began:.0f} s", flush=True)
    return whole


def show(synchronous: str, tally: Tally) -> None:
    """One line for the cuts, one for each thing that was found."""
    print(
        f"synchronous={synchronous}: {tally.cuts:,} cuts, {tally.cuts_in_start:,} of them in a start;"
        f" {tally.acknowledged:,} commits acknowledged; {tally.losing:,} cuts lost some"
    )
    for what, count in sorted(tally.found.items()):
        print(f"  {what:<12} {count:,}")


def main(number: int, seed: int) -> int:
    """Run the cuts and the controls; the exit status."""
    logging.disable(logging.CRITICAL)  # the store says at each cut that it failed, as it should
    print(f"seed {seed}")
    shipped = cuts(number, seed, "FULL")
    controls = {synchronous: cuts(CONTROL_CUTS, seed, synchronous) for synchronous in CONTROLS}
    show("FULL", shipped)
    for synchronous, tally in controls.items():
        show(synchronous, tally)
    blind = [synchronous for synchronous, tally in controls.items() if not tally.losing]
    if blind:
        print(f"the controls lost nothing with {', '.join(blind)}: this rig shows nothing")
    print(f"  wrong {sum(shipped.found.values()):,} over {shipped.cuts:,} cuts and {shipped.acknowledged:,} commits")
    return 0 if shipped.sound and not blind else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(main(arguments.cuts, arguments.seed))
