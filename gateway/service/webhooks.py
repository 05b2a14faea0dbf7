"""Puts together what tells platforms what happened: where that may lead, and who does it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.audit.journal import Journal
from gateway.crypto.seal import Sealer
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.operations.endpoint_places import Places
from gateway.operations.endpoint_secrets import Secrets
from gateway.operations.endpoints import Endpoints
from gateway.operations.notifications import Notifier
from gateway.operations.receivers import Receivers
from gateway.service.config import WebhooksSection
from gateway.store.interface import Store
from gateway.wire.transport import TLS

__all__ = ["Notifying", "notifying"]


@dataclass(frozen=True, slots=True)
class Notifying:
    """Where platforms and operators act, and the worker."""

    endpoints: Endpoints
    notifier: Notifier


def notifying(
    section: WebhooksSection,
    *,
    sandbox: bool,
    store: Store,
    journal: Journal,
    sealer: Sealer,
    clock: Clock,
    ids: Identifiers,
    stack: AsyncExitStack,
) -> Notifying:
    """Everything, over an open store; `stack` closes it. Raises `ConfigurationError` for a certificate that is none."""
    TLS(ca=section.ca).context("webhooks.ca")
    places = Places(sandbox=sandbox, private_hosts=section.private_hosts, ca=section.ca)
    secrets = Secrets(sealer, lambda size: bytes.fromhex(ids.nonce(size)))
    receivers = Receivers(
        store=store, journal=journal, sealer=sealer, clock=clock, ids=ids, places=places, secrets=secrets
    )
    stack.push_async_callback(receivers.close)
    endpoints = Endpoints(store, receivers, places, secrets, journal, clock, ids)
    return Notifying(endpoints, Notifier(store, receivers, journal, clock))
