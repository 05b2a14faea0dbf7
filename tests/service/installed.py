"""Puts a plugin into a folder as `pip install` would, so that it is found like any other."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["RIVERBANK", "install", "installed"]

RIVERBANK = """\
from gateway import hookimpl


@hookimpl
def adapters():
    from tests.riverbank import Riverbank

    return [Riverbank]


@hookimpl
def simulators():
    from tests.riverbank_simulator import RiverbankSimulator

    return [RiverbankSimulator]
"""


def install(folder: Path, name: str, source: str, *, direct_url: str | None = None) -> None:
    """Write the distribution `lendgate-<name>` 1.0 with one module; `folder` must be on `sys.path`."""
    (folder / f"lendgate_{name}.py").write_text(source)
    described = folder / f"lendgate_{name}-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: lendgate-{name}\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text(f"[lendgate]\n{name} = lendgate_{name}\n")
    if direct_url is not None:
        (described / "direct_url.json").write_text(direct_url)


@contextmanager
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, **sources: str) -> Iterator[Path]:
    """A folder on `sys.path` with one distribution for each of `sources`; its modules are forgotten at the end."""
    for name, source in sources.items():
        install(folder, name, source)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("lendgate_")]:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
