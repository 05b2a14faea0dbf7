"""What every simulated institution is made of.

A simulator is a strict, stateful stand-in: it verifies every signature, field, unit and state rule with its own code
(never its adapter's), signs its own answers, and keeps a ledger of what took effect and of every request that arrived.
Codes that it had to invent begin with `SIM_`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from aiohttp import web

from gateway.model.clock import Clock, SystemClock
from gateway.sandbox.faults import Faults
from gateway.sandbox.ledger import Ledger

__all__ = ["Onboarding", "Simulator"]


@dataclass(frozen=True, slots=True)
class Onboarding:
    """What a new merchant takes home from the institution's portal, in the form of a connection's configuration.

    Paths are written as `file:<path>` references, so the same values serve a TOML file and a test.
    """

    settings: Mapping[str, Any]  # the adapter's settings
    hosts: tuple[str, ...]  # host:port that the connection may call
    signing_key: tuple[str, str] | None = None  # key id, reference to our private key (PEM)
    partner_keys: Mapping[str, str] = field(default_factory=dict)  # key id -> reference to the partner's public key
    partner_roots: tuple[str, ...] = ()  # references to what the keys that it publishes must lead to
    secrets: Mapping[str, str] = field(default_factory=dict)  # name -> reference
    tls: Mapping[str, str] = field(default_factory=dict)  # ca, certificate, key -> reference
    legacy: bool = False  # the institution needs SHA-1 or short RSA keys


class Simulator(ABC):
    """One simulated institution. `directory` holds its keys and what it gave out at onboarding."""

    name: ClassVar[str]
    tls: ClassVar[bool] = False
    client_certificates: ClassVar[bool] = False  # ask for one; the routes decide what to do without it

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        self.directory = directory
        self.url = url  # its own base URL, without a trailing slash
        self.clock: Clock = clock or SystemClock()
        self.ledger = Ledger()
        self.faults = Faults()

    @classmethod
    @abstractmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        """Make (once) the keys of both sides in `directory` and say how a connection is configured."""

    @abstractmethod
    def routes(self) -> Iterable[web.AbstractRouteDef]:
        """The institution's own API, and under `/_sandbox/` what people do there (pay a QR code, approve)."""

    def operation(self, request: web.Request, body: bytes) -> str:
        """The institution's name for what is asked; faults and the arrival log use it."""
        return f"{request.method} {request.path}"

    def state(self) -> Mapping[str, Any]:
        """Everything it remembers, as JSON, for a person who debugs."""
        return {}

    async def close(self) -> None:  # noqa: B027 - most simulators have nothing to close
        """Stop background work."""
