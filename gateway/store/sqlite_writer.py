"""The one writer: a thread that makes whatever waits durable together (group commit).

Rules
- No timer: while one batch is on its way to the disk, the next one gathers. One transaction and one fsync a batch.
- The loop is told once a batch, not once a caller: each hand-over between threads costs more than a row.
- An error of the disk, or any that no caller caused, is final: every caller gets `StorageError`, now and later.
  An fsync is never tried again, because pages that it failed to write may count as written afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from gateway.model.problems import StorageError
from gateway.store.sqlite_batch import Batch
from gateway.store.sqlite_rows import Bound

__all__ = ["Job", "Waiting", "Writer"]

log = logging.getLogger(__name__)

LARGEST_BATCH: Final = 512
"""Callers in one transaction; it bounds how long the last of them waits for the others."""

Job = Callable[[apsw.Connection], Any]


class Waiting:
    """A caller that waits: for its rows, or for a job that the writer does for it."""

    __slots__ = ("error", "future", "job", "result", "rows")

    def __init__(self, future: asyncio.Future[Any], rows: Sequence[Bound] = (), job: Job | None = None) -> None:
        self.future = future
        self.rows = rows
        self.job = job
        self.result: Any = None
        self.error: Exception | None = None


class Writer:
    """Owns the writing connection and its thread. `settled(callers)` runs on `loop` after each batch."""

    def __init__(
        self,
        connection: apsw.Connection,
        loop: asyncio.AbstractEventLoop,
        settled: Callable[[list[Waiting], StorageError | None], None],
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._settled = settled
        self._batch = Batch(connection)
        self._queue: queue.SimpleQueue[list[Waiting] | None] = queue.SimpleQueue()
        self._failure: StorageError | None = None
        self._thread = threading.Thread(target=self._run, name="store writer", daemon=True)
        self._thread.start()

    def put(self, callers: list[Waiting]) -> None:
        """Let `callers` wait for the next batch."""
        self._queue.put(callers)

    def stop(self) -> None:
        """Write what waits, end the thread and close the connection."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            # What the disk refused must not be written by the way, when the connection closes.
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._connection.close()

    def _run(self) -> None:
        going = True
        while going:
            callers, going = self._next()
            for start in range(0, len(callers), LARGEST_BATCH):
                batch = callers[start : start + LARGEST_BATCH]
                self._write(batch)
                self._tell(batch)

    def _next(self) -> tuple[list[Waiting], bool]:
        """Everyone who waits; blocks until there is somebody."""
        callers: list[Waiting] = []
        arrived = self._queue.get()
        while arrived is not None:
            callers += arrived
            if len(callers) >= LARGEST_BATCH:
                return callers, True
            try:
                arrived = self._queue.get_nowait()
            except queue.Empty:
                return callers, True
        return callers, False

    def _tell(self, batch: list[Waiting]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settled, batch, self._failure)
        except RuntimeError:
            log.warning("the event loop ended while %d callers waited for a commit", len(batch))

    def _write(self, batch: list[Waiting]) -> None:
        if self._failure is None:
            try:
                self._transaction(batch)
            except Exception as wrong:  # noqa: BLE001 - whatever it is, nothing may be promised any more
                self._fail(wrong)
        if self._failure is not None:
            for caller in batch:
                caller.error = StorageError(str(self._failure))

    def _fail(self, wrong: Exception) -> None:
        log.critical("the store failed and takes no more commits: %s: %s", type(wrong).__name__, wrong)
        self._failure = StorageError(
            f"a commit failed ({type(wrong).__name__}: {wrong}); what it held may or may not be on disk."
            " Check the disk, then start again"
        )
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            pass  # The connection is not used again; recovery at the next start drops what was not committed.

    def _transaction(self, batch: list[Waiting]) -> None:
        mark = self._batch.numbers.mark()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._together(batch)
        except Exception as collision:
            if _fatal(collision):
                raise
            self._connection.execute("ROLLBACK")
            self._batch.numbers.back_to(mark)
            self._connection.execute("BEGIN IMMEDIATE")
            for caller in batch:
                self._alone(caller)
        self._commit()
        self._batch.numbers.committed()

    def _commit(self) -> None:
        self._connection.execute("COMMIT")

    def _together(self, batch: list[Waiting]) -> None:
        self._batch.together(caller.rows for caller in batch)
        for caller in batch:
            if caller.job is not None:
                caller.result = caller.job(self._connection)

    def _alone(self, caller: Waiting) -> None:
        mark = self._batch.numbers.mark()
        self._connection.execute("SAVEPOINT caller")
        try:
            self._batch.alone(caller.rows)
            if caller.job is not None:
                caller.result = caller.job(self._connection)
        except Exception as lost:
            if _fatal(lost):
                raise
            caller.error = lost
            self._connection.execute("ROLLBACK TO caller")
            self._batch.numbers.back_to(mark)
        self._connection.execute("RELEASE caller")


def _fatal(wrong: Exception) -> bool:
    """Whether it comes from the disk or the database rather than from what a caller wanted."""
    if isinstance(wrong, apsw.ConstraintError | apsw.TooBigError | apsw.MismatchError):
        return False
    return isinstance(wrong, apsw.Error | OSError | MemoryError)
