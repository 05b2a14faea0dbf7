"""Transports for a test, and what comes of sending by them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.model.clock import SystemClock
from gateway.model.message import Reply, Request
from gateway.store.interface import Draft, Row
from gateway.store.work import Durable, Work
from gateway.wire.observed import Observed, Seen, classify
from gateway.wire.transport import TLS, Transport, TransportFailure, digest


class Sink:
    """A store that takes every row: here only what is proven by a commit matters."""

    async def commit(self, rows: Sequence[Row]) -> None: ...


async def durable(request: Request, of: str | None = None) -> Durable:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    draft = Draft("rec_1", "op_1", "shop", "intent", at, lambda *_: (b"", ""), digest=of or digest(request))
    return await Work(Sink()).intend(draft)  # type: ignore[arg-type]  # it needs no more of a store than `commit`


class Way:
    """Transports that are closed at the end of the test."""

    def __init__(self) -> None:
        self._opened: list[Transport] = []

    def to(self, *hosts: str, tls: TLS | None = None, **settings: Any) -> Transport:
        transport = Transport("riverbank-main", hosts, SystemClock(), tls=tls, **settings)
        self._opened.append(transport)
        return transport

    async def close(self) -> None:
        for transport in self._opened:
            await transport.close()


async def send(transport: Transport, request: Request, seconds: float = 5) -> Reply:
    transport.admit(request)
    return await transport.send(request, await durable(request), seconds)


async def failure(transport: Transport, request: Request, seconds: float = 5) -> tuple[bool, str, Observed]:
    with pytest.raises(TransportFailure) as caught:
        await send(transport, request, seconds)
    seen = Seen(caught.value.headers_sent, caught.value.kind)
    return caught.value.headers_sent, caught.value.kind, classify(seen)
