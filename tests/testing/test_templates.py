"""What `lendgate adapter new` writes, for every capability and every scheme: it is tidy, typed and passes its tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli.adapter_template import CAPABILITIES, SCHEMES, Wanted, distribution
from gateway.testing.todos import todos
from tests.sources import ROOT

EVERY = tuple(CAPABILITIES)
PLUGINS = {f"all_{scheme}": Wanted(f"all_{scheme}", EVERY, scheme) for scheme in SCHEMES} | {
    f"one_{capability}": Wanted(f"one_{capability}", (capability,), "hmac") for capability in EVERY
}
GROUPS = [[f"all_{scheme}"] for scheme in SCHEMES] + [[f"one_{capability}" for capability in EVERY]]
"""Plugins whose tests share a process, so that starting one is paid seldom."""


def write(folder: Path, wanted: Wanted) -> Path:
    for path, text in distribution(wanted).items():
        place = folder / wanted.name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder / wanted.name


def ran(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=whole, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("names", GROUPS, ids=lambda names: names[0] if len(names) == 1 else "one_of_each")
def test_a_new_plugin_passes_its_own_tests_as_it_is(names: list[str], tmp_path: Path) -> None:
    folders = [write(tmp_path, PLUGINS[name]) for name in names]
    path = os.pathsep.join([*map(str, folders), str(ROOT)])
    configured = ["-c", f"{folders[0]}/pyproject.toml", "--rootdir", str(tmp_path)]
    tests = [f"{folder}/tests" for folder in folders]

    result = ran(tmp_path, "pytest", "-q", "-p", "no:cacheprovider", *configured, *tests, PYTHONPATH=path)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout


@pytest.mark.parametrize("name", PLUGINS)
def test_a_new_plugin_is_tidy(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, PLUGINS[name])

    checked = ran(folder, "ruff", "check", "--no-cache", ".")
    formatted = ran(folder, "ruff", "format", "--no-cache", "--check", ".")

    assert checked.returncode == 0, checked.stdout
    assert formatted.returncode == 0, formatted.stdout


@pytest.mark.parametrize("name", ["all_own", "all_rsa"])
def test_a_new_plugin_is_typed(name: str, tmp_path: Path) -> None:
    folder = write(tmp_path, PLUGINS[name])
    cache = str(ROOT / ".mypy_cache")

    result = ran(folder, "mypy", "--cache-dir", cache, ".", MYPYPATH=str(ROOT))

    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", PLUGINS)
def test_at_most_six_places_are_left_and_each_names_a_page_of_the_guide(name: str, tmp_path: Path) -> None:
    wanted = PLUGINS[name]
    folder = write(tmp_path, wanted)
    everywhere = "".join(path.read_text() for path in folder.rglob("*") if path.is_file()).count("TODO")

    left = todos(folder / wanted.package)

    assert 0 < len(left) <= 6
    assert len(left) == everywhere
    assert [text for _, text in left if not (ROOT / text.partition(":")[0]).is_file()] == []


def test_only_an_own_scheme_brings_code_for_signing() -> None:
    brings = {name for name, wanted in PLUGINS.items() if f"{wanted.package}/signing.py" in distribution(wanted)}

    assert brings == {"all_own"}
