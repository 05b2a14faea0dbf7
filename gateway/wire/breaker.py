"""The circuit breaker of one connection, verb by verb: what fails again and again is not asked for a while.

Rules
- It counts sends, not attempts: `admit` before, `record` after, in every case. Five failures among a verb's last ten
  sends open it. NOT_SENT, SILENCE and UNPROVEN are failures; a genuine "no" or "not now" is a sign of life.
- After `rest_seconds` it is half open and lets one question through at a time. Acts are no probes: a question that is
  answered, on any verb of the connection, closes what has rested.
- Where nobody asks anything (refused sends leave no doubt that would have to be inquired about), one act at a time may
  try after `patience_seconds`; a connection must not stay closed for ever.
- What was closed again is on probation: one more failure opens it, until successes have pushed the old ones out.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gateway.model.clock import Clock
from gateway.model.problems import NotSent
from gateway.wire.observed import Observed

__all__ = ["Breaker"]

log = logging.getLogger(__name__)

WINDOW: Final = 10
FAILURES_AT_MOST: Final = 5
FAILED: Final = frozenset({Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN})


@dataclass(slots=True)
class _Lane:
    """One verb. `opened_at` None: closed."""

    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))  # True: it failed
    opened_at: float | None = None
    probing: bool = False


class Breaker:
    """Says whether a verb may be sent now. `connection` names it in messages."""

    def __init__(
        self, connection: str, clock: Clock, *, rest_seconds: float = 10.0, patience_seconds: float = 30.0
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._rest = rest_seconds
        self._patience = patience_seconds
        self._lanes: dict[str, _Lane] = {}

    def admit(self, verb: str, *, effect: bool) -> None:
        """Let one send through, or raise `NotSent`."""
        lane = self._lanes.get(verb)
        if lane is None or lane.opened_at is None:
            return
        rested = self._clock.monotonic() - lane.opened_at
        enough = self._patience if effect else self._rest
        if rested >= enough and not lane.probing:
            lane.probing = True
            return
        seconds = max(1, round(enough - rested))
        raise NotSent(
            f"{self._connection} failed again and again at {verb}, so it is left alone; try again in {seconds} s"
        )

    def record(self, verb: str, observed: Observed | None, *, effect: bool) -> None:
        """What became of an admitted send; None: it ended before anything could be observed."""
        lane = self._lanes.get(verb)
        if lane is None:
            lane = self._lanes[verb] = _Lane()
        probe, lane.probing = lane.probing, False
        if observed is None:
            return
        failed = observed in FAILED
        if lane.opened_at is None:
            lane.recent.append(failed)
            if failed and sum(lane.recent) >= FAILURES_AT_MOST:
                self._open(verb, lane)
        elif probe and failed:
            self._open(verb, lane)
        elif probe:
            self._close(verb, lane)
        if not failed and not effect:
            self._close_rested()

    def state(self, verb: str) -> str:
        """`closed`, `open` or `half_open`."""
        lane = self._lanes.get(verb)
        if lane is None or lane.opened_at is None:
            return "closed"
        return "half_open" if self._rested(lane) else "open"

    def describe(self) -> dict[str, object]:
        """For people and metrics: state and recent failures of each verb that was ever sent."""
        return {
            verb: {"state": self.state(verb), "failed": sum(lane.recent), "of": len(lane.recent)}
            for verb, lane in self._lanes.items()
        }

    def _rested(self, lane: _Lane) -> bool:
        return lane.opened_at is not None and self._clock.monotonic() - lane.opened_at >= self._rest

    def _close_rested(self) -> None:
        for verb, lane in self._lanes.items():
            if self._rested(lane):
                self._close(verb, lane)

    def _open(self, verb: str, lane: _Lane) -> None:
        lane.opened_at = self._clock.monotonic()
        log.warning("%s: %s is left alone for %s s, it failed again and again", self._connection, verb, self._rest)

    def _close(self, verb: str, lane: _Lane) -> None:
        lane.opened_at = None
        lane.recent.clear()
        lane.recent.extend([True] * (FAILURES_AT_MOST - 1))
        log.info("%s: %s is sent again", self._connection, verb)
