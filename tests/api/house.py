"""A whole gateway in front of two simulated banks, and a caller: what the tests of the API stand on.

Every part is the real one: store, log, channel, engine. Only the institutions are simulators.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import aiohttp
from aiohttp import web

from gateway.adapters.registry import Plugin, Registry
from gateway.api.app import create_app
from gateway.api.serve import Limits, runner_of
from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.clock import SystemClock
from gateway.model.ids import Identifiers
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Engine
from gateway.operations.inquiry import Inquirer
from gateway.operations.quarantine import Confinement
from gateway.operations.reads import Reads
from gateway.operations.returns import Returns
from gateway.operations.running import Runner
from gateway.sandbox import Running, serve
from gateway.service.auditing import Auditing
from gateway.service.config import WebhooksSection
from gateway.service.gateway import Client, Gateway
from gateway.service.webhooks import notifying
from gateway.store.sqlite import SQLiteStore
from gateway.wire.channel import Channel
from gateway.wire.transport import Transport
from tests.api.thames import Thames, ThamesSettings, ThamesSimulator
from tests.riverbank import Riverbank, RiverbankSettings
from tests.riverbank_simulator import SECRET, RiverbankSimulator

KEYS = {
    "shop": "lg_sandbox_shop-key",
    "other_shop": "lg_sandbox_other-shop-key",
    "operator": "lg_sandbox_operator-key",
    "auditor": "lg_sandbox_auditor-key",
}
ROLES = {"shop": "platform", "other_shop": "platform", "operator": "operator", "auditor": "auditor"}
SEALING_KEY = b"k" * 32
PLUGINS = [
    Plugin("riverbank", "lendgate-riverbank", "1.0", adapters={"riverbank": Riverbank}),
    Plugin("thames", "lendgate-thames", "1.0", adapters={"thames": Thames}),
    Plugin("severn", "lendgate-severn", "0.1", broken="ImportError: no module named severn"),
]


def clients() -> dict[str, Client]:
    made = [Client(name, ROLES[name], hashlib.sha256(key.encode()).hexdigest()) for name, key in KEYS.items()]  # type: ignore[arg-type]  # the roles are literals above
    return {client.key_hash: client for client in made}


@dataclass
class House:
    """A gateway, its banks, and where its API is served."""

    gateway: Gateway
    banks: Mapping[str, Running[Any]]
    app: web.Application
    url: str
    session: aiohttp.ClientSession

    @property
    def riverbank(self) -> RiverbankSimulator:
        return cast(RiverbankSimulator, self.banks["riverbank"].simulator)

    @property
    def thames(self) -> ThamesSimulator:
        return cast(ThamesSimulator, self.banks["thames"].simulator)

    def caller(self, name: str = "shop") -> Caller:
        return Caller(self, KEYS[name])

    def sent(self) -> list[str]:
        """What arrived at the banks."""
        return [arrival.operation for bank in self.banks.values() for arrival in bank.simulator.ledger.arrivals]


@dataclass
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str

    @property
    def kind(self) -> str:
        return str(self.body["type"]).removeprefix("/problems/")


class Caller:
    """Somebody with an API key."""

    def __init__(self, house: House, key: str) -> None:
        self._house = house
        self.key = key

    async def send(self, method: str, path: str, **arguments: Any) -> Reply:
        headers = {"Authorization": f"Bearer {self.key}", **arguments.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        arguments.setdefault("allow_redirects", False)
        async with self._house.session.request(
            method, f"{self._house.url}{path}", headers=headers, **arguments
        ) as answer:
            text = await answer.text()
            is_json = bool(text) and "json" in answer.headers.get("Content-Type", "")
            return Reply(answer.status, answer.headers, json.loads(text) if is_json else None, text)

    async def get(self, path: str, **query: str) -> Reply:
        return await self.send("GET", path, params=query)

    async def act(self, path: str, body: Any, key: str | None = None, **headers: str) -> Reply:
        """POST what acts, under a fresh Idempotency-Key unless one is given."""
        named = {"Idempotency-Key": key or uuid.uuid4().hex, **headers}
        return await self.send("POST", path, json=body, headers=named)

    async def post(self, path: str, **headers: str) -> Reply:
        return await self.send("POST", path, headers=headers)


def payment(amount: str = "128.00", **more: Any) -> dict[str, Any]:
    """A body that Riverbank pays at once; amounts that end in 13, 17, 19 do otherwise."""
    return {
        "connection": "riverbank",
        "reference": f"LN-{uuid.uuid4().hex[:8]}",
        "amount": {"amount": amount, "currency": "CNY"},
        "method": {"type": "wallet_qr"},
        "description": "Instalment 1 of 3",
        **more,
    }


def consent(**more: Any) -> dict[str, Any]:
    return {
        "connection": "thames",
        "reference": f"CO-{uuid.uuid4().hex[:8]}",
        "type": "account_access",
        "scopes": ["accounts", "balances", "transactions"],
        **more,
    }


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Gateway, Mapping[str, Running[Any]]]]:
    """A gateway with everything it stands on."""
    async with AsyncExitStack() as stack:
        river = await stack.enter_async_context(await serve(RiverbankSimulator, folder / "riverbank"))
        thames = await stack.enter_async_context(await serve(ThamesSimulator, folder / "thames"))
        clock, sealer = SystemClock(), Sealer(SEALING_KEY)
        ids = Identifiers(clock.now)
        store = await SQLiteStore.open(folder / "lendgate.db", clock)
        stack.push_async_callback(store.close)
        journal = Journal(ids, clock, "sandbox", "test", sealer.seal)
        connections = {}
        for adapter, hosts, secrets in (
            (Riverbank(RiverbankSettings(**river.onboarding.settings)), river.onboarding.hosts, SECRET),
            (Thames(ThamesSettings(**thames.onboarding.settings)), thames.onboarding.hosts, None),
        ):
            keys = KeyRing.load(adapter.name, secrets={"shared": secrets} if secrets else {})
            transport = Transport(adapter.name, hosts, clock)
            stack.push_async_callback(transport.close)
            channel = Channel.open(
                connection=adapter.name,
                partner=adapter.name,
                scheme=adapter.scheme,
                keys=keys,
                transport=transport,
                store=store,
                sealer=sealer,
                journal=journal,
                clock=clock,
                ids=ids,
                secrets=lambda name: "",
            )
            connections[adapter.name] = Connection(adapter.name, adapter, channel, keys, f"token-{adapter.name}")
        attached = Connections(connections, {"severn": "its key file is missing"})
        gateway = _gateway(store, journal, attached, clock, ids, stack)
        stack.push_async_callback(gateway.engine.drain, timedelta(seconds=5))
        yield gateway, {"riverbank": river, "thames": thames}


def _gateway(
    store: SQLiteStore,
    journal: Journal,
    connections: Connections,
    clock: SystemClock,
    ids: Identifiers,
    stack: AsyncExitStack,
) -> Gateway:
    runner, url = Runner(clock, ids), "http://127.0.0.1:8080"
    door = Door(store, journal, connections, clock, ids)
    quarantine = Confinement(store, connections, door, runner, journal, clock, ids)
    engine = Engine(
        store=store,
        connections=connections,
        door=door,
        runner=runner,
        clock=clock,
        ids=ids,
        secret=b"s" * 32,
        mode="sandbox",
        public_url=url,
        quarantine=quarantine,
    )
    inquirer = Inquirer(store, connections, door, runner, clock, "test")
    sealer = Sealer(SEALING_KEY)
    on: Any = {"store": store, "journal": journal, "sealer": sealer, "clock": clock, "ids": ids, "stack": stack}
    told = notifying(WebhooksSection(), sandbox=True, **on)
    return Gateway(
        mode="sandbox",
        public_url=url,
        clients=clients(),
        registry=Registry(PLUGINS),
        connections=connections,
        store=store,
        journal=journal,
        engine=engine,
        door=door,
        inquirer=inquirer,
        callbacks=Callbacks(store, connections, door, journal, clock, ids, sealer.seal),
        returns=Returns(store, connections, engine, door, runner, inquirer, clock),
        reads=Reads(store, connections, clock, ids),
        endpoints=told.endpoints,
        notifier=told.notifier,
        clock=clock,
        ids=ids,
        auditing=Auditing(store, journal, clock, sealer.open, None, {}),
        quarantine=quarantine,
    )


@asynccontextmanager
async def housed(folder: Path, *, idle_seconds: float = 5.0) -> AsyncIterator[House]:
    """A house whose API is served on a free port."""
    async with AsyncExitStack() as stack:
        gateway, banks = await stack.enter_async_context(opened(folder))
        app = create_app(gateway, sealer=Sealer(SEALING_KEY))
        runner = runner_of(app, Limits(idle_seconds=idle_seconds, drain=timedelta(seconds=2)))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield House(gateway, banks, app, f"http://127.0.0.1:{runner.addresses[0][1]}", session)
