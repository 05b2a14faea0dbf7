"""A folder to work in, a plugin that is installed, and the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.api.house import House, housed
from tests.service.installed import RIVERBANK, installed

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the commands."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    for name in ("LENDGATE_CONFIG", "LENDGATE_KEY", "LENDGATE_URL"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def riverbank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Riverbank's plugin, as if installed."""
    place = tmp_path / "site"
    place.mkdir()
    with installed(place, monkeypatch, riverbank=RIVERBANK) as site:
        yield site


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway that answers over HTTP."""
    place = tmp_path / "house"
    place.mkdir()
    async with housed(place) as opened:
        yield opened


@pytest.fixture
def run(folder: Path) -> Run:
    """`run("check-config", …)`; what is no `SystemExit` fails the test."""

    def call(*words: str, **environment: str) -> Result:
        return CliRunner().invoke(main, words, env=environment, catch_exceptions=False)

    return call
