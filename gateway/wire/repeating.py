"""Sends again where the table says so: within the attempts, the retry budget and the time that a call has.

Rules
- The first attempt runs bare; tenacity takes over only when the table says RETRY or RENEW, because its machinery costs
  more than most calls spend on everything else here.
- The predicate is a positive list over what was observed. An exception, cancellation above all, is never retried.
- A pause is full jitter, and never shorter than the partner's Retry-After. What would not leave time for an attempt is
  not begun.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from gateway.model.clock import Clock
from gateway.wire.budget import Budget
from gateway.wire.exchange import Attempt
from gateway.wire.retry import Decision, Pace, Repeat, backoff, decide

__all__ = ["Call", "Repeater"]


@dataclass(frozen=True, slots=True)
class Call:
    """What is repeated: `once_more` makes one attempt, given the one before; `repeat` is how often the partner may
    execute it, asked anew each time, because a key's life can end in between."""

    once_more: Callable[[Attempt | None], Awaitable[Attempt]]
    repeat: Callable[[], Repeat]
    deadline: float


class Repeater:
    """Runs attempts for one connection. `chance` draws from [0, 1)."""

    def __init__(self, pace: Pace, budget: Budget, clock: Clock, chance: Callable[[], float]) -> None:
        self.pace = pace
        self._budget = budget
        self._clock = clock
        self._chance = chance

    async def run(self, call: Call) -> Attempt:
        """The last attempt that was made. Raises what an attempt raises."""
        first = await self._counted(call, None)
        if decide(call.repeat(), first.observed) is Decision.STOP:
            return first
        return await self._again(call, first)

    async def _again(self, call: Call, first: Attempt) -> Attempt:
        made = [first]
        waiting = [first]

        async def attempt() -> Attempt:
            if waiting:
                return waiting.pop()  # the attempt that ran bare counts as tenacity's first
            made.append(await self._counted(call, made[-1]))
            return made[-1]

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda last: decide(call.repeat(), last.observed) is not Decision.STOP),
            wait=lambda state: self._pause(call, state, made[-1]),
            stop=lambda state: self._enough(call, state, made[-1]),
            sleep=self._clock.sleep,
            retry_error_callback=lambda state: made[-1],
        )
        last: Attempt = await retrying(attempt)
        return last

    async def _counted(self, call: Call, before: Attempt | None) -> Attempt:
        attempt = await call.once_more(before)
        self._budget.record(attempt.observed)
        return attempt

    def _pause(self, call: Call, state: RetryCallState, last: Attempt) -> float:
        if decide(call.repeat(), last.observed) is Decision.RENEW:
            return 0.0
        return backoff(self.pace, state.attempt_number, self._chance(), last.retry_after)

    def _enough(self, call: Call, state: RetryCallState, last: Attempt) -> bool:
        if state.attempt_number >= self.pace.attempts:
            return True
        left = call.deadline - self._clock.monotonic() - state.upcoming_sleep
        if left < self.pace.shortest_seconds:
            return True
        return not self._budget.allows_retry and decide(call.repeat(), last.observed) is Decision.RETRY
