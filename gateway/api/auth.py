"""Who is calling: an API key, the client that it belongs to, and what its role may do.

Rules
- A key is `lg_<mode>_<secret>`. Only its SHA-256 is known here, so that the configuration holds no key.
- A key of the other mode never works, and the answer says why: that mistake is frequent and harmless to explain.
- A refusal without a client is counted, not recorded: nobody who holds no key may fill the log.
"""

from __future__ import annotations

import hashlib
from typing import Final

from aiohttp import web

from gateway.api.problems import refused
from gateway.api.query import single_header
from gateway.service.gateway import Client, Gateway

__all__ = ["ALL", "LONGEST_KEY", "PLATFORM", "READERS", "authenticate", "check_role", "visible_to"]

LONGEST_KEY: Final = 256

PLATFORM: Final = frozenset({"platform"})
READERS: Final = frozenset({"operator", "auditor"})
ALL: Final = PLATFORM | READERS

MODES: Final = ("sandbox", "production")


def authenticate(gateway: Gateway, request: web.Request) -> Client:
    """The client that this call's key belongs to. Raises `Refused` (401)."""
    given = single_header(request, "Authorization") or ""
    scheme, _, key = given.partition(" ")
    key = key.strip()
    if scheme.lower() != "bearer" or not key or len(key) > LONGEST_KEY:
        raise refused("unauthenticated", "send `Authorization: Bearer` with an API key of this gateway")
    if not key.startswith(f"lg_{gateway.mode}_"):
        other = next((mode for mode in MODES if key.startswith(f"lg_{mode}_")), None)
        if other is not None:
            raise refused("wrong_mode", f"this is a key for {other}, and this gateway is {gateway.mode}")
        raise refused("unauthenticated", "this is no API key of this gateway")
    client = gateway.clients.get(hashlib.sha256(key.encode()).hexdigest())
    if client is None:
        raise refused("unauthenticated", "this is no API key of this gateway")
    return client


def check_role(client: Client, roles: frozenset[str]) -> None:
    """Raises `Refused` (403) unless the client has one of `roles`."""
    if client.role not in roles:
        raise refused("forbidden", f"this call is for the role {' or '.join(sorted(roles))}, not for {client.role}")


def visible_to(client: Client) -> str | None:
    """Whose operations the client sees: its own, or (None) everybody's."""
    return client.name if client.role == "platform" else None
