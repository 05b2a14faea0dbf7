"""Finds the plugin that a command of `lendgate adapter` is about, or says what to do where there is none."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.model.problems import ConfigurationError

if TYPE_CHECKING:
    from gateway.adapters.registry import Plugin

__all__ = ["folder_of", "plugin_of", "require_test_kit", "tests_of"]


def plugin_of(name: str) -> Plugin:
    """The plugin that works and offers the adapter `name`. Raises `ConfigurationError`."""
    from gateway.adapters.registry import discover

    registry = discover()
    for plugin in registry.plugins.values():
        if name in plugin.adapters:
            return plugin
    known = ", ".join(sorted(name for plugin in registry.plugins.values() for name in plugin.adapters)) or "none"
    raise ConfigurationError(registry.broken(name) or f"there is no adapter {name!r}; installed are: {known}")


def folder_of(plugin: Plugin) -> Path:
    """Where the plugin's package is."""
    return Path(str(plugin.module.__file__)).parent


def tests_of(plugin: Plugin) -> Path:
    """The tests beside the plugin's package. Raises `ConfigurationError` where it was installed without them."""
    tests = folder_of(plugin).parent / "tests"
    if not tests.is_dir():
        raise ConfigurationError(
            f"{plugin.distribution} was installed without its tests; name their folder with --tests, or install the"
            " plugin from its source folder (pip install -e)"
        )
    return tests


def require_test_kit(what: str) -> None:
    """Raises `ConfigurationError` where the extra `testing` is not installed."""
    for module in ("pytest", "httpx"):
        if find_spec(module) is None:
            raise ConfigurationError(f"{what} needs {module}: pip install 'lendgate[testing]'")
