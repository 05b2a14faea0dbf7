"""Standard Webhooks: how a message to a platform is signed, so that the platform can tell it from a forged one.

Rules
- Signed is `<webhook-id>.<webhook-timestamp>.<body>` with HMAC-SHA256, once under each secret that is in force.
- The id stands in the request before it is signed: it is the event's, the same at every attempt. The timestamp is new
  each time.
- A secret is `whsec_` and the base64 of its bytes. It is shown once, when it is made.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.crypto.schemes import Unsigned
from gateway.model.message import Keys, Request, Stamp
from gateway.model.problems import AdapterError

__all__ = ["PREFIX", "StandardWebhooks", "new_secret", "secret_bytes"]

PREFIX: Final = "whsec_"

SECRET_BYTES: Final = 32
"""Of a new secret; the standard takes 24 to 64."""


@dataclass(frozen=True)
class StandardWebhooks(Unsigned):
    """`secrets` names those under which a message is signed. Answers are not signed."""

    name = "standard-webhooks"
    secrets: tuple[str, ...] = ("current",)

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        id_, seconds = request.header("webhook-id"), str(int(stamp.now.timestamp()))
        if not id_:
            raise AdapterError("a webhook needs its id in the header webhook-id before it is signed")
        signed = f"{id_}.{seconds}.".encode() + request.body
        tags = (keys.mac(signed, "HS256", secret) for secret in self.secrets)
        signatures = " ".join(f"v1,{base64.b64encode(tag).decode()}" for tag in tags)
        return request.with_header("webhook-timestamp", seconds).with_header("webhook-signature", signatures)


def new_secret(entropy: Callable[[int], bytes]) -> str:
    """A secret as the platform gets it. `entropy(n)` gives n random bytes."""
    return PREFIX + base64.b64encode(entropy(SECRET_BYTES)).decode()


def secret_bytes(secret: str) -> bytes:
    """What a secret stands for. Raises `ValueError` for what is none."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"a secret is {PREFIX} and base64") from None
