"""Runs the API on a socket: limits on what a connection may cost, and an end that loses no call.

At the end, in this order
  1. nobody is accepted any more, and long polls are answered
  2. the engine takes no new calls; those that run come to their end, for at most `DRAIN`
  3. connections are closed
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from aiohttp import http_parser, web
from aiohttp.http_exceptions import HttpProcessingError

from gateway.api.app import CONTEXT, create_app
from gateway.crypto.seal import Sealer
from gateway.model.problems import ConfigurationError
from gateway.service.gateway import Gateway

__all__ = ["LIMITS", "Limits", "runner_of", "serve"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may cost. Seconds and bytes."""

    idle_seconds: float = 15.0
    """Until the next request's headers are complete, on a new connection and on one that is kept alive."""

    line_bytes: int = 8 * 1024
    """The request line, and each header."""

    headers: int = 64

    lingering_seconds: float = 2.0
    """How long the rest of a body is read after its call was answered."""

    backlog: int = 1024

    drain: timedelta = timedelta(seconds=30)
    """For calls that run when the end begins: a little longer than the deadline of a verb."""


LIMITS: Final = Limits()


async def serve(
    gateway: Gateway,
    host: str,
    port: int,
    *,
    ready: Callable[[str], None] | None = None,
    sealer: Sealer | None = None,
    stop: asyncio.Event | None = None,
    limits: Limits = LIMITS,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`; `ready` gets the address, with the port that was taken.

    Raises `ConfigurationError` on a runtime that is not safe to serve from, `OSError` if the port is taken, and
    `StorageError` after the store has failed: then nothing may be promised, and the process must end.
    """
    refuse_weak_runtime()
    app = create_app(gateway, sealer=sealer)
    context = app[CONTEXT]
    runner = runner_of(app, limits)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=limits.backlog)
        await site.start()
        if ready is not None:
            ready(_address(runner))
        await _until_told(stop or asyncio.Event(), context.fatal)
        log.info("shutting down: no new calls, at most %s for those that run", limits.drain)
        # 1.
        await site.stop()
        context.news.close()
        # 2.
        await gateway.engine.drain(limits.drain)
    finally:
        # 3.
        context.news.close()
        await runner.cleanup()
    if context.failure is not None:
        raise context.failure


def refuse_weak_runtime() -> None:
    """Most request-smuggling flaws live in the parser written in Python, and `python -O` drops its checks."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigurationError(
            "aiohttp runs without its C parser: unset AIOHTTP_NO_EXTENSIONS, or install a wheel for this platform"
        )
    if sys.flags.optimize:
        raise ConfigurationError("python -O drops checks that the server relies on: start it without -O")


def runner_of(app: web.Application, limits: Limits = LIMITS) -> web.AppRunner:
    """A runner that keeps the limits. A caller who hangs up cancels nothing: handlers run to their end."""
    return web.AppRunner(
        app,
        access_log=None,
        logger=_protocol_log(),
        keepalive_timeout=limits.idle_seconds,
        lingering_time=limits.lingering_seconds,
        max_line_size=limits.line_bytes,
        max_field_size=limits.line_bytes,
        max_headers=limits.headers,
        auto_decompress=False,
        handler_cancellation=False,
        shutdown_timeout=limits.drain.total_seconds(),
    )


def _protocol_log() -> logging.Logger:
    """aiohttp logs what it could not parse, with the bytes: those may hold a key. Only that it happened is kept."""
    protocol = logging.getLogger("gateway.api.protocol")
    if not any(isinstance(one, _WithoutBytes) for one in protocol.filters):
        protocol.addFilter(_WithoutBytes())
    return protocol


class _WithoutBytes(logging.Filter):
    """Lets no exception of the parser through."""

    def filter(self, record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        return not isinstance(raised, HttpProcessingError)


def _address(runner: web.AppRunner) -> str:
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _until_told(stop: asyncio.Event, fatal: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    taken = []
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop.set)
            taken.append(number)
        except (NotImplementedError, RuntimeError, ValueError):  # not in the main thread, or not on this platform
            break
    waiting = [asyncio.create_task(event.wait()) for event in (stop, fatal)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        for number in taken:
            loop.remove_signal_handler(number)
