"""Serving: the way up, the way down without losing a call, and a store that fails."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import http_parser

from gateway.api.serve import Limits, serve
from gateway.model.problems import ConfigurationError, StorageError
from gateway.sandbox import Point
from gateway.service.gateway import Gateway
from tests.api.house import KEYS, opened, payment

LIMITS = Limits(drain=timedelta(seconds=5))


@asynccontextmanager
async def served(gateway: Gateway, stop: asyncio.Event) -> AsyncIterator[tuple[asyncio.Task[None], str]]:
    """A gateway that is being served, and its address."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(gateway, "127.0.0.1", 0, ready=address.set_result, stop=stop, limits=LIMITS))
    try:
        yield task, await asyncio.wait_for(address, 10)
    finally:
        stop.set()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stop_lets_the_calls_that_run_come_to_their_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as (gateway, banks), aiohttp.ClientSession() as session:
        banks["riverbank"].simulator.faults.arm(Point.DELAY_BEFORE, "POST payments", seconds=0.4)
        stop = asyncio.Event()
        async with served(gateway, stop) as (task, url):
            call = asyncio.create_task(act(session, url))
            await arrived(banks["riverbank"].simulator)
            stop.set()

            status, body = await call

            await asyncio.wait_for(task, 10)
            assert (status, body["state"]) == (201, "succeeded")
            with pytest.raises(aiohttp.ClientConnectorError):
                await act(session, url)


async def test_sigterm_is_a_stop(tmp_path: Path) -> None:
    async with opened(tmp_path) as (gateway, _), served(gateway, asyncio.Event()) as (task, _):
        os.kill(os.getpid(), signal.SIGTERM)

        await asyncio.wait_for(task, 10)


async def test_a_store_that_fails_ends_the_process_and_promises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*arguments: object) -> None:
        raise StorageError("the disk is full")

    async with opened(tmp_path) as (gateway, banks), aiohttp.ClientSession() as session:
        async with served(gateway, asyncio.Event()) as (task, url):
            monkeypatch.setattr(type(gateway.store), "commit", broken)

            status, body = await act(session, url)

            with pytest.raises(StorageError, match="the disk is full"):
                await asyncio.wait_for(task, 10)
        assert (status, body["type"]) == (503, "/problems/storage_failed")
        assert (body["outcome"], body["retry"]) == ("unknown", "same_key")
        assert banks["riverbank"].simulator.ledger.arrivals == []


async def test_nobody_serves_with_the_parser_that_is_written_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)

    async with opened(tmp_path) as (gateway, _):
        with pytest.raises(ConfigurationError, match="AIOHTTP_NO_EXTENSIONS"):
            await serve(gateway, "127.0.0.1", 0)


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as (gateway, _), served(gateway, asyncio.Event()) as (_, url):
        with pytest.raises(OSError, match="address already in use"):
            await serve(gateway, "127.0.0.1", int(url.rpartition(":")[2]))


async def act(session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, object]]:
    headers = {"Authorization": f"Bearer {KEYS['shop']}", "Idempotency-Key": "k1"}
    async with session.post(f"{url}/v1/payments", json=payment(), headers=headers) as answer:
        return answer.status, await answer.json(content_type=None)


async def arrived(bank: object) -> None:
    for _ in range(500):
        if bank.ledger.arrivals:  # type: ignore[attr-defined]  # any simulator
            return
        await asyncio.sleep(0.01)
