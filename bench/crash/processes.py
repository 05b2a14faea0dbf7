"""Gateway processes as a campaign sees them: started by the zygote, killed by number, awaited by what it reports."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

__all__ = ["Child", "Zygote", "zygote"]

ROOT: Final = Path(__file__).resolve().parents[2]


class Child:
    """One process. `said` is its first line, `ended` its exit status (minus the number of the signal that ended it)."""

    def __init__(self, pid: int) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self.began = loop.time()
        self.said: asyncio.Future[str] = loop.create_future()
        self.ended: asyncio.Future[int] = loop.create_future()

    async def ready(self, seconds: float) -> bool:
        """Wait for its first line. False: it ended before it."""
        await asyncio.wait({self.said, self.ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not self.said.done() and not self.ended.done():
            raise TimeoutError(f"process {self.pid} said nothing in {seconds} s; see gateway.log in its folder")
        return self.said.done()

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.send(signal.SIGKILL)
        await self.ended

    def send(self, number: signal.Signals) -> None:
        if not self.ended.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Zygote:
    """The program `zygote.py`, and what it says of its children."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._children: dict[int, Child] = {}
        self._tickets: dict[int, asyncio.Future[Child]] = {}
        self._ticket = 0

    async def start(self, folder: Path, words: Sequence[str] = ("serve",), program: str = "gateway") -> Child:
        """Start a process in `folder`."""
        assert self._process.stdin is not None
        self._ticket += 1
        waiting = self._tickets[self._ticket] = asyncio.get_running_loop().create_future()
        command = {"start": self._ticket, "program": program, "folder": str(folder), "words": list(words)}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        return await waiting

    async def listen(self) -> None:
        """Take its reports until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        if "ticket" in said:
            child = self._children[said["pid"]] = Child(said["pid"])
            self._tickets.pop(said["ticket"]).set_result(child)
        elif "said" in said and not self._children[said["pid"]].said.done():
            self._children[said["pid"]].said.set_result(said["said"])
        elif "ended" in said:
            self._children.pop(said["pid"]).ended.set_result(said["ended"])


@asynccontextmanager
async def zygote(site: Path) -> AsyncIterator[Zygote]:
    """A zygote that finds the plugins in `site`; its children end with it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT)))}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.crash.zygote", cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, limit=2**20
    )
    assert process.stdout is not None and process.stdin is not None
    if not await process.stdout.readline():
        raise RuntimeError("the zygote did not start; what it printed stands above")
    one = Zygote(process)
    listening = asyncio.create_task(one.listen())
    try:
        yield one
    finally:
        process.stdin.close()
        await process.wait()
        await listening
