"""A few hundred stories, and the promise that a seed tells the same one wherever it is told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def told(*words: str, hashes: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hashes},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_promise_is_kept_in_every_story() -> None:
    run = told("--seeds", "200", "--jobs", "1")

    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert "retry table: 21 of 21 cells reached" in run.stdout


def test_a_seed_tells_the_same_story_in_every_process() -> None:
    first = told("--seeds", "12", "--from", "500", "--jobs", "1", "--digests", hashes="1")
    again = told("--seeds", "12", "--from", "500", "--jobs", "2", "--digests", hashes="2")

    digests = [line for line in first.stdout.splitlines() if line[:3].isdigit() and len(line) == 68]
    assert len(digests) == 12
    assert digests == [line for line in again.stdout.splitlines() if line[:3].isdigit() and len(line) == 68]
