"""Serves one simulator on a real loopback socket, logs what arrives, and injects the faults that are armed.

Beside the institution's own API each simulator answers under `/_sandbox/`: `ledger`, `requests`, `state` (GET) and
`faults` (GET, POST `{"point": …, "operation": …, "times": …, "skip": …, "seconds": …}`, DELETE) and `notifications`
(POST `{"copies": …, "held": …, "reverse": …}`: send each so often, keep them back, let them go in reverse).
"""

from __future__ import annotations

import asyncio
import json
import socket
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiohttp import web

from gateway.model.clock import Clock
from gateway.sandbox.certificates import server_context
from gateway.sandbox.faults import Fault, Point
from gateway.sandbox.ledger import Arrival, digest
from gateway.sandbox.notifications import Notifier
from gateway.sandbox.simulator import Onboarding, Simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

__all__ = ["Running", "serve"]

S = TypeVar("S", bound=Simulator)

LARGEST_REQUEST_BYTES = 4 * 1024 * 1024


class Running(Generic[S]):
    """A simulator that is being served; as an async context manager it stops at the end."""

    def __init__(self, simulator: S, onboarding: Onboarding, runner: web.AppRunner) -> None:
        self.simulator = simulator
        self.onboarding = onboarding
        self._runner = runner

    @property
    def url(self) -> str:
        return self.simulator.url

    async def stop(self) -> None:
        await self.simulator.close()
        await self._runner.cleanup()

    async def __aenter__(self) -> Running[S]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def serve(kind: type[S], directory: Path, *, port: int = 0, clock: Clock | None = None) -> Running[S]:
    """Onboard and serve `kind` on 127.0.0.1; port 0 takes a free one. Keys go to `directory`.

    Raises `OSError` if the port is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    scheme = "https" if kind.tls else "http"
    url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    directory.mkdir(parents=True, exist_ok=True)
    onboarding = await asyncio.to_thread(kind.onboard, directory, url)
    simulator = kind(directory, url, clock)
    app = web.Application(middlewares=[_gate(simulator)], client_max_size=LARGEST_REQUEST_BYTES)
    app.add_routes([*simulator.routes(), *_control(simulator)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    context = server_context(directory, client_certificates=kind.client_certificates) if kind.tls else None
    await web.SockSite(runner, listener, ssl_context=context).start()
    return Running(simulator, onboarding, runner)


def _gate(simulator: Simulator) -> Any:
    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/_sandbox/"):
            return await handler(request)
        body = await request.read()
        operation = simulator.operation(request, body)
        seal = digest(request.method, request.raw_path, body)
        simulator.ledger.arrivals.append(
            Arrival(operation, request.method, request.raw_path, seal, simulator.clock.now())
        )
        fault = simulator.faults.strike(operation)
        if fault is None:
            return await handler(request)
        return await _struck(fault, request, handler, simulator.clock)

    return gate


async def _struck(fault: Fault, request: web.Request, handler: Handler, clock: Clock) -> web.StreamResponse:
    """Let the institution act or not, and then misbehave as the fault says."""
    match fault.point:
        case Point.CLOSE_BEFORE:
            return _drop(request)
        case Point.BAD_GATEWAY_BEFORE:
            return _bad_gateway()
        case Point.BUSY:
            return web.Response(status=429, headers={"Retry-After": "1"}, text="slow down")
        case Point.DELAY_BEFORE:
            await clock.sleep(fault.seconds)
            return await handler(request)
    reply = await handler(request)
    payload = reply.body if isinstance(reply, web.Response) and isinstance(reply.body, bytes) else b""
    match fault.point:
        case Point.CLOSE_AFTER:
            return _drop(request)
        case Point.BAD_GATEWAY_AFTER:
            return _bad_gateway()
        case Point.DELAY_AFTER:
            await clock.sleep(fault.seconds)
        case Point.TRUNCATE:
            half = web.StreamResponse(status=reply.status, headers={"Content-Length": str(len(payload) or 100)})
            await half.prepare(request)
            await half.write(payload[: len(payload) // 2])
            return _drop(request)
        case Point.GARBAGE:
            if request.transport is not None:
                request.transport.write(b"\x15\x03not http\r\n\r\n")
            return _drop(request)
        case Point.TAMPER:
            middle = len(payload) // 2
            headers = {k: v for k, v in reply.headers.items() if k.lower() != "content-length"}
            flipped = payload[:middle] + bytes([payload[middle] ^ 1]) + payload[middle + 1 :] if payload else b"x"
            return web.Response(status=reply.status, body=flipped, headers=headers)
    return reply


def _drop(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


def _bad_gateway() -> web.Response:
    return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")


def _control(simulator: Simulator) -> list[web.RouteDef]:
    def answer(value: Any) -> web.Response:
        return web.Response(text=json.dumps(value, default=str, ensure_ascii=False), content_type="application/json")

    async def ledger(request: web.Request) -> web.Response:
        return answer([asdict(effect) for effect in simulator.ledger.effects])

    async def requests(request: web.Request) -> web.Response:
        return answer([asdict(arrival) for arrival in simulator.ledger.arrivals])

    async def state(request: web.Request) -> web.Response:
        return answer(simulator.state())

    async def armed(request: web.Request) -> web.Response:
        return answer([asdict(fault) for fault in simulator.faults.armed])

    async def arm(request: web.Request) -> web.Response:
        try:
            wanted = await request.json()
            simulator.faults.arm(Point(wanted.pop("point")), wanted.pop("operation", "*"), **wanted)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            points = ", ".join(Point)
            return web.Response(status=422, text=f"not a fault: {wrong}; point is one of {points}\n")
        return await armed(request)

    async def clear(request: web.Request) -> web.Response:
        simulator.faults.clear()
        return await armed(request)

    async def notifications(request: web.Request) -> web.Response:
        notifier = getattr(simulator, "notifier", None)
        if not isinstance(notifier, Notifier):
            return web.Response(status=404, text=f"{simulator.name} sends no notifications\n")
        wanted = await request.json()
        notifier.copies = int(wanted.get("copies", notifier.copies))
        notifier.held = bool(wanted.get("held", notifier.held))
        if not notifier.held:
            notifier.release(reverse=bool(wanted.get("reverse")))
        return answer({"copies": notifier.copies, "held": notifier.held})

    return [
        web.post("/_sandbox/notifications", notifications),
        web.get("/_sandbox/ledger", ledger),
        web.get("/_sandbox/requests", requests),
        web.get("/_sandbox/state", state),
        web.get("/_sandbox/faults", armed),
        web.post("/_sandbox/faults", arm),
        web.delete("/_sandbox/faults", clear),
    ]
