"""What goes wrong between the gateway and the bank, drawn by the seed for each request; and the transport that suffers.

Rules
- The transport is the real one down to the socket: proof of the intent, form, host, deadline and `headers_sent` are its
  own code. Only the exchange of bytes is replaced.
- A proxy may repeat or delay what it was given, for less than the settle window; it repeats nothing that the bank would
  execute anew, because no gateway could help that.
- Whoever forges replies cannot sign them. On a way where the channel alone is proof, nobody forges: a proxy can only
  fail there, with a status of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from random import Random

from gateway.model.message import Request
from gateway.wire.connection import Received
from gateway.wire.transport import Transport, TransportFailure, _Progress, _written
from tests.simulation.bank import Bank, Said
from tests.simulation.clock import VirtualClock

__all__ = ["HOST", "SimulatedTransport", "Weather"]

HOST = "127.0.0.1:9"
LIE_CODES = ("PAID", "DECLINED", "LATER", "REFUSED", "TOKEN", "NONE", "EXPIRED")
FAULTS = (
    ("refuse", 3),  # no connection comes about
    ("lose", 3),  # it leaves, and never arrives
    ("deaf", 5),  # it is executed, and the reply is lost
    ("late", 2),  # it arrives when nobody waits any more
    ("slow", 2),  # the reply comes after the deadline
    ("cut", 2),  # half a reply
    ("proxy_before", 2),  # 502 or 503 without passing it on
    ("proxy_after", 3),  # the same after the bank has executed it
    ("lie", 3),  # an unsigned or badly signed reply that says something else
    ("busy", 3),  # the bank's own "not now"
    ("twice", 2),  # delivered twice
)


@dataclass
class Weather:
    """How bad it is. `calm` ends all of it."""

    chance: Random
    bank: Bank
    trace: Callable[[str], None]
    rate: float  # share of requests that something happens to
    down: str | None = None  # an outage: refuse or lose, for everything
    calm: bool = False
    under_way: int = 0  # requests that may still arrive
    faults: dict[str, int] = field(default_factory=dict)

    def draw(self, path: str) -> str:
        """What happens to one request."""
        if self.calm:
            return "none"
        if self.down is not None:
            return self.down
        if self.chance.random() >= self.rate:
            return "none"
        names, weights = zip(*FAULTS, strict=True)
        fault: str = self.chance.choices(names, weights)[0]
        channel = path in ("transfers", "token")
        if channel and fault in ("lie", "twice"):
            return "proxy_after"
        return fault

    def latency(self) -> float:
        return self.chance.choice((0.005, 0.02, 0.02, 0.1, 0.4))


class SimulatedTransport(Transport):
    """The real transport, but for the socket."""

    def __init__(self, connection: str, clock: VirtualClock, weather: Weather) -> None:  # no pool, no TLS
        self._connection = connection
        self._hosts = frozenset({HOST})
        self._clock = clock
        self._plain = False
        self._admitted = set()
        self._weather = weather
        self.sent: Callable[[Request], None] = lambda request: None  # told what leaves, at the moment it does

    async def close(self) -> None:
        """There is no connection to close."""

    async def _exchange(self, request: Request, progress: _Progress) -> Received:
        weather, loop = self._weather, asyncio.get_running_loop()
        path = request.target.split("/")[1]
        fault = weather.draw(path)
        weather.faults[fault] = weather.faults.get(fault, 0) + 1
        await asyncio.sleep(weather.latency() / 4)
        if fault == "refuse":
            raise ConnectionRefusedError
        progress.headers_sent = True
        self.sent(request)
        way = _Way(weather, _written(request, HOST), fault, loop.create_future())
        weather.under_way += 1
        arrives = weather.latency()
        if fault == "late":
            arrives = weather.chance.uniform(11, 30)
        loop.call_later(arrives, way.arrive, context=Context())
        received = await way.reply
        if isinstance(received, Exception):
            raise received
        return received


@dataclass
class _Way:
    """One request between the two."""

    weather: Weather
    raw: bytes
    fault: str
    reply: asyncio.Future[Received | Exception]

    def arrive(self) -> None:
        fault, chance = self.fault, self.weather.chance
        self.weather.under_way -= 1
        said = None
        if fault not in ("lose", "proxy_before", "busy"):
            said = self.weather.bank.handle(self.raw)
        if fault == "twice":
            said = self.weather.bank.handle(self.raw)
        if fault == "busy":
            said = self._busy()
        if fault in ("late", "deaf", "lose"):
            if chance.random() < 0.5:  # otherwise silence, until the gateway's patience ends
                self._back(ConnectionResetError(), 0.01)
            return
        if fault == "cut":
            return self._back(TransportFailure(True, "malformed", "the reply is no HTTP message"), 0.01)
        if fault in ("proxy_before", "proxy_after"):
            said = self._proxy()
        if fault == "lie":
            said = self._lie()
        if said is not None:
            pause = chance.uniform(5, 20) if fault == "slow" else self.weather.latency()
            self._back(Received(said.status, said.headers, said.body), pause)

    def _back(self, received: Received | Exception, pause: float) -> None:
        self.weather.trace(f"  reply {self.fault} {_told(received)}")
        asyncio.get_running_loop().call_later(pause, self._land, received, context=Context())

    def _land(self, received: Received | Exception) -> None:
        if not self.reply.done():
            self.reply.set_result(received)

    def _busy(self) -> Said:
        bank, chance = self.weather.bank, self.weather.chance
        if chance.random() < 0.5:
            return bank.says({"code": "LATER"}, 200)
        return bank.says({"code": "SLOW DOWN"}, *chance.choice(((429,), (503,))), Retry_After="1")

    def _proxy(self) -> Said:
        chance = self.weather.chance
        body = chance.choice((b"<html>Bad Gateway</html>", b'{"code": "LATER"}', b'{"code": "DECLINED"}', b""))
        after = (("Retry-After", "1"),) if chance.random() < 0.5 else ()
        return Said(chance.choice((502, 503, 504)), after, body)

    def _lie(self) -> Said:
        chance = self.weather.chance
        body = b'{"code": "%s"}' % chance.choice(LIE_CODES).encode()
        signature = (("X-Signature", "00" * 32),) if chance.random() < 0.5 else ()
        return Said(chance.choice((200, 200, 401, 403, 429, 503)), signature, body)


def _told(received: Received | Exception) -> str:
    if isinstance(received, Exception):
        return type(received).__name__
    return f"{received.status} {received.body[:60]!r}"
