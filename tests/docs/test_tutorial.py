"""The tutorial, followed literally in an empty folder: every command, every change, to the last level."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.tutorial import Change, Command, Reader, environment_of, steps
from tests.sources import ROOT

PAGE = (ROOT / "docs/adapters/tutorial.md").read_text(encoding="utf-8")


def overlay(folder: Path) -> Path:
    """A fresh virtual environment in which what is installed here is installed too; its `bin`."""
    venv.create(folder, with_pip=True, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    ours = next(place for place in map(Path, sys.path) if place.name == "site-packages")
    (site / "overlay.pth").write_text(f"import site; site.addsitedir({str(ours)!r})\n")
    command = folder / "bin" / "lendgate"
    command.write_text(f"#!{folder}/bin/python\nfrom gateway.cli import main\n\nmain()\n")
    command.chmod(0o755)
    return folder / "bin"


def follow(programs: Path, folder: Path) -> Reader:
    folder.mkdir()
    reader = Reader(folder, environment_of(programs))
    reader.follow(PAGE)
    return reader


def test_the_tutorial_leads_to_the_last_level(tmp_path: Path) -> None:
    reader = follow(overlay(tmp_path / "venv"), tmp_path / "empty")

    assert reader.status == 0
    adapter = (reader.folder / "lendgate_riverbank" / "adapter.py").read_text()
    assert len(adapter.splitlines()) <= 120
    assert "create_refund" in adapter
    assert "def read(" in adapter


def test_the_tutorial_takes_five_commands_and_touches_the_plugin_alone() -> None:
    taken = steps(PAGE)

    commands = [step.line for step in taken if isinstance(step, Command)]
    assert len(commands) <= 5
    assert not any(step.path.startswith(("/", "..")) for step in taken if isinstance(step, Change))


def test_what_the_tutorial_writes_is_python() -> None:
    for step in steps(PAGE):
        if isinstance(step, Change) and step.path.endswith(".py") and step.after.startswith(('"""', "CODES")):
            ast.parse(step.after)


@pytest.mark.skipif("LENDGATE_FRESH_INSTALL" not in os.environ, reason="installs everything anew: takes minutes")
def test_the_tutorial_works_where_only_a_wheel_is_installed(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lendgate-*.whl")
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    subprocess.run([programs / "pip", "install", "-q", f"{wheel}[testing]"], check=True, cwd=tmp_path)

    reader = follow(programs, tmp_path / "empty")

    assert reader.status == 0
