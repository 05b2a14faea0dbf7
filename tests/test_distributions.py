"""What is packaged and pinned: the lock, run.py, the wheel of lendgate and the distributions of its plugins."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.sources import ROOT

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PINNED: dict[str, str] = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))
PLUGINS = sorted(ROOT.glob("plugins/*/pyproject.toml"))


def project(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))["project"]  # type: ignore[no-any-return]  # tables are untyped


def needs(path: Path, *extras: str) -> list[Requirement]:
    table = project(path)
    written = [
        *table.get("dependencies", ()),
        *(line for extra in extras for line in table["optional-dependencies"][extra]),
    ]
    return [requirement for requirement in map(Requirement, written) if requirement.name != "lendgate"]


def unmet(requirements: list[Requirement]) -> list[str]:
    """Those that the lock does not pin, or pins outside their bounds."""
    return [
        str(requirement)
        for requirement in requirements
        if not requirement.specifier.contains(PINNED.get(canonicalize_name(requirement.name), "0"))
    ]


def test_the_lock_pins_all_that_the_gateway_and_its_checks_need() -> None:
    requirements = needs(ROOT / "pyproject.toml", "testing", "dev")

    assert len(requirements) > 20
    assert unmet(requirements) == []


def test_the_lock_names_no_host_and_hashes_every_package() -> None:
    blocks = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]

    assert "://" not in LOCK
    assert len(blocks) == len(PINNED)
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_run_parses_on_the_old_pythons_that_it_turns_away() -> None:
    ast.parse((ROOT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 6))


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)

    (wheel,) = tmp_path.glob("lendgate-*.whl")
    files = [path for path in (ROOT / "gateway").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert files
    assert {path.relative_to(ROOT).as_posix() for path in files} <= set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: path.parent.name)
def test_a_plugin_is_a_distribution_like_every_other(path: Path) -> None:
    partner, folder, table = path.parent.name, path.parent, project(path)
    package = folder / f"lendgate_{partner}"

    assert table["name"] == f"lendgate-{partner.replace('_', '-')}"
    assert table["requires-python"] == project(ROOT / "pyproject.toml")["requires-python"]
    assert table["entry-points"]["lendgate"] == {partner: f"lendgate_{partner}"}
    assert [name for name in ("adapter", "messages", "simulator") if not (package / f"{name}.py").is_file()] == []
    assert (folder / "README.md").is_file()
    assert list(folder.glob("tests/test_*.py"))
    # run.py installs plugins without their dependencies, so the lock must have them.
    assert unmet(needs(path)) == []
