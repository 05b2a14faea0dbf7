"""How many sends of a verb may be under way at once, and how many may wait for that: what is more is refused.

Rules
- Each verb of a connection has its own room, so that a rush of one (balances) never stands in front of another
  (inquiries about money).
- First come, first served. Whoever is cancelled or runs out of time while waiting, passes the place on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from gateway.model.problems import NotSent

__all__ = ["Limit"]


@dataclass(slots=True)
class _Room:
    inside: int = 0
    queue: deque[asyncio.Future[None]] = field(default_factory=deque)


class Limit:
    """Bounds sends of one connection. `connection` names it in messages."""

    def __init__(self, connection: str, *, at_once: int = 64, waiting: int = 256) -> None:
        self._connection = connection
        self._at_once = at_once
        self._waiting = waiting
        self._rooms: dict[str, _Room] = {}

    async def enter(self, verb: str, patience_seconds: float) -> None:
        """Take a place, which `leave` must give back. Raises `NotSent` if too many wait or the time runs out."""
        room = self._rooms.get(verb)
        if room is None:
            room = self._rooms[verb] = _Room()
        if room.inside < self._at_once:
            room.inside += 1
            return
        if len(room.queue) >= self._waiting:
            raise NotSent(
                f"{self._connection} has {room.inside} calls of {verb} under way and {len(room.queue)} waiting; "
                "try again later"
            )
        await self._queue(verb, room, patience_seconds)

    def leave(self, verb: str) -> None:
        """Give the place back, to the one who has waited longest."""
        room = self._rooms[verb]
        if room.queue:
            room.queue.popleft().set_result(None)
        else:
            room.inside -= 1

    def describe(self) -> dict[str, object]:
        """For people and metrics."""
        return {
            verb: {"under_way": room.inside, "waiting": len(room.queue), "at_once": self._at_once}
            for verb, room in self._rooms.items()
        }

    async def _queue(self, verb: str, room: _Room, patience_seconds: float) -> None:
        place = asyncio.get_running_loop().create_future()
        room.queue.append(place)
        try:
            await asyncio.wait({place}, timeout=max(0.0, patience_seconds))
        except asyncio.CancelledError:
            if not place.cancel():
                self.leave(verb)  # the place was given to us just now
            raise
        finally:
            if place in room.queue:
                room.queue.remove(place)
        if place.cancel():
            raise NotSent(f"{self._connection} is busy with other calls of {verb}; try again later")
