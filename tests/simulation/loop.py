"""An event loop without a socket, a thread or a real second: time jumps to the next timer, and chance picks who runs.

Rules
- Of all callbacks that are ready, the next one is drawn by the seed: every order that tasks could run in, is tried.
- A callback belongs to the life in whose context it was scheduled. What belongs to a dead life never runs again, as if
  its process had been killed; what belongs to one that stalls, runs when the stall ends.
- Tasks have numbers for hashes, so that a set of them is walked in the same order in every process.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

__all__ = ["Life", "SeededLoop", "StoryTooLong"]

T = TypeVar("T")
STEPS_AT_MOST = 2_000_000


class StoryTooLong(Exception):
    """Something spins: time does not move on."""


@dataclass(eq=False)
class Life:
    """One run of a process. `context` marks what belongs to it."""

    name: str
    alive: bool = True
    stalled_until: float = 0.0
    kept: list[asyncio.Handle] = field(default_factory=list)  # what waits for the end of a stall
    context: Context = field(default_factory=copy_context)

    def __post_init__(self) -> None:
        self.context.run(LIFE.set, self)

    def begin(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run `work` as a task of this life."""
        return self.context.run(asyncio.create_task, work)


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)


class _Numbered(asyncio.Task[Any]):
    """A task whose hash is the number in which it was made, not its place in memory."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **how: Any) -> None:
        self.number = number
        super().__init__(coro, **how)

    def __hash__(self) -> int:
        return self.number


class SeededLoop(asyncio.BaseEventLoop):
    """Made anew for each seed. `chance` draws the order of what is ready."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.seconds = 0.0
        self.steps = 0
        self.tasks: list[_Numbered] = []  # all of them: nobody's end may depend on when memory is tidied up
        self._draw = chance.random
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self.seconds

    def stall(self, life: Life, seconds: float) -> None:
        """Let nothing of `life` run for so long; to everybody else it seems to hang."""
        life.stalled_until = self.seconds + seconds
        self.call_later(seconds, self._wake, life, context=Context())

    def bury(self) -> None:
        """Let go of tasks that never ended, without the warnings that a real program would deserve."""
        for task in self.tasks:
            task._log_destroy_pending = False
        self._ready.clear()  # type: ignore[attr-defined]  # BaseEventLoop's own queue
        self._scheduled.clear()  # type: ignore[attr-defined]  # BaseEventLoop's own heap

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """What real loops hand to a thread, is done here and answered a moment later."""
        future = self.create_future()
        try:
            self.call_soon(_resolve, future, func(*args))
        except Exception as failure:  # noqa: BLE001 - it belongs to whoever waits
            self.call_soon(_refuse, future, failure)
        return future

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **how: Any) -> _Numbered:
        task = _Numbered(len(self.tasks), coro, loop=self, **how)
        self.tasks.append(task)
        return task

    def _wake(self, life: Life) -> None:
        if life.stalled_until <= self.seconds:
            kept, life.kept = life.kept, []
            self._ready.extend(kept)  # type: ignore[attr-defined]  # BaseEventLoop's own queue

    def _run_once(self) -> None:
        """One callback. Overrides the real loop's turn, of which everything else here is inherited."""
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]  # BaseEventLoop's own
        self.steps += 1
        if self.steps > STEPS_AT_MOST:
            raise StoryTooLong(f"{STEPS_AT_MOST} steps, and still at {self.seconds:.3f} s")
        if not ready:
            if not scheduled:
                raise StoryTooLong("everybody waits for something that nobody will do")
            self.seconds = max(self.seconds, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self.seconds:
            handle = heapq.heappop(scheduled)
            handle._scheduled = False
            if not handle.cancelled():
                ready.append(handle)
        if not ready:
            return
        if len(ready) > 1:
            ready.rotate(-int(self._draw() * len(ready)))
        handle = ready.popleft()
        if handle.cancelled():
            return
        life = handle._context.get(LIFE)
        if life is not None and not life.alive:
            return
        if life is not None and life.stalled_until > self.seconds:
            life.kept.append(handle)
            return
        handle._run()

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _process_events(self, event_list: Any) -> None:
        """There are no sockets."""


def _resolve(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _refuse(future: asyncio.Future[Any], failure: BaseException) -> None:
    if not future.done():
        future.set_exception(failure)
