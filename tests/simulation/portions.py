"""A process that tells stories: what it counts, and what it must be deaf to."""

from __future__ import annotations

import gc
import logging
import sys
import warnings

from tests.simulation import coverage
from tests.simulation.story import Told, tell

__all__ = ["Portion", "portion", "quieten"]

Portion = tuple[list[Told], coverage.Reached]


def quieten() -> None:
    """Call it before the first story: no logs, and no last words of what was killed in mid-air.

    Memory is tidied up between stories only, where no loop runs that it could hit.
    """
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore", RuntimeWarning)  # a call to a process that was dead already is never begun
    sys.unraisablehook = lambda told: None
    gc.disable()
    gc.freeze()


def portion(seeds: range) -> Portion:
    """Some stories, and the cells that they reached."""
    quieten()
    reached = coverage.watch()
    return [tell(seed) for seed in seeds], reached
