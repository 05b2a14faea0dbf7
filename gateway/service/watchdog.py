"""Names the plugin that blocks the event loop, and leaves it out after the restart that it makes necessary.

Rules
- Plugins are reviewed code that runs where everything runs: one that computes or waits for long stops everybody, and no
  deadline can end it. A thread of its own sees that, because it needs nothing from the loop.
- After a second the plugin is named in the log, with where it stands. After ten it is written down beside the database
  as well; the next start leaves it out as broken, until a person takes it off that list.
- Where no plugin stands on the stack the blame is ours, or the machine's: that is logged, and nobody is left out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from gateway.adapters.registry import Registry

__all__ = ["Watchdog", "leave_out_blockers"]

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
NAMED_AFTER_SECONDS: Final = 1.0
LEFT_OUT_AFTER_SECONDS: Final = 10.0


def leave_out_blockers(registry: Registry, listed: Path) -> None:
    """Mark the plugins on the list as broken, so that what stopped the last process does not stop this one."""
    for name, where in _read(listed).items():
        plugin = registry.plugins.get(name)
        if plugin is not None:
            plugin.broken = f"it blocked the whole gateway ({where}); mend it, then remove it from {listed}"
            plugin.adapters.clear()


class Watchdog:
    """Watches the running loop. `packages` gives each plugin's package; `listed` is where blockers are written down."""

    def __init__(
        self,
        packages: Mapping[str, str],
        listed: Path,
        *,
        named_after: float = NAMED_AFTER_SECONDS,
        left_out_after: float = LEFT_OUT_AFTER_SECONDS,
        look: float = LOOK_SECONDS,
    ) -> None:
        self._plugins = {package: name for name, package in packages.items()}
        self._listed = listed
        self._named_after = named_after
        self._left_out_after = left_out_after
        self._look = look
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._beaten = time.monotonic()
        self._done = threading.Event()
        self._named = self._left_out = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._done.set()
        await asyncio.to_thread(self._thread.join)

    def _beat(self) -> None:
        self._beaten = time.monotonic()

    def _watch(self) -> None:
        while not self._done.wait(self._look):
            try:
                self._judge(time.monotonic() - self._beaten)
                self._loop.call_soon_threadsafe(self._beat)
            except RuntimeError:  # the loop is closed
                return

    def _judge(self, silent: float) -> None:
        """Say it once for each time that the loop stands still."""
        if silent < self._named_after:
            self._named = self._left_out = False
            return
        frame = sys._current_frames().get(self._watched)
        if frame is None or (self._named and silent < self._left_out_after) or self._left_out:
            return
        plugin, where = self._blame(frame)
        if not self._named:
            self._named = True
            stack = "".join(traceback.format_stack(frame, limit=12))
            who = f"the plugin {plugin}" if plugin else "no plugin, but the gateway itself or this machine"
            log.critical("the event loop has been blocked for %.1f s by %s (%s)\n%s", silent, who, where, stack)
        if plugin is not None and silent >= self._left_out_after:
            self._left_out = True
            _write(self._listed, plugin, f"{where}, at {datetime.now(UTC).isoformat(timespec='seconds')}")
            log.critical("the plugin %s will be left out after the next start; see %s", plugin, self._listed)

    def _blame(self, frame: FrameType) -> tuple[str | None, str]:
        """The plugin whose code stands innermost, and where."""
        innermost = frame
        here: FrameType | None = frame
        while here is not None:
            package = str(here.f_globals.get("__name__", "")).partition(".")[0]
            if package in self._plugins:
                return self._plugins[package], _place(here)
            here = here.f_back
        return None, _place(innermost)


def _place(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}, line {frame.f_lineno}"


def _read(listed: Path) -> dict[str, str]:
    try:
        found = json.loads(listed.read_text(encoding="utf-8"))
        return {str(name): str(where) for name, where in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as wrong:
        log.error("%s cannot be read (%s); it is taken for empty", listed, wrong)
        return {}


def _write(listed: Path, plugin: str, where: str) -> None:
    unfinished = listed.with_name(listed.name + ".new")
    try:
        unfinished.write_text(json.dumps(_read(listed) | {plugin: where}, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(listed)
    except OSError as wrong:
        log.error("%s cannot be written: %s", listed, wrong)
