"""Stock schemes: how most partners sign, ready to be named by an adapter. A partner that does otherwise has its own.

Rules
- Each is a frozen value and a set of pure functions over bytes: keys are handles, time and chance come in as a `Stamp`.
- `verify…` gives back exactly what was proven, and raises `NotProven` or `UnknownKey` with a message for an author:
  which header or key, how many bytes, never a secret and never what a message said.
- A callback is fresh only inside a window around its signed time; a reply is bound to its request by the exchange.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, urlencode

from gateway.crypto.jws import Accepted, sign_detached, sign_jwt, verify_detached
from gateway.model.message import Callback, Keys, Reply, Request, Scheme, Stamp
from gateway.model.problems import AdapterError, NotProven, NotUnderstood

__all__ = [
    "ClientAssertion",
    "DetachedJWS",
    "HMACBody",
    "Unsigned",
    "from_base64",
    "require_fresh",
    "required_header",
    "whole_seconds",
]

WINDOW: Final = timedelta(minutes=5)
"""How far the signed time of a callback may lie from its arrival, both ways (Standard Webhooks)."""

HEXADECIMAL: Final = re.compile(r"([0-9A-Fa-f]{2})+\Z")

AHEAD: Final = timedelta(seconds=10)
"""How far a partner's clock may be ahead of ours (FAPI 2.0 section 5.3.2.1)."""


@dataclass(frozen=True)
class Unsigned(Scheme):
    """Nothing is signed: the TLS channel is the proof, and an answer of 500 or more may be anybody's in between."""

    name = "unsigned"

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if reply.status >= 500:
            raise NotProven(
                f"an unsigned reply with the status {reply.status} may come from a proxy; it proves nothing"
            )
        return reply.body


@dataclass(frozen=True)
class HMACBody(Scheme):
    """HMAC-SHA256 over `<timestamp>.<body>`, or over the body alone where `timestamp` is None.

    `header` carries the tag, `timestamp` names the header with Unix seconds, `secret` is the connection's secret.
    """

    name = "hmac-body"
    header: str = "X-Signature"
    timestamp: str | None = "X-Timestamp"
    secret: str = "shared"
    encoding: Literal["hex", "base64"] = "hex"
    window: timedelta = WINDOW

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        seconds = str(int(stamp.now.timestamp()))
        tag = keys.mac(self._signed(seconds, request.body), "HS256", self.secret)
        if self.timestamp:
            request = request.with_header(self.timestamp, seconds)
        return request.with_header(self.header, tag.hex() if self.encoding == "hex" else base64.b64encode(tag).decode())

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        self._verify(reply, keys)
        return reply.body

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        seconds = self._verify(callback, keys)
        if self.timestamp:
            require_fresh(int(seconds), callback.received_at, self.window)
        return callback.body

    def _verify(self, message: Reply | Callback, keys: Keys) -> str:
        seconds = ""
        if self.timestamp:
            seconds = required_header(message, self.timestamp)
            whole_seconds(seconds, self.timestamp)
        tag = self._tag(required_header(message, self.header))
        keys.verify_mac(self._signed(seconds, message.body), tag, "HS256", self.secret)
        return seconds

    def _signed(self, seconds: str, body: bytes) -> bytes:
        return f"{seconds}.".encode() + body if self.timestamp else body

    def _tag(self, text: str) -> bytes:
        if self.encoding == "base64":
            return from_base64(text, self.header)
        if not HEXADECIMAL.match(text):
            raise NotProven(f"{self.header} of {len(text)} characters is not hexadecimal")
        return bytes.fromhex(text)


@dataclass(frozen=True)
class DetachedJWS(Scheme):
    """A detached JWS over the exact body, in a header. A message without a body is sent unsigned, but never taken so.

    `critical` are members of our own header with their values, `expected` those that the partner's header must hold
    with these very values; `issued_at` names the member that carries the time of signing (Unix seconds) on both sides.
    All of them are listed in `crit`. `b64` False signs the body as it stands (RFC 7797).
    """

    name = "detached-jws"
    header: str = "x-jws-signature"
    algorithm: str = "PS256"
    critical: Mapping[str, str] = field(default_factory=dict, hash=False)
    expected: Mapping[str, str] = field(default_factory=dict, hash=False)
    issued_at: str | None = None
    b64: bool = True
    window: timedelta = WINDOW

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        if not request.body:
            return request
        times = {self.issued_at: int(stamp.now.timestamp())} if self.issued_at else {}
        members = {**times, **self.critical}
        token = sign_detached(request.body, keys, self.algorithm, critical=members, b64=self.b64)
        return request.with_header(self.header, token)

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        header = self._verify(reply, keys)
        if self.issued_at:
            require_fresh(header[self.issued_at], reply.received_at, None)
        return reply.body

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        header = self._verify(callback, keys)
        if self.issued_at:
            require_fresh(header[self.issued_at], callback.received_at, self.window)
        return callback.body

    def _verify(self, message: Reply | Callback, keys: Keys) -> Mapping[str, Any]:
        names = frozenset({*self.expected, *([self.issued_at] if self.issued_at else [])})
        accepted = Accepted(algorithms=frozenset({self.algorithm}), critical=names)
        token = required_header(message, self.header)
        header = verify_detached(token, message.body, keys, accepted, b64=self.b64)
        for name, value in self.expected.items():
            if header[name] != value:
                raise NotProven(f"the signature's member {name!r} is not {value!r}: somebody else's, or for other use")
        return header


@dataclass(frozen=True)
class ClientAssertion(Unsigned):
    """`private_key_jwt` (RFC 7523 section 2.2): a fresh signed token joins the form and says who is asking.

    `audience` is the authorisation server's issuer (FAPI 2.0 section 5.3.2.1) or, at older ones, its token endpoint.
    """

    name = "client-assertion"
    client_id: str
    audience: str
    algorithm: str = "PS256"
    life: timedelta = timedelta(minutes=5)

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        if "x-www-form-urlencoded" not in (request.header("Content-Type") or ""):
            raise AdapterError("a client assertion joins a form; build the request with Request.form")
        issued_at = int(stamp.now.timestamp())
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.audience,
            "jti": stamp.nonce,
            "iat": issued_at,
            "exp": issued_at + int(self.life.total_seconds()),
        }
        fields = [
            *parse_qsl(request.body.decode(), keep_blank_values=True),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", sign_jwt(claims, keys, self.algorithm)),
        ]
        return request.with_body(urlencode(fields).encode())


def required_header(message: Reply | Callback, name: str) -> str:
    """The one header `name`. Raises `NotProven` where it is missing, or came twice."""
    try:
        value = message.header(name)
    except NotUnderstood as wrong:
        raise NotProven(str(wrong)) from None
    if not value:
        raise NotProven(f"the header {name} is missing, so nothing is signed")
    return value


def require_fresh(signed_at: object, received_at: datetime, window: timedelta | None) -> None:
    """The signed time (Unix seconds) is not ahead, and with a `window` not too old. Raises `NotProven`."""
    if not isinstance(signed_at, int) or isinstance(signed_at, bool):
        raise NotProven("the signed time is no whole number of seconds")
    age = int(received_at.timestamp()) - signed_at
    if age < -(window or AHEAD).total_seconds():
        raise NotProven(f"the message was signed {-age} seconds ahead of our clock; check both clocks")
    if window is not None and age > window.total_seconds():
        raise NotProven(f"the message was signed {age} seconds before it came; it may be a replay")


def from_base64(text: str, name: str) -> bytes:
    """Standard base64 with its padding, in its one canonical form. Raises `NotProven`."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise NotProven(f"{name} of {len(text)} characters is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise NotProven(f"{name} of {len(text)} characters is not the canonical base64 of its bytes")
    return raw


def whole_seconds(text: str, name: str) -> int:
    """Unix seconds in digits. Raises `NotProven`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise NotProven(f"{name} is no whole number of seconds")
    return int(text)
