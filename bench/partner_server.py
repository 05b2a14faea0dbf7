"""The partner as a process: it reads a request and writes one answer that was signed beforehand.

As cheap as Python allows, so that it is never what is measured. Prints the port that it took.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path
from typing import cast

from bench.loop import new_loop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Partner(asyncio.Protocol):
    """One connection. `answer` is what every request gets."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's are not registered as one

    def data_received(self, received: bytes) -> None:
        pending = self._pending + received
        while True:
            end = pending.find(b"\r\n\r\n")
            if end < 0:
                break
            found = LENGTH.search(pending, 0, end + 2)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(pending) < whole:
                break
            pending = pending[whole:]
            self._transport.write(self._answer)
        self._pending = pending


async def main(answer: bytes) -> None:
    """Listen until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: Partner(answer), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("answer", type=Path, help="file with the whole HTTP answer")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(arguments.parse_args().answer.read_bytes()))
