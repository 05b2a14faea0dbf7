"""Starts what the demo needs, as a user would: the institutions' sandbox and the gateway, each a process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import aiohttp

__all__ = ["Processes"]


class Processes:
    """The sandbox and the gateway, with everything they write in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config_path = directory / "lendgate.toml"
        self._running: list[asyncio.subprocess.Process] = []

    @property
    def config(self) -> dict[str, Any]:
        return tomllib.loads(self.config_path.read_text())

    @property
    def url(self) -> str:
        gateway = self.config["gateway"]
        return str(gateway["public_url"])

    def key(self, client: str) -> str:
        """The API key that the sandbox wrote for a client."""
        reference = str(self.config["clients"][client]["key"]).removeprefix("file:")
        return (self.directory / reference).read_text().strip()

    async def start(self) -> None:
        """Start both and wait until each answers. Raises `RuntimeError` with the end of its log."""
        ports = str(free_ports(8))
        sandbox = ["sandbox", "--directory", str(self.directory / "sandbox"), "--ports-from", ports]
        await self._start("sandbox", [*sandbox, "--config-out", str(self.config_path)])
        await self._until(self.config_path.exists, "sandbox")
        await self._start("gateway", ["serve", "--config", str(self.config_path)])
        await self._until(self._ready, "gateway")

    async def stop(self) -> None:
        """Ask each to end, the gateway first, and wait for it."""
        for process in reversed(self._running):
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
                try:
                    await asyncio.wait_for(process.wait(), 15)
                except TimeoutError:
                    process.kill()
                    await process.wait()
        self._running.clear()

    async def command(self, *arguments: str) -> tuple[int, str]:
        """Run a lendgate command; its exit status and what it printed."""
        process = await asyncio.create_subprocess_exec(
            *lendgate(), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"

    async def _start(self, name: str, arguments: list[str]) -> None:
        with self.log(name).open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *lendgate(), *arguments, stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        self._running.append(process)

    async def _until(self, ready: Any, name: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(process.returncode is not None for process in self._running):
                break
            answer = ready()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.1)
        tail = self.log(name).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the {name} did not start; the end of {self.log(name)}:\n{tail}")

    async def _ready(self) -> bool:
        async with aiohttp.ClientSession(trust_env=False) as session:
            try:
                async with session.get(f"{self.url}/readyz") as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False


def lendgate() -> list[str]:
    return [sys.executable, "-m", "gateway.cli"]


def free_ports(count: int) -> int:
    """The first of `count` neighbouring ports that are free now."""
    for first in range(18101, 60000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports on this machine")
