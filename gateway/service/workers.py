"""Keeps the background work of a gateway going: what ends by a mistake of ours is started again.

Rules
- A worker that fails is logged with its cause and started again after a pause that doubles, up to a minute; one that
  ran for a while begins with the short pause again.
- A failing store ends the worker for good: nothing may be promised any more, and the process stops.
- `stop` lets what is under way end, for a bounded time, and cancels it after that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.model.clock import Clock
from gateway.model.problems import StorageError

__all__ = ["Worker", "Workers"]

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 60.0
HEALTHY_AFTER_SECONDS: Final = 60.0
"""Having run this long, a worker is no longer in a series of failures."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Background work: `run` works until `stop` is called, and may be called again after it failed."""

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    stop: Callable[[], None]


@dataclass(slots=True)
class Workers:
    """The workers of one gateway; `failed` hears of a store that failed."""

    clock: Clock
    failed: Callable[[StorageError], None]
    restarts: dict[str, int] = field(default_factory=dict)
    _running: dict[str, tuple[Worker, asyncio.Task[None]]] = field(default_factory=dict)
    _pausing: set[str] = field(default_factory=set)

    def start(self, worker: Worker) -> None:
        """Run `worker` until `stop`."""
        task = asyncio.create_task(self._keep(worker), name=worker.name)
        self._running[worker.name] = (worker, task)

    async def stop(self, limit_seconds: float) -> None:
        """Ask all of them to end, wait at most `limit_seconds`, and cancel what has not ended by then."""
        for worker, task in self._running.values():
            worker.stop()
            if worker.name in self._pausing:  # it does nothing now, and must not begin again
                task.cancel()
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=limit_seconds)
        for task in late:
            log.warning("%s did not end in %s s and is cancelled", task.get_name(), limit_seconds)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, worker: Worker) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = self.clock.monotonic()
            try:
                await worker.run()
                return
            except StorageError as failure:
                log.critical("%s ends: %s", worker.name, failure)
                self.failed(failure)
                return
            except Exception:
                if self.clock.monotonic() - began >= HEALTHY_AFTER_SECONDS:
                    pause = FIRST_PAUSE_SECONDS
                self.restarts[worker.name] = self.restarts.get(worker.name, 0) + 1
                log.exception("%s failed and is started again in %s s", worker.name, pause)
            self._pausing.add(worker.name)
            await self.clock.sleep(pause)
            self._pausing.discard(worker.name)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
