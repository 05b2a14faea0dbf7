"""Plugins are found by name, imported one by one, and a broken one is only a visible entry."""

from __future__ import annotations

import sys
import threading
import types
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from gateway import hookimpl
from gateway.adapters import registry
from gateway.adapters.registry import Registry, discover, load
from tests.riverbank import Riverbank


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a plugin module out of functions."""

    def make(**members: Any) -> EntryPoint:
        module = types.ModuleType("a_plugin")
        for name, member in members.items():
            setattr(module, name, hookimpl(lambda answer=member: answer()) if callable(member) else member)
        monkeypatch.setitem(sys.modules, "a_plugin", module)
        return EntryPoint("riverbank", "a_plugin", "lendgate")

    return make


def test_a_plugin_answers_with_its_adapters_and_simulators(plugin: Any) -> None:
    found = load(plugin(adapters=lambda: [Riverbank], simulators=lambda: ["a simulator"]))

    house = Registry([found])
    assert found.broken is None
    assert house.adapter("riverbank") is Riverbank
    assert house.adapter("nobody") is None
    assert house.simulators() == ["a simulator"]


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (list, "must answer with Adapter classes"),
        (lambda: ["nonsense"], "must answer with Adapter classes"),
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: sys.exit(3), "SystemExit"),
    ],
)
def test_a_plugin_that_answers_nonsense_or_breaks_is_broken_and_says_why(plugin: Any, answer: Any, cause: str) -> None:
    found = load(plugin(adapters=answer))

    assert found.broken is not None
    assert cause in found.broken
    assert Registry([found]).adapter("riverbank") is None
    assert Registry([found]).broken("riverbank") == found.broken


def test_a_plugin_that_cannot_be_imported_is_broken() -> None:
    found = load(EntryPoint("ghost", "no_such_module_anywhere", "lendgate"))

    assert found.broken is not None
    assert "ModuleNotFoundError" in found.broken


def test_a_plugin_that_hangs_at_import_is_left_behind(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "IMPORT_LIMIT_SECONDS", 0.05)
    hang = threading.Event()

    found = load(plugin(adapters=lambda: hang.wait(5)))
    hang.set()

    assert found.broken is not None
    assert "must do nothing at import" in found.broken


def test_a_name_on_the_allow_list_that_nobody_offers_says_what_to_install() -> None:
    found = discover(["no_such_partner"])

    assert found.broken("no_such_partner") is not None
    assert "lendgate-no-such-partner" in str(found.broken("no_such_partner"))


def test_what_is_not_on_the_allow_list_is_not_imported() -> None:
    assert discover([]).plugins == {}
