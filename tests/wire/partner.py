"""A partner on a real socket that misbehaves as it is told, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True)
class Arrival:
    """A request as it came: its head split, its body exact."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Behaviour = Callable[[asyncio.StreamWriter, Arrival], Awaitable[None]]


class Partner:
    """Answers its n-th request with the n-th behaviour; the last one repeats. `arrivals` is all that came."""

    def __init__(
        self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None, on_connect: Behaviour | None = None
    ) -> None:
        self._behaviours = behaviours
        self._tls = tls
        self._on_connect = on_connect
        self.arrivals: list[Arrival] = []
        self.connections = 0
        self._came = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Partner:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/payments", scheme: str = "http") -> str:
        return f"{scheme}://{self.host}{path}"

    async def arrived(self, count: int = 1) -> None:
        """Until that many requests are here."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.arrivals) >= count)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            if self._on_connect is not None:
                await self._on_connect(writer, Arrival("", "", (), b""))
            while not writer.is_closing():
                arrival = await read_request(reader)
                async with self._came:
                    self.arrivals.append(arrival)
                    self._came.notify_all()
                number = min(len(self.arrivals), len(self._behaviours))
                await self._behaviours[number - 1](writer, arrival)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the gateway hung up, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(Exception):
                await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> Arrival:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head[:-4].split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
    return Arrival(method, target, headers, await reader.readexactly(length))


def answer(body: bytes | str = b"{}", status: int = 200, **headers: str) -> Behaviour:
    """A whole reply; underscores in the names of `headers` stand for hyphens."""
    raw = body.encode() if isinstance(body, str) else body

    async def behave(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        writer.write(reply_bytes(raw, status, **headers))
        await writer.drain()

    return behave


def reply_bytes(body: bytes, status: int = 200, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body


def raw(data: bytes, *, close: bool = True) -> Behaviour:
    """Bytes as they are, then the end of the connection."""

    async def behave(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        if close:
            writer.close()

    return behave


async def close(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
    """End the connection in order."""
    writer.close()


async def reset(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
    """End the connection by RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def silence(writer: asyncio.StreamWriter, arrival: Arrival) -> None:
    """Say nothing and keep the connection."""
    await asyncio.Event().wait()


def unused_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
