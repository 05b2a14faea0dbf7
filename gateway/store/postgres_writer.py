"""The one writer of a process: makes whatever waits durable together (group commit), over one connection.

Rules
- No timer: while one batch is on its way to the disk, the next one gathers. One transaction and one commit a batch.
- A batch that the database gave up for another's sake (deadlock, serialisation) is tried again as it was.
- The session is the process's life. It holds an advisory lock that tells other processes so, and the server ends it
  when it falls silent: a process that was paused wakes up to a closed store and can write nothing.
- Any error that no caller caused is final, a lost connection above all. Whether a COMMIT under way took effect is then
  unknown: every caller gets `StorageError`, nothing is promised, and the process stops. What did become durable is
  found after the next start, as it is after a crash.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg

from gateway.model.problems import StorageError
from gateway.store.postgres_batch import Batch, Colliding
from gateway.store.postgres_rows import Bound

__all__ = ["Waiting", "Writer"]

log = logging.getLogger(__name__)

LARGEST_BATCH: Final = 512
"""Callers in one transaction; it bounds how long the last of them waits for the others."""

TRIES: Final = 5
"""Of one batch, when the database gives it up for another's sake."""

CALLERS_FAULT: Final = ("22", "23", "54")
"""Classes of SQLSTATE that a row causes: a bad value, a constraint, a value that is too large for its index."""

GIVEN_UP: Final = ("40001", "40P01")
"""SQLSTATE of a serialisation failure and of a deadlock."""


class Waiting:
    """A caller that waits for its rows to be durable."""

    __slots__ = ("error", "future", "rows")

    def __init__(self, future: asyncio.Future[None], rows: Sequence[Bound]) -> None:
        self.future = future
        self.rows = rows
        self.error: Exception | None = None


class Writer:
    """Owns the writing connection and the task that uses it. `settled(callers, failure)` is called after each batch,
    and without callers when the connection is lost in between.

    `beat_seconds`: how often a silent session says that it is alive.
    """

    def __init__(
        self,
        connection: Any,
        process: int,
        settled: Callable[[Sequence[Waiting], StorageError | None], None],
        beat_seconds: float,
    ) -> None:
        self._connection = connection
        self._settled = settled
        self._beat_seconds = beat_seconds
        self._batch = Batch(connection, process)
        self._queue: deque[Waiting] = deque()
        self._woken = asyncio.Event()
        self._stopping = False
        self._failure: StorageError | None = None
        connection.add_termination_listener(self._lost)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store writer")

    def put(self, caller: Waiting) -> None:
        """Let `caller` wait for the next batch."""
        self._queue.append(caller)
        self._woken.set()

    async def stop(self) -> None:
        """Write what waits, end the task and close the connection."""
        self._stopping = True
        self._woken.set()
        await self._task
        if self._failure is not None:
            self._connection.terminate()
            return
        self._connection.remove_termination_listener(self._lost)
        try:
            await self._connection.close(timeout=self._beat_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._connection.terminate()  # everything is durable already

    def _lost(self, connection: Any) -> None:
        self._woken.set()

    async def _run(self) -> None:
        while await self._work():
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST_BATCH))]
            await self._write(batch)
            self._settled(batch, self._failure)

    async def _work(self) -> bool:
        """Wait until somebody waits, and say meanwhile: I am alive. False when all is written and the store closes."""
        while not self._queue and not self._stopping:
            self._woken.clear()
            try:
                async with asyncio.timeout(self._beat_seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass
            if not self._queue and self._failure is None and not self._stopping:
                await self._beat()
        return bool(self._queue)

    async def _beat(self) -> None:
        try:
            await self._connection.execute("SELECT")
        except Exception as wrong:  # noqa: BLE001 - whatever it is, nothing may be promised any more
            self._fail(wrong)
            self._settled((), self._failure)

    async def _write(self, batch: Sequence[Waiting]) -> None:
        if self._failure is None:
            try:
                await self._transactions(batch)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, nothing may be promised any more
                self._fail(wrong)
        if self._failure is not None:
            for caller in batch:
                caller.error = StorageError(str(self._failure))

    def _fail(self, wrong: Exception) -> None:
        log.critical("the store failed and takes no more commits: %s: %s", type(wrong).__name__, wrong)
        self._failure = StorageError(
            f"a commit failed ({type(wrong).__name__}: {wrong}); what it held may or may not be in the database."
            " Check the database and the way to it, then start again"
        )
        self._connection.terminate()

    async def _transactions(self, batch: Sequence[Waiting]) -> None:
        """The batch's transaction, again as long as the database gives it up for another's sake."""
        mark = self._batch.numbers.mark()
        for left in reversed(range(TRIES)):
            try:
                return await self._transaction(batch)
            except asyncpg.PostgresError as given_up:
                if given_up.sqlstate not in GIVEN_UP or not left:
                    raise
                log.info("a batch of %d callers is tried again: %s", len(batch), given_up)
                await self._connection.execute("ROLLBACK")
                self._batch.numbers.back_to(mark)
                for caller in batch:
                    caller.error = None

    async def _transaction(self, batch: Sequence[Waiting]) -> None:
        mark = self._batch.numbers.mark()
        await self._connection.execute("BEGIN")
        await self._batch.lock(caller.rows for caller in batch)
        try:
            await self._batch.together(caller.rows for caller in batch)
        except Exception as collision:
            if _fatal(collision):
                raise
            await self._connection.execute("ROLLBACK")
            self._batch.numbers.back_to(mark)
            await self._connection.execute("BEGIN")
            await self._batch.lock()
            await self._apart(batch)
            await self._batch.correct()
        await self._commit()
        self._batch.numbers.committed()

    async def _commit(self) -> None:
        said = await self._connection.execute("COMMIT")
        if said != "COMMIT":  # what PostgreSQL says to a transaction that had failed: it was rolled back
            raise StorageError(f"the database answered COMMIT with {said}")

    async def _apart(self, callers: Sequence[Waiting]) -> None:
        """Write those who collided in two halves, and each half together if it can be: few losers cost few journeys."""
        if len(callers) == 1:
            return await self._alone(callers[0])
        middle = len(callers) // 2
        for half in (callers[:middle], callers[middle:]):
            mark = self._batch.numbers.mark()
            await self._connection.execute("SAVEPOINT half")
            try:
                await self._batch.together(caller.rows for caller in half)
            except Exception as collision:
                if _fatal(collision):
                    raise
                await self._connection.execute("ROLLBACK TO half")
                self._batch.numbers.back_to(mark)
                await self._apart(half)
            await self._connection.execute("RELEASE half")

    async def _alone(self, caller: Waiting) -> None:
        mark = self._batch.numbers.mark()
        await self._connection.execute("SAVEPOINT caller")
        try:
            await self._batch.alone(caller.rows)
        except Exception as lost:
            if _fatal(lost):
                raise
            await self._connection.execute("ROLLBACK TO caller")
            self._batch.numbers.back_to(mark)
            caller.error = await self._batch.explained(lost) if isinstance(lost, Colliding) else lost
        await self._connection.execute("RELEASE caller")


def _fatal(wrong: Exception) -> bool:
    """Whether it comes from the database or the way to it rather than from what a caller wanted."""
    if isinstance(wrong, asyncpg.PostgresError):  # also what the driver cannot encode, as of class 22
        return not (wrong.sqlstate or "").startswith(CALLERS_FAULT)
    return isinstance(wrong, asyncpg.InterfaceError | OSError | MemoryError | StorageError)
