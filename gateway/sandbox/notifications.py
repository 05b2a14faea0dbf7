"""The callbacks that a simulated institution sends, with its own rhythm of repetition."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import aiohttp

from gateway.model.clock import Clock

__all__ = ["Notification", "Notifier"]


@dataclass(slots=True)
class Notification:
    """One message to the gateway and what became of it."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    answers: list[tuple[int, bytes]] = field(default_factory=list)  # status 0: no answer
    accepted: bool = False


class Notifier:
    """Sends messages until `accepted(status, body)` says that the receiver has taken them.

    A test may set `held` to keep messages back until `release`, and `copies` to have each sent more than once.
    """

    def __init__(
        self, clock: Clock, accepted: Callable[[int, bytes], bool], delays: Sequence[float] = (1, 2, 5, 10, 30)
    ) -> None:
        self.sent: list[Notification] = []
        self.waiting: list[Notification] = []
        self.held = False
        self.copies = 1
        self._clock = clock
        self._accepted = accepted
        self._delays = delays
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Notification:
        """Queue one message; it leaves at once unless messages are held."""
        message = Notification(url, body, headers)
        self.sent.append(message)
        if self.held:
            self.waiting.append(message)
        else:
            self._start(message)
        return message

    def release(self, *, reverse: bool = False) -> None:
        """Let the held messages go, in order or in reverse."""
        waiting, self.waiting = self.waiting, []
        for message in reversed(waiting) if reverse else waiting:
            self._start(message)

    async def settled(self) -> None:
        """Wait until no message is under way."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, message: Notification) -> None:
        for _ in range(self.copies):
            task = asyncio.create_task(self._deliver(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, message: Notification) -> None:
        async with aiohttp.ClientSession(trust_env=False) as session:
            for delay in (*self._delays, None):
                status, body = 0, b""
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.post(
                        message.url,
                        data=message.body,
                        headers=message.headers,
                        timeout=aiohttp.ClientTimeout(total=10),
                        ssl=False,
                    ) as reply:
                        status, body = reply.status, await reply.read()
                message.answers.append((status, body))
                if self._accepted(status, body):
                    message.accepted = True
                    return
                if delay is not None:
                    await self._clock.sleep(delay)
