"""Opens a gateway from its configuration, and closes it.

In this order
  1. plugins: only what is allowed is imported; what is wrong with one connection stays with it
  2. the store, and the keys that come from the installation secret
  3. connections, each with its own way out
  4. the floors above them
  5. the start is recorded, with what is running and in which version
  6. what the last process left in the middle of a call is put in doubt; inquiries and the log begin to work
Closing goes the other way. Whatever fails on the way up closes what was opened before it.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gateway.adapters.registry import Registry, discover
from gateway.audit.erasures import Erasures
from gateway.audit.journal import Journal
from gateway.audit.vault import Vault
from gateway.crypto.seal import Sealer
from gateway.model.clock import Clock, SystemClock
from gateway.model.ids import Identifiers, entropy
from gateway.model.problems import StorageError
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connection, Connections
from gateway.operations.door import Door
from gateway.operations.engine import Engine
from gateway.operations.erasing import Erasing
from gateway.operations.inquiry import Inquirer
from gateway.operations.quarantine import Confinement
from gateway.operations.reads import Reads
from gateway.operations.returns import Returns
from gateway.operations.running import Runner
from gateway.operations.sealing import sealed_store
from gateway.service.auditing import Auditing, partner_keys
from gateway.service.config import Configuration
from gateway.service.connect import Prepared, prepare, refuse_unpackaged
from gateway.service.derived import Purpose, derived_key
from gateway.service.gateway import Client, Gateway
from gateway.service.high_water import HighWater
from gateway.service.learning import KeyLearner
from gateway.service.log import Publisher
from gateway.service.quarantine import begin_if_lost, following, serve_safely
from gateway.service.stores import open_store
from gateway.service.vault import open_vault
from gateway.service.watchdog import Watchdog, leave_out_blockers
from gateway.service.webhooks import Notifying, notifying
from gateway.service.workers import Worker, Workers
from gateway.store.interface import Recorded, Store
from gateway.wire.channel import Channel
from gateway.wire.transport import Transport

__all__ = ["OpenGateway", "close", "open_gateway", "opened"]

log = logging.getLogger(__name__)

WORKERS_SECONDS = 10.0
"""How long a stop waits for an inquiry that is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGateway(Gateway):
    """A gateway that runs. `failure` is set when the store failed: then the process should stop."""

    configuration: Configuration
    cursors: Sealer  # seals what platforms hold between two pages
    workers: Workers
    log: Publisher | None
    high_water: HighWater
    failure: asyncio.Future[StorageError]
    stack: AsyncExitStack  # closes what was opened, the newest first


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every connection and every floor above stands on."""

    configuration: Configuration
    store: Store
    vault: Vault
    journal: Journal
    sealer: Sealer
    clock: Clock
    ids: Identifiers
    process: str  # names this run in the records
    log: Publisher | None
    high_water: HighWater
    failure: asyncio.Future[StorageError]
    stack: AsyncExitStack


async def open_gateway(
    configuration: Configuration,
    *,
    clock: Clock | None = None,
    entropy: Callable[[int], bytes] = entropy,
) -> OpenGateway:
    """Open everything. Raises `ConfigurationError` and `StorageError`; then nothing stays open.

    A connection that cannot work does not stop the others: `connections.broken` says why.
    """
    # 1. Plugins
    registry = discover(configuration.allowed_plugins)
    leave_out_blockers(registry, configuration.blockers)
    refuse_unpackaged(configuration, registry)
    prepared, broken = prepare(configuration, registry)
    for name, cause in broken.items():
        log.error("the connection %s does not work: %s", name, cause)
    stack = AsyncExitStack()
    try:
        ground = await _ground(configuration, clock or SystemClock(), entropy, stack)
        gateway = _floors(ground, registry, prepared, broken, Sealer(_key(ground, Purpose.CURSORS), entropy=entropy))
        await _begin(gateway)
    except BaseException:
        await stack.aclose()
        raise
    return gateway


async def close(gateway: OpenGateway) -> None:
    """Take no new calls, let those that run come to their end, and close everything. A second call does nothing."""
    await gateway.engine.drain(timedelta(seconds=gateway.configuration.gateway.drain_seconds))
    await gateway.stack.aclose()


@asynccontextmanager
async def opened(configuration: Configuration, **how: Any) -> AsyncIterator[OpenGateway]:
    """`async with opened(configuration) as gateway:`; takes what `open_gateway` takes."""
    gateway = await open_gateway(configuration, **how)
    try:
        yield gateway
    finally:
        await close(gateway)


# 2. The ground


async def _ground(
    configuration: Configuration, clock: Clock, entropy: Callable[[int], bytes], stack: AsyncExitStack
) -> _Ground:
    failure: asyncio.Future[StorageError] = asyncio.get_running_loop().create_future()
    plain = await open_store(configuration, clock, partial(_failed, failure))
    stack.push_async_callback(plain.close)
    ids = Identifiers(clock.now, entropy)
    sealer = Sealer(derived_key(configuration.gateway.secret(), Purpose.STORED), entropy=entropy)
    process = ids.new("run")
    vault = await open_vault(configuration, sealer, entropy)
    stack.push_async_callback(vault.close)
    store = sealed_store(plain, vault)
    journal = Journal(ids, clock, configuration.gateway.mode, process, sealer.seal, vault)
    high_water = await begin_if_lost(configuration, store, journal, clock, ids)
    stack.push_async_callback(high_water.close)
    publisher = None
    if configuration.audit.publish:
        publisher = await Publisher.open(configuration, store)
        stack.push_async_callback(publisher.close)
    return _Ground(
        configuration, store, vault, journal, sealer, clock, ids, process, publisher, high_water, failure, stack
    )


def _failed(failure: asyncio.Future[StorageError], wrong: StorageError) -> None:
    if not failure.done():
        failure.set_result(wrong)


def _key(ground: _Ground, purpose: Purpose) -> bytes:
    return derived_key(ground.configuration.gateway.secret(), purpose)


# 3. Connections


def _connection(prepared: Prepared, ground: _Ground, learner: KeyLearner) -> Connection:
    section, adapter, name = prepared.section, prepared.adapter, prepared.name
    plain = ground.configuration.gateway.mode == "sandbox"
    transport = Transport(name, section.hosts, ground.clock, tls=prepared.tls, plain=plain)
    ground.stack.push_async_callback(transport.close)
    channel = Channel.open(
        connection=name,
        partner=adapter.name,
        scheme=adapter.scheme,
        keys=prepared.keys,
        transport=transport,
        store=ground.store,
        sealer=ground.sealer,
        journal=ground.journal,
        clock=ground.clock,
        ids=ground.ids,
        secrets=prepared.keys.reveal,
        learn_keys=learner,
    )
    token, deadline = ground.configuration.callback_token(name), timedelta(seconds=section.deadline_seconds)
    return Connection(name, adapter, channel, prepared.keys, token, deadline)


def _learner(prepared: Prepared, ground: _Ground) -> KeyLearner:
    return KeyLearner(prepared.keys, prepared.section.partner_roots, ground.journal, ground.store, ground.clock)


# 4. The floors above


def _floors(
    ground: _Ground,
    registry: Registry,
    prepared: Mapping[str, Prepared],
    broken: Mapping[str, str],
    cursors: Sealer,
) -> OpenGateway:
    section, store, journal = ground.configuration.gateway, ground.store, ground.journal
    clock, ids, log = ground.clock, ground.ids, ground.log
    learners = {name: _learner(one, ground) for name, one in prepared.items()}
    connections = Connections({name: _connection(prepared[name], ground, learners[name]) for name in prepared}, broken)
    door = Door(store, journal, connections, clock, ids, timedelta(hours=section.doubt_horizon_hours))
    runner = Runner(clock, ids)
    inquirer = Inquirer(store, connections, door, runner, clock, ground.process)
    quarantine = Confinement(store, connections, door, runner, journal, clock, ids)
    engine = _engine(ground, connections, door, runner, quarantine)
    told = _notifying(ground, door)
    reads = Reads(store, connections, clock, ids, ground.vault)
    _ready(learners, connections, reads)
    return OpenGateway(
        mode=section.mode,
        public_url=section.url(),
        clients=_clients(ground.configuration),
        registry=registry,
        connections=connections,
        store=store,
        journal=journal,
        engine=engine,
        door=door,
        inquirer=inquirer,
        callbacks=_callbacks(ground, connections, door),
        returns=Returns(store, connections, engine, door, runner, inquirer, clock),
        reads=reads,
        endpoints=told.endpoints,
        notifier=told.notifier,
        clock=clock,
        ids=ids,
        auditing=_auditing(ground),
        quarantine=quarantine,
        vault=ground.vault,
        erasing=Erasing(store, ground.vault, Erasures(ground.configuration.erasures), journal, clock),
        audit_log=log.directory if log else None,
        configuration=ground.configuration,
        cursors=cursors,
        workers=Workers(clock, partial(_failed, ground.failure)),
        log=log,
        high_water=ground.high_water,
        failure=ground.failure,
        stack=ground.stack,
    )


def _callbacks(ground: _Ground, connections: Connections, door: Door) -> Callbacks:
    seal = partial(_seal_callback, ground.vault)
    return Callbacks(ground.store, connections, door, ground.journal, ground.clock, ground.ids, seal)


def _seal_callback(vault: Vault, message: bytes, context: bytes) -> bytes:
    """Under a key of its own: whom it is about is not known yet."""
    return vault.seal(context.decode(), message, context)


def _ready(learners: Mapping[str, KeyLearner], connections: Connections, reads: Reads) -> None:
    for connection in connections:
        learners[connection.name].ready(connection, reads)


def _engine(ground: _Ground, connections: Connections, door: Door, runner: Runner, quarantine: Confinement) -> Engine:
    section = ground.configuration.gateway
    return Engine(
        store=ground.store,
        connections=connections,
        door=door,
        runner=runner,
        clock=ground.clock,
        ids=ground.ids,
        secret=section.secret(),
        mode=section.mode,
        public_url=section.url(),
        quarantine=quarantine,
        vault=ground.vault,
    )


def _notifying(ground: _Ground, door: Door) -> Notifying:
    told = notifying(
        ground.configuration.webhooks,
        sandbox=ground.configuration.gateway.mode == "sandbox",
        store=ground.store,
        journal=ground.journal,
        sealer=ground.sealer,
        clock=ground.clock,
        ids=ground.ids,
        stack=ground.stack,
    )
    door.listeners.append(told.notifier.tell)
    return told


def _auditing(ground: _Ground) -> Auditing:
    log = ground.log.published() if ground.log else None
    keys = partner_keys(ground.configuration)
    return Auditing(ground.store, ground.journal, ground.clock, ground.vault.open, log, keys, ground.vault)


def _clients(configuration: Configuration) -> Mapping[str, Client]:
    return {
        hash: Client(name, client.role, hash)
        for name, client in configuration.clients.items()
        for hash in client.hashes()
    }


# 5. The record, and 6. doubt


async def _begin(gateway: OpenGateway) -> None:
    start = gateway.journal.system(what="start", detail=_running(gateway))
    await gateway.store.commit([Recorded(start)])
    gateway.stack.push_async_callback(_record_stop, gateway)
    await _replay_erasures(gateway)
    await serve_safely(gateway.quarantine)
    left = await gateway.inquirer.recover()
    if left:
        log.warning("%d operations were in the middle of a call when the last process ended; they are inquired", left)
    if gateway.log is not None:
        gateway.workers.start(gateway.log.worker())
    gateway.workers.start(following(gateway.high_water, gateway.quarantine))
    gateway.workers.start(Worker("inquiries", gateway.inquirer.run, gateway.inquirer.stop))
    gateway.workers.start(Worker("webhooks", gateway.notifier.run, gateway.notifier.stop))
    gateway.stack.push_async_callback(gateway.workers.stop, WORKERS_SECONDS)
    watchdog = Watchdog(_packages(gateway.registry), gateway.configuration.blockers)
    watchdog.start()
    gateway.stack.push_async_callback(watchdog.stop)


async def _replay_erasures(gateway: OpenGateway) -> None:
    count = 0 if gateway.erasing is None else await gateway.erasing.replay()
    if count:
        log.warning("%d keys that an erasure had destroyed were there again; they are destroyed once more", count)


async def _record_stop(gateway: OpenGateway) -> None:
    try:
        await gateway.store.commit([Recorded(gateway.journal.system(what="stop"))])
    except StorageError as wrong:
        log.error("the stop could not be recorded: %s", wrong)


def _running(gateway: OpenGateway) -> dict[str, Any]:
    """What an auditor wants to know of a run: versions, and the configuration's digest (its text, without secrets)."""
    return {
        "lendgate": _version(),
        "python": platform.python_version(),
        "configuration": gateway.configuration.places.digest,
        "plugins": _plugins(gateway.registry),
        "connections": sorted(connection.name for connection in gateway.connections),
        "broken": sorted(gateway.connections.broken),
    }


def _packages(registry: Registry) -> dict[str, str]:
    """Each plugin's package, by which its code is known on a stack."""
    working = [plugin for plugin in registry.plugins.values() if plugin.broken is None]
    return {plugin.name: str(plugin.module.__name__).partition(".")[0] for plugin in working}


def _plugins(registry: Registry) -> dict[str, str]:
    return {
        plugin.name: f"{plugin.distribution} {plugin.version}{' (broken)' if plugin.broken else ''}"
        for plugin in registry.plugins.values()
    }


def _version() -> str:
    try:
        return version("lendgate")
    except PackageNotFoundError:
        return "not installed as a package"
