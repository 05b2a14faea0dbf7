"""The folders and stores of a campaign: one gateway on SQLite, or two on one PostgreSQL database.

Gateways on one database share the installation secret, the clients and the connection; each has a port of its own, and
one of them keeps the public log.
"""

from __future__ import annotations

import asyncio
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
import asyncpg

from bench.crash.bank import DEADLINE_SECONDS, PLUGIN, OxbowSimulator
from gateway.cli.development import configuration_text, development_keys
from gateway.cli.toml_text import as_toml
from gateway.sandbox import Running
from gateway.service.load import load
from gateway.service.stores import entries
from gateway.store.interface import Entry
from tests.service.installed import install

__all__ = ["Site", "plugin_site", "sites"]

OPERATIONS: Final = "SELECT id, kind, partner_key, state, reference FROM operations"
UNSETTLED: Final = "SELECT count(*) FROM operations WHERE state IN ('processing', 'requires_action', 'unknown')"


@dataclass(frozen=True, slots=True)
class Site:
    """One gateway's folder and address."""

    name: str
    folder: Path
    url: str
    database_url: str | None

    def api_key(self) -> str:
        """The shop's."""
        return (self.folder.parent / "dev" / "clients" / "shop").read_text().strip()

    def callback_url(self) -> str:
        """Where the bank tells what happened later."""
        return f"{self.url}/v1/callbacks/oxbow/{load(self.folder / 'lendgate.toml').callback_token('oxbow')}"

    def records(self) -> Iterator[Entry]:
        """Every record, in order. Not to be called on a running loop."""
        return entries(load(self.folder / "lendgate.toml"))

    def operations(self) -> list[tuple[Any, ...]]:
        """(id, kind, partner key, state, reference) of every operation. Not to be called on a running loop."""
        return self._rows(OPERATIONS)

    def unsettled(self) -> int:
        """How many operations have not come to an end. Not to be called on a running loop."""
        return int(self._rows(UNSETTLED)[0][0])

    def _rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.database_url is not None:
            return asyncio.run(_fetch(self.database_url, query))
        connection = apsw.Connection(str(self.folder / "lendgate.db"), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            return [tuple(row) for row in connection.execute(query)]
        finally:
            connection.close()


def plugin_site(folder: Path) -> Path:
    """A folder for `PYTHONPATH` with the bank's plugin installed in it."""
    site = folder / "site"
    site.mkdir()
    install(site, "oxbow", PLUGIN)
    return site


def sites(folder: Path, bank: Running[OxbowSimulator], database_url: str | None = None, count: int = 1) -> list[Site]:
    """Write keys and configurations for `count` gateways. Without a URL each has its own SQLite file."""
    development_keys(folder / "dev")
    made = []
    for number in range(count):
        port, place = _free_port(), folder / f"gateway-{number + 1}"
        place.mkdir()
        simulated = {"oxbow": (bank.url, bank.onboarding)}
        values: dict[str, Any] = tomllib.loads(configuration_text(folder / "dev", simulated, place, port))
        values["gateway"]["drain_seconds"] = 5
        values["connections"]["oxbow"]["deadline_seconds"] = DEADLINE_SECONDS
        values["audit"] = {"publish": number == 0}
        if database_url is not None:
            (folder / "dev" / "database-url").write_text(database_url)
            values["gateway"]["database_url"] = "file:../dev/database-url"
        (place / "lendgate.toml").write_text(as_toml(values))
        made.append(Site(f"gateway {number + 1}", place, f"http://127.0.0.1:{port}", database_url))
    return made


async def _fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
