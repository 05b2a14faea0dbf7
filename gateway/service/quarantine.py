"""What a gateway does at its start about a store that was put back to an older day.

In this order, before anything is served or published
  1. the store is compared with the high-water mark outside
  2. if it lost something: the quarantine begins, durably, in the store and its log
  3. the mark follows the store, which is another history from here on
  4. a published log that holds what the store lost is closed, and another one begins
  5. `BEFORE_SERVING`: the steps that every restored store needs, once all floors stand
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.operations.quarantine import Confinement
from gateway.service.closed_log import close_if_contradicted, published_number
from gateway.service.config import Configuration
from gateway.service.high_water import MARGIN, HighWater, Lost
from gateway.service.workers import Worker
from gateway.store.interface import Recorded, Store
from gateway.store.quarantine import Quarantine, QuarantineBegan, Standing

__all__ = ["BEFORE_SERVING", "begin_if_lost", "following", "serve_safely"]

log = logging.getLogger(__name__)


async def _put_in_doubt(confinement: Confinement) -> None:
    count = await confinement.prepare()
    if count:
        log.warning("%d operations were open in the restored store; each is inquired, none is sent again", count)


BEFORE_SERVING: Final[tuple[Callable[[Confinement], Awaitable[None]], ...]] = (_put_in_doubt,)
"""What is done to a restored store before it serves, in this order; each does nothing where nothing was restored."""


async def begin_if_lost(
    configuration: Configuration, store: Store, journal: Journal, clock: Clock, ids: Identifiers
) -> HighWater:
    """Steps 1 to 4. Raises `ConfigurationError`, `StorageError`, `OSError`."""
    high_water = HighWater(configuration.mark, store)
    standing, lost = await high_water.look()
    lost = lost or await _lost_by_the_log(configuration, standing)
    if lost is not None:
        await _begin(standing, lost, store, journal, clock, ids)
    await high_water.write()
    if configuration.audit.publish:
        await _settle_log(configuration, store, journal)
    return high_water


async def _lost_by_the_log(configuration: Configuration, standing: Standing) -> Lost | None:
    """The published log is a mark too, and sometimes a moment ahead of the other."""
    published = await published_number(configuration.log_directory, standing.identity)
    if published <= standing.number:
        return None
    why = f"the store ends at record {standing.number}, the published log at {published}"
    return Lost(why, published, None if standing.last_at is None else standing.last_at - MARGIN)


async def serve_safely(confinement: Confinement) -> None:
    """Step 5, and what the operator must know."""
    await confinement.refresh()
    for step in BEFORE_SERVING:
        await step(confinement)
    for connection, held in confinement.standing().items():
        log.warning("%s is in quarantine: %s; see `lendgate quarantine show`", connection, held[-1].cause)


def following(high_water: HighWater, confinement: Confinement) -> Worker:
    """What keeps the mark up with the store, and sees what other processes began or cleared."""
    return Worker("high-water mark", partial(high_water.run, confinement.refresh), high_water.stop)


async def _begin(
    standing: Standing, lost: Lost, store: Store, journal: Journal, clock: Clock, ids: Identifiers
) -> None:
    now = clock.now()
    quarantine = Quarantine(ids.new("qua"), now, lost.cause, standing.identity, standing.number, lost.mark, lost.since)
    detail: dict[str, Any] = {
        "quarantine": quarantine.id,
        "cause": lost.cause,
        "store": standing.identity,
        "number": standing.number,
        "mark": lost.mark,
        "lost": _range(standing.number, lost.mark),
    }
    record = journal.system(
        what="quarantine", detail={key: value for key, value in detail.items() if value is not None}
    )
    await store.commit([QuarantineBegan(quarantine, secrets.token_hex(16)), Recorded(record)])
    log.error("the gateway starts in quarantine: %s", lost.cause)


def _range(number: int, mark: int | None) -> str | None:
    """The records that are known to be lost; those of the last second before the end may be lost too."""
    return f"{number + 1} to {mark} and later" if mark is not None and mark > number else None


async def _settle_log(configuration: Configuration, store: Store, journal: Journal) -> None:
    closed = await close_if_contradicted(configuration.log_directory, store, await store.standing())
    if closed is None:
        return
    detail = {"size": closed.size, "root": closed.root.hex(), "directory": closed.directory.name}
    await store.commit([Recorded(journal.system(what="log closed", detail=detail))])
    log.error("the published log holds what the store lost: it is closed in %s, and a new one begins", closed.directory)
