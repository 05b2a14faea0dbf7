"""A plugin that stops the whole process is named at once, and left out after the restart."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.registry import discover
from gateway.service.connect import examine
from gateway.service.load import parse
from gateway.service.watchdog import Watchdog, leave_out_blockers
from tests.service.installed import RIVERBANK, installed

# It stands still until it is found out; the bound is for a watchdog that sleeps.
BLOCKING = """
import time


def until_exists(path):
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.01)
"""


@pytest.fixture
def blocking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (tmp_path / "site").mkdir()
    with installed(tmp_path / "site", monkeypatch, riverbank=RIVERBANK, sleepy=BLOCKING + RIVERBANK):
        yield importlib.import_module("lendgate_sleepy")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "lendgate.db.blocked-plugins"


def watchdog(listed: Path) -> Watchdog:
    packages = {"riverbank": "lendgate_riverbank", "sleepy": "lendgate_sleepy"}
    return Watchdog(packages, listed, named_after=0.05, left_out_after=0.1, look=0.01)


async def test_it_is_named_in_the_log_and_written_down(
    blocking: Any, listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watching = watchdog(listed)
    watching.start()

    blocking.until_exists(listed)
    await watching.stop()

    assert "by the plugin sleepy (lendgate_sleepy.until_exists, line " in caplog.text
    assert "until_exists(listed)" in caplog.text  # the stack
    assert list(json.loads(listed.read_text())) == ["sleepy"]


async def test_a_loop_that_runs_is_left_in_peace(listed: Path, caplog: pytest.LogCaptureFixture) -> None:
    watching = Watchdog({}, listed, look=0.001)
    watching.start()

    for _ in range(100):
        await asyncio.sleep(0.001)
    await watching.stop()

    assert caplog.messages == []


async def test_without_a_plugin_on_the_stack_nobody_is_left_out(listed: Path, caplog: pytest.LogCaptureFixture) -> None:
    watching = watchdog(listed)
    watching.start()

    for _ in range(3000):
        if caplog.messages:
            break
        time.sleep(0.01)  # noqa: ASYNC251 - blocking the loop is the point
    await watching.stop()

    assert "by no plugin, but the gateway itself or this machine" in caplog.text
    assert not listed.exists()


def test_what_is_listed_is_left_out_and_the_others_are_not(blocking: Any, listed: Path) -> None:
    listed.write_text('{"sleepy": "lendgate_sleepy.create_payment, line 7"}')
    registry = discover(["riverbank", "sleepy"])

    leave_out_blockers(registry, listed)

    assert registry.plugins["riverbank"].broken is None
    assert registry.broken("sleepy") == (
        f"it blocked the whole gateway (lendgate_sleepy.create_payment, line 7); mend it, then remove it from {listed}"
    )
    assert registry.plugins["sleepy"].adapters == {}


def test_its_connection_says_why_it_does_not_work(blocking: Any, listed: Path, tmp_path: Path) -> None:
    listed.write_text('{"riverbank": "lendgate_riverbank.create_payment, line 7"}')
    text = """\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
[connections.riverbank]
partner = "riverbank"
hosts = ["127.0.0.1:1"]
"""

    configuration = parse(text, tmp_path, environment={"INSTALLATION": "5e" * 32})

    assert "it blocked the whole gateway" in examine(configuration)["riverbank"]


def test_a_list_that_cannot_be_read_stops_nothing(
    blocking: Any, listed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed.write_text("[not json")
    registry = discover(["riverbank"])

    with caplog.at_level(logging.ERROR):
        leave_out_blockers(registry, listed)

    assert registry.plugins["riverbank"].broken is None
    assert "taken for empty" in caplog.text
