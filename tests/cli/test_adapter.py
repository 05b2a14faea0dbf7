"""`lendgate adapter`: what is installed, what it does, and how far it can be trusted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Run
from tests.sources import ROOT

SUITE = """\
from gateway.testing.conformance import conformance
from tests.riverbank import Riverbank
from tests.riverbank_simulator import RiverbankSimulator
from tests.testing.riverbank_scenarios import Transfer

TestRiverbank = conformance(
    Riverbank,
    simulator=RiverbankSimulator,
    scenarios=[Transfer()],
    exempt={"MONEY-01": "Riverbank counts in shells"},
)
"""


def test_the_list_says_what_each_does(run: Run, riverbank: Path) -> None:
    result = run("adapter", "list")

    (line,) = [line for line in result.output.splitlines() if line.startswith("riverbank")]
    assert "2026-03" in line
    assert "6 verbs, callbacks" in line


def test_a_description_has_terms_and_codes(run: Run, riverbank: Path) -> None:
    said = run("adapter", "describe", "riverbank").output

    assert "create_payment" in said
    assert "at_most: 50000.00" in said
    assert "DUPLICATE  seen" in said
    assert "life_seconds=86400.0" in said


def test_an_adapter_that_is_not_there_is_named(run: Run) -> None:
    result = run("adapter", "describe", "lakebank")

    assert result.exit_code == 2
    assert "lakebank" in result.stderr


def test_one_check_is_explained(run: Run) -> None:
    result = run("adapter", "check", "--explain", "doubt-01")

    assert result.exit_code == 0
    assert "at most once" in result.output


def test_a_check_without_its_tests_says_what_to_do(run: Run, riverbank: Path) -> None:
    result = run("adapter", "check", "riverbank")

    assert result.exit_code == 2
    assert "--tests" in result.stderr


def test_a_check_gives_the_level_and_the_red_list(folder: Path, riverbank: Path) -> None:
    (folder / "test_conformance_riverbank.py").write_text(SUITE)
    command = [sys.executable, "-m", "gateway.cli", "adapter", "check", "riverbank", "--tests", str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{riverbank}{os.pathsep}{ROOT}"}

    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    assert result.returncode == 1, result.stderr
    first, *rest = result.stdout.splitlines()
    assert first == "riverbank: draft"
    assert "exempt MONEY-01: Riverbank counts in shells" in rest
    assert "no scenario takes these to an answer: create_payment" in result.stdout
    assert {line.split()[1] for line in rest if line.startswith("red ")} == {"COVER-01"}
