"""The gateway, put together: everything that a front door (HTTP, command line, tests) calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gateway.adapters.registry import Registry
from gateway.audit.journal import Journal
from gateway.audit.vault import Vault
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.operations.callbacks import Callbacks
from gateway.operations.connections import Connections
from gateway.operations.door import Door
from gateway.operations.endpoints import Endpoints
from gateway.operations.engine import Engine
from gateway.operations.erasing import Erasing
from gateway.operations.inquiry import Inquirer
from gateway.operations.notifications import Notifier
from gateway.operations.quarantine import Confinement
from gateway.operations.reads import Reads
from gateway.operations.returns import Returns
from gateway.service.auditing import Auditing
from gateway.store.interface import Store

__all__ = ["Client", "Gateway"]


@dataclass(frozen=True, slots=True)
class Client:
    """Who may call. `key_hash` is the SHA-256 of its API key, in hexadecimal; `actor` names the key in records."""

    name: str
    role: Literal["platform", "operator", "auditor"]
    key_hash: str

    @property
    def actor(self) -> str:
        return f"{self.name}/{self.key_hash[:8]}"


@dataclass(frozen=True, slots=True)
class Gateway:
    """All parts, open. `service.open` makes it."""

    mode: Literal["sandbox", "production"]
    public_url: str
    clients: Mapping[str, Client]  # by key hash
    registry: Registry
    connections: Connections
    store: Store
    journal: Journal
    engine: Engine
    door: Door
    inquirer: Inquirer
    callbacks: Callbacks
    returns: Returns
    reads: Reads
    endpoints: Endpoints
    notifier: Notifier
    clock: Clock
    ids: Identifiers
    auditing: Auditing
    quarantine: Confinement
    vault: Vault | None = None  # None: nothing is sealed by keys that can be destroyed
    erasing: Erasing | None = None
    audit_log: Path | None = None  # where this process publishes the transparency log, if it does
