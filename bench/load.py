"""The load: a closed loop of callers, each with a connection that it keeps. A process of its own.

Every request has an order number and an Idempotency-Key that were never used before. After `seconds` nobody begins a
new call, and those that run come to their end. Prints one JSON object: answers by status, failures, and latencies.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from bench.loop import new_loop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)

PAYMENT = {
    "connection": "bench",
    "reference": "@",
    "amount": {"amount": "433.00", "currency": "CNY"},
    "method": {"type": "wallet_qr"},
    "description": "Instalment 1 of 3 of a winter coat, bought at the corner shop",
    "links_to": {"loan": "@", "instalment": "1"},
    "payer": {
        "name": "Li Lei",
        "identifiers": [{"scheme": "national_id", "value": "310101199001011237", "country": "CN"}],
    },
    "subject": "person-310101",
    "metadata": {"channel": "counter", "shop": "S-17", "cashier": "C-4"},
}


@dataclass
class Measured:
    """What came back."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    example: str = ""  # of an answer that was no 201


class Caller(asyncio.Protocol):
    """One connection that calls, waits for the whole answer, and calls again."""

    def __init__(self, load: Load, name: str) -> None:
        self._load = load
        self._name = name
        self._count = 0
        self._answer = b""
        self._began = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are not registered as one
        self._call()

    def _call(self) -> None:
        now = time.perf_counter()
        if now >= self._load.until:
            self._transport.close()
            return
        self._count += 1
        self._began = now
        self._transport.write(self._load.request(f"{self._name}-{self._count:06d}"))

    def data_received(self, received: bytes) -> None:
        answer = self._answer + received if self._answer else received
        end = answer.find(b"\r\n\r\n")
        found = LENGTH.search(answer, 0, end + 2) if end >= 0 else None
        if found is None or len(answer) < end + 4 + int(found[1]):
            self._answer = answer
            return
        self._answer = b""
        measured, status = self._load.measured, int(answer[9:12])
        measured.seconds.append(time.perf_counter() - self._began)
        measured.statuses[status] += 1
        if status != 201 and not measured.example:
            measured.example = answer[:600].decode("latin-1")
        self._began = 0.0
        self._call()

    def connection_lost(self, failure: Exception | None) -> None:
        if self._began:
            self._load.measured.failures += 1
        self.done.set_result(None)


class Load:
    """`callers` connections to `port`; `run` names this run in the order numbers."""

    def __init__(self, port: int, run: str, key: str) -> None:
        self.measured = Measured()
        self.until = 0.0
        self._port = port
        self._run = run
        body = json.dumps(PAYMENT).encode()
        # Two places in the body and one in the head are the number of the call, which has always the same length.
        length = len(body) - 2 + 2 * len(self._number("00-000001"))
        head = (
            f"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\nIdempotency-Key: @\r\n\r\n"
        )
        self._parts = [part.encode() for part in (head + body.decode()).split("@")]

    def _number(self, call: str) -> str:
        return f"{self._run}-{call}"

    def request(self, call: str) -> bytes:
        return self._number(call).encode().join(self._parts)

    async def go(self, seconds: float, callers: int) -> Measured:
        loop = asyncio.get_running_loop()
        self.until = time.perf_counter() + seconds
        made = [
            await loop.create_connection(lambda n=n: Caller(self, f"{n:02d}"), "127.0.0.1", self._port)  # type: ignore[misc]
            for n in range(callers)
        ]
        await asyncio.gather(*(caller.done for _, caller in made))
        return self.measured


async def main(arguments: argparse.Namespace) -> None:
    """Run and print what was measured."""
    load = Load(arguments.port, arguments.run, arguments.key)
    began = time.perf_counter()
    measured = await load.go(arguments.seconds, arguments.callers)
    took = time.perf_counter() - began
    ordered = sorted(measured.seconds) or [0.0]
    report = {
        "answers": len(measured.seconds),
        "statuses": {str(status): count for status, count in measured.statuses.items()},
        "failures": measured.failures,
        "example": measured.example,
        "per_second": len(measured.seconds) / took,
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[int(len(ordered) * 0.99)],
        "cpu": time.process_time(),
    }
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--run", required=True, help="names this run in the order numbers")
    options.add_argument("--key", required=True, help="API key")
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--callers", type=int, default=64)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(options.parse_args()))
