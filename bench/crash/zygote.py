"""Starts gateway processes quickly: it has imported everything, and forks a child for each start.

Why a forked child is the same process as a started one: this program has run import statements and nothing else. It
has one thread, no event loop, no open store, no socket but the one to the campaign, and has drawn no randomness that
a child could repeat (`os.urandom` asks the kernel each time; what the gateway keeps in stock, and `random`, begin
anew after a fork, and OpenSSL mixes the process's number in). So the child stands where `python -m gateway.cli serve`
stands when its imports are done, calls the same `main` with the same words, reads the same configuration, opens the
same files and sockets, and is killed as itself. What is saved is a second of imports for each kill.

Commands come in on standard input and reports go out on standard output, a JSON object a line:
  {"start": ticket, "program": …, "folder": …, "words": […]}   →   {"ticket": …, "pid": …}
  each line that a child prints                                →   {"pid": …, "said": …}
  a child ends                                                 →   {"pid": …, "ended": exit status, or minus the signal}
The end of standard input ends this program, and every child with it.
"""

from __future__ import annotations

import importlib
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

IMPORTED: Final = (
    *("gateway.cli", "gateway.cli.serve", "gateway.service.open", "gateway.service.load", "gateway.service.logs"),
    *("gateway.api.serve", "gateway.api.app", "gateway.store.sqlite", "gateway.store.postgres"),
    *("bench.crash.bank", "asyncio", "apsw", "asyncpg"),
)
IMPORTED_IF_INSTALLED: Final = ("bench.naive_gateway",)
"""What needs the extra `bench`."""


class Zygote:
    """Forks children and says what becomes of them."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._commands = b""
        self._children: set[int] = set()
        self._printing: dict[int, tuple[int, bytes]] = {}  # end of a pipe -> pid, a line that is not yet whole
        self._woken, waker = socket.socketpair()
        for end in (self._woken, waker):
            end.setblocking(False)
        self._waker = waker
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._selector.register(0, selectors.EVENT_READ)

    def run(self) -> Callable[[], Any] | None:
        """Serve until the commands end (None), or until this is the child: then what it is to run."""
        while True:
            for key, _ in self._selector.select():
                if key.fd == 0:
                    received = os.read(0, 65536)
                    if not received:
                        return None
                    *whole, self._commands = (self._commands + received).split(b"\n")
                    for line in whole:
                        program = self._start(json.loads(line))
                        if program is not None:
                            return program
                elif key.fd in self._printing:
                    self._forward(key.fd)
                else:
                    self._woken.recv(4096)
            self._reap()

    def kill_all(self) -> None:
        """End every child that still runs."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _start(self, command: dict[str, Any]) -> Callable[[], Any] | None:
        """None in the parent; in the child what it is to run."""
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            return self._child(command, writing)
        os.close(writing)
        self._children.add(pid)
        self._printing[reading] = (pid, b"")
        self._selector.register(reading, selectors.EVENT_READ)
        report(ticket=command["start"], pid=pid)
        return None

    def _child(self, command: dict[str, Any], output: int) -> Callable[[], Any]:
        """Put away what belongs to the zygote, and stand where a fresh process stands."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        self._woken.close()
        self._waker.close()
        for end in self._printing:
            os.close(end)
        os.chdir(command["folder"])
        log = os.open("gateway.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (output, 1), (log, 2)):
            os.dup2(source, target)
            os.close(source)
        return PROGRAMS[command["program"]](command["words"])

    def _forward(self, end: int) -> None:
        pid, pending = self._printing[end]
        received = os.read(end, 65536)
        if not received:
            self._selector.unregister(end)
            os.close(end)
            del self._printing[end]
            return
        *whole, pending = (pending + received).split(b"\n")
        self._printing[end] = (pid, pending)
        for line in whole:
            report(pid=pid, said=line.decode())

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            report(pid=pid, ended=os.waitstatus_to_exitcode(status))


def gateway(words: list[str]) -> Callable[[], Any]:
    """`lendgate` with these words."""
    from gateway.cli import main

    return lambda: main(words, prog_name="lendgate")


def naive(words: list[str]) -> Callable[[], Any]:
    """`bench/naive_gateway.py` with these words."""
    from bench.naive_gateway import main

    sys.argv = ["naive_gateway.py", *words]
    return main


PROGRAMS: Final[dict[str, Callable[[list[str]], Callable[[], Any]]]] = {"gateway": gateway, "naive": naive}


def report(**what: Any) -> None:
    """One line to the campaign, written at once: nothing stays in a buffer that a child would inherit."""
    os.write(1, json.dumps(what).encode() + b"\n")


def main() -> None:
    """Import, serve, and in a child become what was asked for."""
    for name in IMPORTED:
        importlib.import_module(name)
    for name in IMPORTED_IF_INSTALLED:
        try:
            importlib.import_module(name)
        except ImportError:
            pass  # the campaign leaves it out as well
    zygote = Zygote()
    report(ready=True)
    program = zygote.run()
    if program is None:
        zygote.kill_all()
    else:
        program()


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
