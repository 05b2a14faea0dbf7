"""A whole gateway around one adapter and its simulator: real store, real sockets, real signatures, in one process.

    async with adapter_house(Riverbank, RiverbankSimulator, tmp_path) as house:
        operation = await house.start("create_payment", {"amount": …, "method": …})

Rules
- Time belongs to the test: nothing waits, and `house.clock.advance` is how hours go by.
- Keys are the simulator's own, as a new merchant would get them; the connection bears the adapter's name.
- Callbacks and browser returns are handed in by hand (`tell`, `come_back`); no HTTP server of the gateway's is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

from gateway.adapters.adapter import Adapter
from gateway.adapters.verbs import VERBS
from gateway.audit.journal import Journal
from gateway.crypto.keys import KeyRing
from gateway.crypto.seal import Sealer
from gateway.model.accounts import AccountQuery, TransactionQuery
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Acknowledgement, Callback, Returned
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Call, Engine
from gateway.operations.inquiry import Inquirer
from gateway.operations.kinds import KINDS
from gateway.operations.reads import Reads
from gateway.operations.returns import Returns
from gateway.operations.running import Runner
from gateway.sandbox import Notification, Onboarding, Running, Simulator, serve
from gateway.service.learning import KeyLearner
from gateway.store.operation import Operation
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from gateway.testing.watching import Watched, WatchedScheme, watch
from gateway.wire.breaker import Breaker
from gateway.wire.budget import Budget
from gateway.wire.channel import Channel
from gateway.wire.retry import Pace
from gateway.wire.transport import TLS, Transport

__all__ = ["CLIENT", "House", "adapter_house", "kind_of", "text_of"]

CLIENT = "shop"
QUICK = Pace(base_seconds=0.005, cap_seconds=0.02)
TOKEN = "callback-token-of-the-adapter-house"
GATEWAY = "http://127.0.0.1:1"
KIND_OF = {kind.create.name: kind.name for kind in KINDS.values() if kind.create is not None} | {
    "check_threshold": "credit_report",
    "request_score": "credit_report",
    "request_report": "credit_report",
    "cancel_payment": "cancellation",
    "cancel_transfer": "cancellation",
    "cancel_policy": "cancellation",
    "revoke_consent": "cancellation",
}

S = TypeVar("S", bound=Simulator)


def kind_of(verb: str) -> str:
    """The kind of operation that a verb begins. Raises `KeyError` for a verb that begins none."""
    return KIND_OF[verb]


def text_of(value: Any) -> Any:
    """What a `file:` reference leads to, without the newline at its end; everything else as it is."""
    if isinstance(value, str) and value.startswith("file:"):
        return Path(value.removeprefix("file:")).read_text(encoding="utf-8").removesuffix("\n")
    return value


@dataclass
class House(Generic[S]):
    """The parts, and what tests mostly do with them. `watched` holds every run of a verb and every reply."""

    simulator: S
    adapter: Adapter[Any]
    clock: ManualClock
    store: SQLiteStore
    engine: Engine
    door: Door
    inquirer: Inquirer
    callbacks: Callbacks
    returns: Returns
    reads: Reads
    connection: Connection
    onboarding: Onboarding
    running: Running[S]
    sealer: Sealer
    directory: Path
    watched: Watched
    visited: list[str] = field(default_factory=list)  # targets that a browser opened at the institution, not we
    elsewhere: set[str] = field(default_factory=set)  # digests of requests that another gateway has on record
    followed: dict[str, Operation] = field(default_factory=dict)  # parents by id
    counter: int = 0

    @property
    def name(self) -> str:
        return self.connection.name

    @property
    def callback_url(self) -> str:
        """Where the institution would send what it says on its own."""
        return f"{GATEWAY}/v1/callbacks/{self.name}/{TOKEN}"

    async def start(self, verb: str, body: Mapping[str, Any], parent: Operation | None = None) -> Operation:
        """Begin an operation by a verb that begins one. `body` needs neither connection nor reference.

        Raises `Refused` (nothing was sent) and `StorageError`.
        """
        self.counter += 1
        if parent is not None:
            self.followed[parent.id] = parent
        kind = KINDS[kind_of(verb)]  # type: ignore[index]  # its values are kinds
        whole = {"connection": self.name, "reference": f"LN-{self.counter:04d}", **body}
        call = Call(CLIENT, f"key-{self.counter}", f"POST /v1/{kind.name}")
        answered = await self.engine.initiate(
            kind.name, kind.new.model_validate(whole), call, parent=parent.id if parent else None
        )
        return answered.operation

    async def stands(self, operation: Operation) -> Operation:
        """The operation as it is stored."""
        found = await self.store.operation(operation.id)
        if found is None:
            raise KeyError(operation.id)
        return found

    async def inquire(self, operation: Operation) -> Operation:
        """Ask the institution about it, once."""
        return await self.inquirer.inquire(await self.stands(operation))

    async def settle(self, operation: Operation, *, hours: float = 0.5) -> Operation:
        """Ask when it is due, and less and less often, until the operation has ended or `hours` have gone by."""
        limit = self.clock.now() + timedelta(hours=hours)
        now, stride = await self.stands(operation), timedelta(seconds=1)
        while now.open and now.next_inquiry_at is not None and self.clock.now() < limit:
            wait = max(now.next_inquiry_at - self.clock.now(), stride)
            self.clock.advance(min(wait, limit - self.clock.now()))
            now = await self.inquirer.inquire(now)
            stride *= 2
        return now

    async def read(self, verb: str, consent: Operation | None = None, **fields: Any) -> Any:
        """Run a verb that only reads: accounts under a consent, or our own balance. Raises `Invalid` and `Refused`."""
        if consent is None:
            return await self.reads.read(self.connection, VERBS[verb], None, client=CLIENT)
        question = TransactionQuery if verb == "fetch_transactions" else AccountQuery
        return await self.reads.accounts(VERBS[verb], CLIENT, consent.id, question, "affordability", **fields)

    async def tell(self, message: Notification | Callback) -> Acknowledgement:
        """Hand in what the institution says on its own."""
        if isinstance(message, Notification):
            message = self.as_callback(message)
        return await self.callbacks.receive(self.name, TOKEN, message)

    def as_callback(self, message: Notification) -> Callback:
        """A simulator's notification as the gateway's front door would take it in."""
        parts = urlsplit(message.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return Callback("POST", target, tuple(message.headers.items()), message.body, self.clock.now())

    async def come_back(self, location: str) -> Operation:
        """A browser is sent back to us: `location` is where the institution's page redirected it."""
        return await self.returns.receive(self.name, self.returned(location))

    def returned(self, location: str) -> Returned:
        """What a browser brings along that was sent to `location`, query and fragment merged."""
        parts = urlsplit(location)
        return Returned(dict(parse_qsl(parts.query) + parse_qsl(parts.fragment)), self.clock.now())

    async def at_the_desk(self, desk: str, **body: Any) -> Any:
        """Do at the simulated institution what people do there (`/_sandbox/<desk>`). Raises `AssertionError`."""
        import httpx

        context = await asyncio.to_thread(_trusting, self.onboarding) if self.simulator.tls else True
        async with httpx.AsyncClient(trust_env=False, verify=context) as client:
            answer = await client.post(f"{self.simulator.url}/_sandbox/{desk}", json=body)
        if answer.is_error:
            raise AssertionError(f"/_sandbox/{desk} answered {answer.status_code}: {answer.text}")
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.text


def _trusting(onboarding: Onboarding) -> Any:
    import ssl

    return ssl.create_default_context(cadata=text_of(onboarding.tls["ca"]))


@asynccontextmanager
async def adapter_house(
    adapter: type[Adapter[Any]],
    simulator: type[S],
    directory: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    clock: ManualClock | None = None,
    deadline: timedelta = timedelta(seconds=10),
    running: Running[S] | None = None,
) -> AsyncIterator[House[S]]:
    """Open everything in `directory` and close it at the end; `settings` overrides what the simulator gives out.

    Keys that lie in `directory/partner` already are used again: making them is the slow part. `running` is a simulator
    that another house has opened, and closes.
    """
    clock = clock or ManualClock(datetime.now(UTC).replace(microsecond=0))
    async with AsyncExitStack() as stack:
        if running is None:
            running = await stack.enter_async_context(await serve(simulator, directory / "partner", clock=clock))
        store = await SQLiteStore.open(directory / "lendgate.db", clock)
        stack.push_async_callback(store.close)
        house = _build(adapter, running, store, clock, settings or {}, directory, deadline)
        stack.push_async_callback(house.connection.channel.transport.close)
        stack.push_async_callback(house.engine.drain, timedelta(seconds=5))
        yield house


def _build(
    kind: type[Adapter[Any]],
    running: Running[S],
    store: SQLiteStore,
    clock: ManualClock,
    settings: Mapping[str, Any],
    directory: Path,
    deadline: timedelta,
) -> House[S]:
    """The floors above a store, put together by hand."""
    told, watched = running.onboarding, Watched()
    ids, sealer = Identifiers(clock.now), Sealer(b"k" * 32)
    journal = Journal(ids, clock, "sandbox", ids.new("run"), sealer.seal)
    given = {name: text_of(value) for name, value in {**told.settings, **settings}.items()}
    adapter = kind(kind.settings_model.model_validate(given))
    watch(adapter, watched)
    ring = keys_of(told)
    roots = tuple(text_of(root) for root in told.partner_roots)
    learner = KeyLearner(ring, roots, journal, store, clock)
    channel = _channel(adapter, told, store, clock, ids, sealer, journal, ring, learner, watched)
    connection = Connection(adapter.name, adapter, channel, ring, TOKEN, deadline)
    connections = Connections({adapter.name: connection}, {})
    door, runner = Door(store, journal, connections, clock, ids), Runner(clock, ids)
    engine = _engine(store, connections, door, runner, clock, ids)
    inquirer = Inquirer(store, connections, door, runner, clock, "adapter-house")
    reads = Reads(store, connections, clock, ids)
    learner.ready(connection, reads)
    return House(
        simulator=running.simulator,
        adapter=adapter,
        clock=clock,
        store=store,
        engine=engine,
        door=door,
        inquirer=inquirer,
        callbacks=Callbacks(store, connections, door, journal, clock, ids, sealer.seal),
        returns=Returns(store, connections, engine, door, runner, inquirer, clock),
        reads=reads,
        connection=connection,
        onboarding=told,
        running=running,
        sealer=sealer,
        directory=directory,
        watched=watched,
    )


def _engine(
    store: SQLiteStore, connections: Connections, door: Door, runner: Runner, clock: Clock, ids: Identifiers
) -> Engine:
    return Engine(
        store=store,
        connections=connections,
        door=door,
        runner=runner,
        clock=clock,
        ids=ids,
        secret=b"i" * 32,
        mode="sandbox",
        public_url=GATEWAY,
    )


def _channel(
    adapter: Adapter[Any],
    told: Onboarding,
    store: SQLiteStore,
    clock: Clock,
    ids: Identifiers,
    sealer: Sealer,
    journal: Journal,
    ring: KeyRing,
    learner: KeyLearner,
    watched: Watched,
) -> Channel:
    """The way out. Neither breaker nor retry budget rests: each case shows what one act does."""
    given = {name: text_of(told.tls.get(name)) for name in ("ca", "certificate", "key")}
    tls = TLS(given["ca"] or _nobody(), given["certificate"], given["key"])
    return Channel.open(
        connection=adapter.name,
        partner=adapter.name,
        scheme=WatchedScheme(adapter.scheme, watched),
        keys=ring,
        transport=Transport(adapter.name, told.hosts, clock, tls=tls),
        store=store,
        sealer=sealer,
        journal=journal,
        clock=clock,
        ids=ids,
        secrets=ring.reveal,
        learn_keys=learner,
        pace=QUICK,
        breaker=Breaker(adapter.name, clock, rest_seconds=0, patience_seconds=0),
        budget=Budget(tokens=1e6),
    )


@cache
def _nobody() -> str:
    """An authority that has issued nothing, for institutions without TLS: reading the system's store takes longer than
    everything else that a case does."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    start = datetime.now(UTC)
    blank = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = blank.not_valid_before(start).not_valid_after(start + timedelta(days=1))
    return dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def keys_of(told: Onboarding) -> KeyRing:
    """The keys of a connection, as the institution gave them out."""
    own, private = told.signing_key or ("", None)
    return KeyRing.load(
        "adapter house",
        key_id=own,
        private_key=text_of(private),
        partner_keys={name: text_of(reference) for name, reference in told.partner_keys.items()},
        secrets={name: text_of(reference) for name, reference in told.secrets.items()},
        legacy=told.legacy,
    )
