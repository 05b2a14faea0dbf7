"""Killed a hundred times, the log is whole each time, and no call left without its intent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.sources import ROOT

RUNS = 100


def test_a_hundred_kills_leave_a_whole_log_and_no_call_without_an_intent(tmp_path: Path) -> None:
    program = ROOT / "tests" / "audit" / "kill_runs.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, program, tmp_path, str(RUNS), "7"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["runs"], seen["faults"], seen["without_intent"]) == (RUNS, 0, 0)
    assert seen["grew"] > 0, "no run published something new: nothing was shown"
    assert seen["partner_calls"] > 0
