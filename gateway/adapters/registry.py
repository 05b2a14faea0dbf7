"""Finds, isolates and describes plugins.

Rules
- Names come from metadata; only what the allow-list names is imported, one by one, with a time limit.
- A plugin that fails, hangs at import or breaks the contract becomes a visible `broken` entry; the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import pluggy

from gateway.adapters.adapter import Adapter
from gateway.adapters.hooks import ENTRY_POINT_GROUP, PROJECT, AdapterHooks

__all__ = ["Plugin", "Registry", "discover"]

IMPORT_LIMIT_SECONDS: Final = 10.0


@dataclass(slots=True)
class Plugin:
    """One installed distribution that offers adapters. `broken` says why it cannot be used, and what to do."""

    name: str
    distribution: str
    version: str
    module: Any = None
    broken: str | None = None
    adapters: dict[str, type[Adapter[Any]]] = field(default_factory=dict)


class Registry:
    """The plugins that are allowed here."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = {plugin.name: plugin for plugin in plugins}

    def adapter(self, partner: str) -> type[Adapter[Any]] | None:
        """The adapter class of that partner, or None."""
        for plugin in self.plugins.values():
            if partner in plugin.adapters:
                return plugin.adapters[partner]
        return None

    def broken(self, partner: str) -> str | None:
        """Why that partner's plugin cannot be used."""
        plugin = self.plugins.get(partner)
        return plugin.broken if plugin else None

    def simulators(self) -> list[type[Any]]:
        """The simulated institutions of every working plugin, imported now."""
        host = pluggy.PluginManager(PROJECT)
        host.add_hookspecs(AdapterHooks)
        for plugin in self.plugins.values():
            if plugin.module is not None and plugin.broken is None:
                host.register(plugin.module, plugin.name)
        return [kind for kinds in host.hook.simulators() for kind in kinds]


def discover(allowed: Iterable[str] | None = None) -> Registry:
    """Load the installed plugins whose entry-point names are in `allowed` (None: every one)."""
    wanted = None if allowed is None else set(allowed)
    found = [point for point in entry_points(group=ENTRY_POINT_GROUP) if wanted is None or point.name in wanted]
    plugins = [load(point) for point in found]
    for name in sorted((wanted or set()) - {point.name for point in found}):
        package = f"lendgate-{name.replace('_', '-')}"
        why = f"no installed package offers the adapter {name!r}; install it (pip install {package})"
        plugins.append(Plugin(name, "", "", broken=why))
    return Registry(plugins)


def load(point: EntryPoint) -> Plugin:
    """Import one plugin and ask it for its adapters; whatever goes wrong becomes `broken`."""
    distribution = point.dist
    plugin = Plugin(point.name, distribution.name if distribution else "", distribution.version if distribution else "")
    try:
        plugin.module = _within_limit(point.load)
        plugin.adapters = _adapters(plugin)
    except BaseException as failure:  # noqa: BLE001 - a plugin's sys.exit must not end the gateway
        plugin.broken = f"{type(failure).__name__}: {failure}"
    return plugin


def _adapters(plugin: Plugin) -> dict[str, type[Adapter[Any]]]:
    host = pluggy.PluginManager(PROJECT)
    host.add_hookspecs(AdapterHooks)
    host.register(plugin.module, plugin.name)
    host.check_pending()
    answers = _within_limit(host.hook.adapters)
    classes = [kind for kinds in answers for kind in kinds]
    strangers = [kind for kind in classes if not (isinstance(kind, type) and issubclass(kind, Adapter))]
    if strangers or not classes:
        raise TypeError(f"its `adapters` hook must answer with Adapter classes, not {strangers or 'nothing'}")
    return {kind.name: kind for kind in classes}


def _within_limit(call: Callable[[], Any]) -> Any:
    """Run `call` in a thread and give up waiting after the limit; a hanging import then stays behind, alone."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = call()
        except BaseException as failure:  # noqa: BLE001 - handed over to the caller's thread
            outcome["failure"] = failure

    thread = threading.Thread(target=run, daemon=True, name="plugin-import")
    thread.start()
    thread.join(IMPORT_LIMIT_SECONDS)
    if thread.is_alive():
        raise TimeoutError(
            f"importing it took more than {IMPORT_LIMIT_SECONDS:.0f} seconds; it must do nothing at import"
        )
    if "failure" in outcome:
        raise outcome["failure"]
    return outcome["value"]
