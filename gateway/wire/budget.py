"""The retry budget of one connection: when many calls fail, sending more of them is what must not be done.

The token bucket of gRPC proposal A6: it starts full, each failure takes a token, each success gives a tenth back, and
nothing is repeated while no more than half of the tokens are there.
"""

from __future__ import annotations

from typing import Final

from gateway.wire.observed import Observed

__all__ = ["FAILURES", "Budget"]

FAILURES: Final = frozenset({Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN, Observed.BUSY})


class Budget:
    """Counts attempts of all verbs of a connection together."""

    def __init__(self, tokens: float = 10.0, success_gives: float = 0.1) -> None:
        self._most = tokens
        self._gives = success_gives
        self._tokens = tokens

    @property
    def allows_retry(self) -> bool:
        return self._tokens > self._most / 2

    def record(self, observed: Observed) -> None:
        """Take the end of one attempt into account."""
        if observed in FAILURES:
            self._tokens = max(0.0, self._tokens - 1.0)
        else:
            self._tokens = min(self._most, self._tokens + self._gives)

    def describe(self) -> dict[str, object]:
        """For people and metrics."""
        return {"tokens": round(self._tokens, 1), "of": self._most, "allows_retry": self.allows_retry}
