"""What the bank looks at before any content: the TLS certificate, the headers, and whether a body is JSON at all."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from lendgate_openbanking_uk.simulator_jose import Malformed, json_object, thumbprint
from lendgate_openbanking_uk.simulator_refusals import Refused, RefusedBare

__all__ = ["certificate_of", "interaction_of", "judge_headers", "parsed"]


def certificate_of(request: web.Request) -> str | None:
    """x5t#S256 of the client's TLS certificate, which the handshake has verified."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    der = tls.getpeercert(True) if isinstance(tls, ssl.SSLObject) else None
    return thumbprint(der) if der else None


def interaction_of(request: web.Request) -> str:
    """The caller's id comes back; a wrong one, or none, is answered with a new one."""
    try:
        return str(uuid.UUID(request.headers["x-fapi-interaction-id"]))
    except (KeyError, ValueError):
        return str(uuid.uuid4())


def judge_headers(request: web.Request) -> None:
    """Forms of the headers that are optional, and what can be sent and answered. Raises `Refused`, `RefusedBare`."""
    accepted = request.headers.get("Accept", "*/*")
    if not any(kind in accepted for kind in ("*/*", "application/*", "application/json")):
        raise RefusedBare(406)
    if request.method == "POST" and request.content_type != "application/json":
        raise RefusedBare(415)
    checks: dict[str, Callable[[str], Any]] = {
        "x-fapi-interaction-id": uuid.UUID,
        "x-fapi-auth-date": parsedate_to_datetime,
        "x-fapi-customer-ip-address": ip_address,
    }
    for name, check in checks.items():
        try:
            if name in request.headers:
                check(request.headers[name])
        except ValueError:
            raise Refused.because("U006", f"{name} has another form", name) from None


def parsed(raw: bytes) -> Any:
    """A JSON object. Raises `Refused` (U010)."""
    try:
        return json_object(raw)
    except Malformed as wrong:
        raise Refused.because("U010", f"the body is {wrong}") from None
