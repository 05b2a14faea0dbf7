"""The secrets of platforms' endpoints: made, replaced with an overlap, and sealed as they rest.

Rules
- A secret is shown once, when it is made. Here it exists in clear only while a channel is opened with it.
- The newest stands first. Those before it go on signing for a while, so that a platform can change in its own time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from gateway.crypto.seal import Sealer
from gateway.crypto.webhooks import new_secret, secret_bytes
from gateway.store.webhooks import Endpoint

__all__ = ["OVERLAP", "Secrets"]

OVERLAP: Final = timedelta(hours=24)
"""How long an old secret goes on signing beside the new one."""

SECRETS_AT_MOST: Final = 3


class Secrets:
    """The secrets of endpoints, sealed as they rest. `entropy(n)` gives n random bytes."""

    def __init__(self, sealer: Sealer, entropy: Callable[[int], bytes]) -> None:
        self._sealer = sealer
        self._entropy = entropy

    def first(self, endpoint: str) -> tuple[str, bytes]:
        """A secret for a new endpoint: as it is shown, and as it is kept."""
        secret = new_secret(self._entropy)
        return secret, self._sealed(endpoint, [(secret, None)])

    def renewed(self, endpoint: Endpoint, now: datetime, *, immediately: bool) -> tuple[str, bytes]:
        """A new secret; those before it go on signing for a while, unless they must stop `immediately`."""
        secret = new_secret(self._entropy)
        before = [] if immediately else self._open(endpoint, now)[: SECRETS_AT_MOST - 1]
        kept = [(old, until or now + OVERLAP) for old, until in before]
        return secret, self._sealed(endpoint.id, [(secret, None), *kept])

    def in_force(self, endpoint: Endpoint, now: datetime) -> Mapping[str, bytes]:
        """Name to bytes of every secret that signs now, the newest first."""
        names = ("current", *(f"previous-{n}" for n in range(1, SECRETS_AT_MOST)))
        return {name: secret_bytes(secret) for name, (secret, _) in zip(names, self._open(endpoint, now), strict=False)}

    def _sealed(self, endpoint: str, secrets: Iterable[tuple[str, datetime | None]]) -> bytes:
        text = json.dumps([[secret, until and until.isoformat()] for secret, until in secrets])
        return self._sealer.seal(text.encode(), _context(endpoint))

    def _open(self, endpoint: Endpoint, now: datetime) -> list[tuple[str, datetime | None]]:
        held = json.loads(self._sealer.open(endpoint.secrets, _context(endpoint.id)))
        secrets = [(secret, until and datetime.fromisoformat(until)) for secret, until in held]
        return [(secret, until) for secret, until in secrets if until is None or until > now]


def _context(endpoint: str) -> bytes:
    return f"webhook secrets {endpoint}".encode()
