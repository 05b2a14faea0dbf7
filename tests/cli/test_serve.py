"""The gateway as a process: it starts, says where it is, takes calls, and ends without losing one."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import Result

from gateway.sandbox import Running, serve
from gateway.service.load import load
from gateway.service.offline import verify_records
from tests.cli.conftest import Run
from tests.cli.gateway_folder import key_of, prepare
from tests.riverbank_simulator import RiverbankSimulator
from tests.sources import ROOT


@pytest.fixture
async def bank(folder: Path) -> AsyncIterator[Running[RiverbankSimulator]]:
    async with await serve(RiverbankSimulator, folder / "dev" / "riverbank") as running:
        yield running


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def served(folder: Path, site: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lendgate serve` as a process of its own, once it has said that it serves."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT))), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "serve"),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None and process.stderr is not None
        async with asyncio.timeout(60):
            line = await process.stdout.readline()
        if b"serves" not in line:
            pytest.fail((await process.stderr.read()).decode())
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def pay(url: str, key: str, reference: str, amount: str = "10.00") -> dict[str, Any]:
    body = {
        "connection": "riverbank",
        "reference": reference,
        "amount": {"amount": amount, "currency": "CNY"},
        "method": {"type": "wallet_qr"},
        "description": "a coat",
    }
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": reference}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(f"{url}/v1/payments", json=body) as said:
        answer: dict[str, Any] = json.loads(await said.read())
        return answer


async def test_it_serves_until_it_is_told_to_stop(
    folder: Path, riverbank: Path, bank: Running[RiverbankSimulator], run: Run
) -> None:
    port = free_port()
    configuration = load(prepare(folder, bank, port))
    url = f"http://127.0.0.1:{port}"

    async with served(folder, riverbank) as process:
        paid = await pay(url, key_of(folder, "shop"), "P-1")
        bank.simulator.faults.arm("close_after", "POST payments", times=10)  # type: ignore[arg-type]  # by its name
        doubtful = await pay(url, key_of(folder, "shop"), "P-2")

        # What an operator asks, with the key that the configuration names.
        listed: Result = await asyncio.to_thread(run, "operations", "list")
        doubt: Result = await asyncio.to_thread(run, "operations", "list", "--doubt")
        shown: Result = await asyncio.to_thread(run, "operations", "show", paid["id"])
        document: Result = await asyncio.to_thread(run, "operations", "show", doubtful["id"], "--json")
        records: Result = await asyncio.to_thread(run, "operations", "timeline", doubtful["id"])
        word = ("--as", "succeeded", "--reason", "seen on the statement", "--evidence", "statement 7, line 3")
        settled: Result = await asyncio.to_thread(run, "operations", "settle", doubtful["id"], *word)
        again: Result = await asyncio.to_thread(run, "operations", "settle", doubtful["id"], *word)
        missing: Result = await asyncio.to_thread(run, "operations", "show", "pay_nowhere")
        stranger: Result = await asyncio.to_thread(run, "operations", "list", "--url", url, "--key", "lg_sandbox_wrong")
        second: Result = await asyncio.to_thread(run, "serve")
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    assert paid["state"] == "succeeded"
    assert {paid["id"], doubtful["id"]} <= set(listed.stdout.split())
    assert paid["id"] not in doubt.stdout
    assert "It has ended." in shown.stdout and "10.00 CNY" in shown.stdout
    assert json.loads(document.stdout)["id"] == doubtful["id"]
    assert records.stdout.count("observed silence") >= 3
    assert "succeeded now, on your word" in settled.stdout
    assert again.exit_code == 1 and "409" in again.stderr
    assert missing.exit_code == 1 and "404" in missing.stderr
    assert stranger.exit_code == 1 and "LENDGATE_KEY" in stranger.stderr
    assert second.exit_code == 2 and "is open in another process" in second.stderr
    assert verify_records(configuration).passed


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the system cannot limit another process")
async def test_a_store_that_fails_ends_the_process(
    folder: Path, riverbank: Path, bank: Running[RiverbankSimulator]
) -> None:
    port = free_port()
    prepare(folder, bank, port)

    async with served(folder, riverbank) as process:
        await pay(f"http://127.0.0.1:{port}", key_of(folder, "shop"), "P-1")
        # From now on no file may grow, as on a disk that is full.
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        try:
            status = (await pay(f"http://127.0.0.1:{port}", key_of(folder, "shop"), "P-2"))["status"]
        except aiohttp.ClientConnectionError:
            status = None  # the log was the first that had to write, and the process is gone already
        assert process.stderr is not None
        told = (await process.stderr.read()).decode()
        exit_status = await process.wait()

    assert status in (503, None)
    assert exit_status == 1
    assert "Traceback" not in told.splitlines()[-1]
    assert len(bank.simulator.ledger.effects) == 1


async def test_a_port_that_is_taken_is_named(
    folder: Path, riverbank: Path, bank: Running[RiverbankSimulator], run: Run
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        prepare(folder, bank, port)

        result = await asyncio.to_thread(run, "serve")

    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


def test_without_a_gateway_the_operator_is_told_what_to_start(run: Run) -> None:
    result = run("operations", "list", "--url", f"http://127.0.0.1:{free_port()}", "--key", "lg_sandbox_x")

    assert result.exit_code == 1
    assert "is `lendgate serve` running there?" in result.stderr
