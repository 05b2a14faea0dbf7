"""One kept connection to a partner's server, and the pool of them.

Rules of this module
- One request in, one reply out, one at a time. Nothing is repeated here; a connection on which anything went wrong, or
  on which bytes came that nobody had asked for, is not used again.
- Replies are read by the C parser that aiohttp has, whole and up to a length; its client is not used, because its
  session costs several times what all the rest of a send does.
- Whoever sends sets `headers_sent` itself, between the last wait and `exchange`: that writes at once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpResponseParser

from gateway.model.message import Headers
from gateway.model.problems import GatewayError
from gateway.wire.addresses import Judge, lookup

__all__ = ["Connection", "Pool", "Received", "Server", "TransportFailure"]

HEADER_BYTES_AT_MOST: Final = 8190  # of one line of a reply
HEADERS_AT_MOST: Final = 128
CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 4.0
"""How long a connection is kept unused: less than servers usually wait, so that it rarely ends under a new request."""

INTERIM: Final = range(100, 200)
SWITCHING_PROTOCOLS: Final = 101


class TransportFailure(GatewayError):
    """No complete reply came. `headers_sent` False: nothing left this machine. `kind` is one word for what happened."""

    def __init__(self, headers_sent: bool, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.headers_sent = headers_sent
        self.kind = kind
        self.detail = detail


class Server(NamedTuple):
    """Where connections lead. `tls` None: in the clear; after a renewal it is another server."""

    host: str
    port: int
    tls: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class Received:
    """A whole reply."""

    status: int
    headers: Headers
    body: bytes


class Connection(BaseProtocol):
    """One connection to `server`. `usable`: another request may be sent by it."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop, reply_bytes_at_most: int) -> None:
        super().__init__(loop)
        self.server = server
        self.usable = True
        self.idle_since = 0.0
        self._most = reply_bytes_at_most
        self._waiting: asyncio.Future[Received] | None = None
        self._head: Any = None
        self._payload: Any = None
        self._body = bytearray()
        self._replies: HttpResponseParser = HttpResponseParser(
            self,
            loop,
            reply_bytes_at_most,  # the parser never pauses before the reply is too long
            max_line_size=HEADER_BYTES_AT_MOST,
            max_field_size=HEADER_BYTES_AT_MOST,
            max_headers=HEADERS_AT_MOST,
            read_until_eof=True,
            auto_decompress=False,
        )

    async def exchange(self, request: bytes) -> Received:
        """Write `request` at once, and wait for the reply. Raises `TransportFailure`."""
        assert self.transport is not None
        self._waiting = self._loop.create_future()
        self._head, self._payload, self._body = None, None, bytearray()
        self.transport.write(request)
        try:
            return await self._waiting
        finally:
            self._waiting = None

    def abort(self) -> None:
        """Drop it now."""
        self.usable = False
        if self.transport is not None:
            self.transport.abort()

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        if self._waiting is None or self._waiting.done():
            self.abort()  # an answer to nothing
            return
        try:
            messages, switched, rest = self._replies.feed_data(data)
            for head, payload in messages:
                if head.code in INTERIM and head.code != SWITCHING_PROTOCOLS:
                    continue
                if self._head is not None:
                    self.usable = False  # a second answer to one question
                    break
                self._head, self._payload = head, payload
            if switched:
                self._fail("malformed", "what came back is no HTTP reply (another protocol)")
            elif self._head is not None:
                self.usable = self.usable and not rest
                self._read()
        except HttpProcessingError as wrong:
            self._fail("malformed", f"what came back is no HTTP reply ({type(wrong).__name__})")

    def connection_lost(self, failure: BaseException | None) -> None:
        super().connection_lost(failure)
        self.usable = False
        if self._waiting is None or self._waiting.done():
            return
        try:
            self._replies.feed_eof()
            if self._head is not None:
                self._read()  # a body without a length ends with its connection
        except Exception as wrong:  # noqa: BLE001 - whatever the parser raises: the reply is not whole
            if self._head is not None:
                self._fail("truncated", f"the connection ended in the middle of the reply ({type(wrong).__name__})")
        if isinstance(failure, ssl.SSLError):
            self._fail("tls", f"TLS failed ({type(failure).__name__})")
        elif failure is not None:
            self._fail("reset", f"the connection broke ({type(failure).__name__})")
        else:
            self._fail("disconnected", "the connection ended before a reply came")

    # What the parser's body calls to hold the other side back. It never must, since every piece is taken at once.

    def pause_reading(self) -> None: ...

    def resume_reading(self, resume_parser: bool = True) -> None: ...

    def _read(self) -> None:
        """Take what there is of the body; the reply is ready when that was the last of it."""
        self._body += self._payload.read_nowait(-1)
        if len(self._body) > self._most:
            self._fail("too_large", f"the reply is longer than {self._most} bytes")
        elif self._payload.is_eof() and self._waiting is not None and not self._waiting.done():
            self.usable = self.usable and not self._head.should_close
            self._waiting.set_result(Received(self._head.code, tuple(self._head.headers.items()), bytes(self._body)))

    def _fail(self, kind: str, detail: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(TransportFailure(True, kind, detail))
        self.abort()


@dataclass(slots=True)
class Pool:
    """Connections that are kept, at most `at_most` of them with those in use.

    `allowed`: which addresses a name may lead to, where the name came from somebody else.
    """

    at_most: int
    reply_bytes_at_most: int
    allowed: Judge | None = None
    closed: bool = False
    _idle: dict[Server, deque[Connection]] = field(default_factory=dict)
    _all: set[Connection] = field(default_factory=set)
    _room: asyncio.Semaphore = field(init=False)
    _sweeping: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.at_most)

    async def take(self, server: Server) -> Connection:
        """A connection that nobody else has; `put` must give it back. Raises `OSError`, `TimeoutError`, `SSLError`."""
        await self._room.acquire()
        try:
            return self._kept(server) or await self._connect(server)
        except BaseException:
            self._room.release()
            raise

    def put(self, connection: Connection) -> None:
        """Give it back, to be kept if it is usable."""
        self._room.release()
        if not connection.usable or self.closed:
            self._all.discard(connection)
            connection.abort()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        self._idle.setdefault(connection.server, deque()).append(connection)
        if self._sweeping is None:
            self._sweeping = loop.call_later(IDLE_SECONDS, self._sweep)

    def close(self) -> None:
        """Drop them all. What is under way fails."""
        self.closed = True
        for connection in self._all:
            connection.abort()
        self._all.clear()
        self._idle.clear()
        if self._sweeping is not None:
            self._sweeping.cancel()

    def _kept(self, server: Server) -> Connection | None:
        """The one that was used last, if it is still good."""
        idle = self._idle.get(server)
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while idle:
            connection = idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            self._all.discard(connection)
            connection.abort()
        return None

    async def _connect(self, server: Server) -> Connection:
        async with asyncio.timeout(CONNECT_SECONDS):
            if self.allowed is None:
                connection = await self._connect_to(server, server.host)
            else:
                connection = await self._connect_to_allowed(server, self.allowed)
        self._all.add(connection)
        return connection

    async def _connect_to_allowed(self, server: Server, allowed: Judge) -> Connection:
        """To an address that was judged, so that a second look at the name cannot lead elsewhere."""
        *others, last = await lookup(server.host, server.port, allowed)
        for address in others:
            try:
                return await self._connect_to(server, address)
            except OSError:
                continue
        return await self._connect_to(server, last)

    async def _connect_to(self, server: Server, host: str) -> Connection:
        loop = asyncio.get_running_loop()
        # asyncio's own loop tries the next address while one is slow (RFC 8305); uvloop tries one after the other.
        apart: dict[str, Any] = {"happy_eyeballs_delay": 0.25} if isinstance(loop, asyncio.BaseEventLoop) else {}
        _, connection = await loop.create_connection(
            lambda: Connection(server, loop, self.reply_bytes_at_most),
            host,
            server.port,
            ssl=server.tls,
            server_hostname=server.host if server.tls else None,
            **apart,
        )
        return connection

    def _sweep(self) -> None:
        """Drop what has been idle for too long."""
        loop, self._sweeping = asyncio.get_running_loop(), None
        oldest = loop.time() - IDLE_SECONDS
        for server, idle in tuple(self._idle.items()):
            while idle and idle[0].idle_since <= oldest:
                connection = idle.popleft()
                self._all.discard(connection)
                connection.abort()
            if not idle:
                del self._idle[server]
        if self._idle:
            self._sweeping = loop.call_later(IDLE_SECONDS / 2, self._sweep)
