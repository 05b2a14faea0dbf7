"""Plants one defect into a copy of the sources and tells stories there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["FOLDER", "caught", "patches", "recorded"]

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[2]
TABLE = FOLDER / "caught.txt"


class DoesNotApply(Exception):
    """The patch was made for other sources."""


def patches() -> list[Path]:
    """The planted defects, in order."""
    return sorted(FOLDER.glob("*.patch"))


def recorded() -> dict[str, tuple[int, str]]:
    """The seed at which each defect is caught, and by which oracle."""
    lines = [line.split(" ", 2) for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {name: (int(seed), oracle) for name, seed, oracle in lines}


def caught(patch: Path | None, first: int, seeds: int) -> tuple[int, str] | None:
    """The first of `seeds` stories from `first` in which a promise is broken, and the oracle; None if all are kept.

    `patch` None plants nothing. Raises `DoesNotApply`.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "gateway", Path(folder, "gateway"), ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(
            ROOT / "tests" / "simulation",
            Path(folder, "tests", "simulation"),
            ignore=shutil.ignore_patterns("__pycache__", "defects"),
        )
        if patch is not None:
            _plant(patch, folder)
        words = ["--seeds", str(seeds), "--from", str(first), "--until-broken"]
        run = subprocess.run(
            [sys.executable, "-m", "tests.simulation", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"^seed (\d+): ([a-z ]+): ", run.stdout, re.MULTILINE)
    if found is None and run.returncode != 0:
        raise RuntimeError(f"no story could be told:\n{run.stdout[-1000:]}{run.stderr[-3000:]}")
    return (int(found[1]), found[2]) if found else None


def _plant(patch: Path, folder: str) -> None:
    apply = subprocess.run(
        ["git", "apply", "--unsafe-paths", f"--directory={folder}", str(patch)],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if apply.returncode != 0:
        raise DoesNotApply(
            f"{patch.name} no longer applies: the source that it breaks was changed. Make the same mistake in the new"
            f" source, write `git diff` to {patch.name}, and run `python -m tests.simulation.defects --full`.\n"
            f"{apply.stderr}"
        )
