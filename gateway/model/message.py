"""What crosses the wall between the gateway and a partner, as values: messages, and who may sign and send them.

A message is exact bytes. An adapter builds `Request`s and reads `Reply`s; the core owns the socket, the keys, the
tokens, the clock and chance. `Wire`, `Scheme`, `Keys` and `Grant` stand here because adapters are written against
them; what they do stands in `crypto` and `wire`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel

from gateway.model.problems import NotProven, NotUnderstood
from gateway.model.reading import Message

__all__ = [
    "Acknowledgement",
    "Asked",
    "Bearer",
    "Callback",
    "Code",
    "Grant",
    "Handoff",
    "Headers",
    "InQuery",
    "Keys",
    "Placement",
    "Reply",
    "Request",
    "Returned",
    "Scheme",
    "Secret",
    "SignedLink",
    "Stamp",
    "TokenPaths",
    "Wire",
    "header",
]

Headers = tuple[tuple[str, str], ...]


def header(headers: Headers, name: str) -> str | None:
    """The value of the header `name` (any case), or None. Raises `NotUnderstood` if it is there more than once."""
    found = [value for key, value in headers if key.lower() == name.lower()]
    if len(found) > 1:
        raise NotUnderstood(f"the header {name} came {len(found)} times; the partner must send it once")
    return found[0] if found else None


class Secret(str):
    """The name of a secret, written where its value must stand; the core fills it in after the adapter is done."""

    __slots__ = ()

    def __new__(cls, name: str) -> Secret:
        return super().__new__(cls, f"__secret.{name}__")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request: an absolute URL, headers in order, and the exact body."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""
    scheme: Scheme | None = None  # None: the adapter's own

    @classmethod
    def get(cls, url: str, query: Mapping[str, str] | None = None, **headers: str) -> Request:
        return cls("GET", f"{url}?{urlencode(query)}" if query else url, _named(headers))

    @classmethod
    def delete(cls, url: str, **headers: str) -> Request:
        return cls("DELETE", url, _named(headers))

    @classmethod
    def post(cls, url: str, body: BaseModel | Mapping[str, Any] | bytes, **headers: str) -> Request:
        """JSON (UTF-8, compact, None left out of models) unless `body` is bytes already."""
        if isinstance(body, bytes):
            return cls("POST", url, _named(headers), body)
        if isinstance(body, BaseModel):
            raw = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        else:
            raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return cls("POST", url, (("Content-Type", "application/json"), *_named(headers)), raw)

    @classmethod
    def form(cls, url: str, fields: Mapping[str, str] | Iterable[tuple[str, str]], **headers: str) -> Request:
        """An `application/x-www-form-urlencoded` POST in UTF-8."""
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        content_type = ("Content-Type", "application/x-www-form-urlencoded;charset=utf-8")
        return cls("POST", url, (content_type, *_named(headers)), urlencode(list(pairs)).encode())

    @property
    def target(self) -> str:
        """Path and query, as they stand in the request line."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def origin(self) -> str:
        """Host and port that the request goes to, such as `bank.example:443`."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"

    def header(self, name: str) -> str | None:
        return header(self.headers, name)

    def with_header(self, name: str, value: str) -> Request:
        """The same request with `name` set to `value`, replacing what stood there."""
        kept = tuple((key, old) for key, old in self.headers if key.lower() != name.lower())
        return replace(self, headers=(*kept, (name, value)))

    def with_body(self, body: bytes) -> Request:
        return replace(self, body=body)

    def with_url(self, url: str) -> Request:
        return replace(self, url=url)


def _named(headers: Mapping[str, str]) -> Headers:
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())


@dataclass(frozen=True, slots=True)
class Reply(Message):
    """A partner's answer. What an adapter gets to see is proven: `body` is exactly what the scheme verified."""

    status: int
    headers: Headers
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Callback(Message):
    """A message that a partner sent on its own. After `verify_callback` its body is exactly what was proven."""

    method: str
    target: str
    headers: Headers
    body: bytes
    received_at: datetime

    def header(self, name: str) -> str | None:
        return header(self.headers, name)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a partner wants to hear after a callback."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Returned:
    """What a browser brought back from a partner's page, query and fragment merged."""

    parameters: Mapping[str, str]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Stamp:
    """Time and chance for one attempt."""

    now: datetime
    nonce: str  # 32 hexadecimal digits, never used twice


@dataclass(frozen=True, slots=True)
class Handoff:
    """What the core drew for the way of one operation through a browser and back."""

    state: str
    nonce: str
    code_verifier: str  # RFC 7636
    return_url: str
    callback_url: str

    @property
    def code_challenge(self) -> str:
        """S256 of the verifier (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.code_verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class SignedLink:
    """A link that a person opens and the core signs: with its own clock and the handoff, when the fact is recorded.

    `url` is where the partner's page stands. A scheme puts `claims` (for example an OpenID request object) or the
    parameters of `request` into it; `parameter` is the name under which a signed object travels.
    """

    url: str
    life: timedelta
    claims: Mapping[str, Any] = field(default_factory=dict)
    request: Request | None = None
    parameter: str = "request"


class Keys(Protocol):
    """Handles to the keys of one connection. Private bytes and secrets never leave the provider.

    Algorithms carry their JOSE names (RFC 7518): RS256, PS256, ES256, EdDSA, HS256, RSA1_5, RSA-OAEP; `RS1`
    (RSASSA-PKCS1-v1_5 with SHA-1) is legacy and refused unless the connection allows it.
    """

    @property
    def key_id(self) -> str:
        """The id of our own current signing key."""

    def sign(self, message: bytes, algorithm: str) -> bytes:
        """Sign with our own key. ECDSA signatures are r‖s as in JOSE."""

    def verify(self, message: bytes, signature: bytes, algorithm: str, key_id: str | None = None) -> None:
        """Check a partner's signature. Raises `NotProven`, or `UnknownKey` when no such key id is held.

        Without `key_id` each key of the partner is tried (partners that name no key have at most two).
        """

    def mac(self, message: bytes, algorithm: str, secret: str) -> bytes:
        """HMAC under the connection's secret of that name."""

    def verify_mac(self, message: bytes, tag: bytes, algorithm: str, secret: str) -> None:
        """Compare in constant time. Raises `NotProven`."""

    def encrypt(self, plaintext: bytes, algorithm: str, key_id: str | None = None) -> bytes:
        """Encrypt one block to the partner's key."""

    def decrypt(self, ciphertext: bytes, algorithm: str) -> bytes:
        """Decrypt one or more blocks of our modulus' length. Raises `NotProven` for anything else."""


class Scheme(ABC):
    """How a partner's messages are signed: pure functions over bytes. What a partner lacks is not overridden."""

    name: str = "unnamed"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        """The request as it must leave; may encrypt the body. Called anew for each attempt."""
        return request

    @abstractmethod
    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        """Exactly the bytes that were proven, decrypted where needed. Raises `NotProven`, `UnknownKey`."""

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        """Exactly the bytes that were proven. Raises `NotProven`, as where a partner signs no callbacks."""
        raise NotProven("this partner signs no callbacks")

    def verify_return(self, returned: Returned, handoff: Handoff, keys: Keys) -> Returned:
        """The parameters that were proven to come from the partner. Raises `NotProven`."""
        raise NotProven("this partner does not sign what a browser brings back")

    def link(self, link: SignedLink, handoff: Handoff, keys: Keys, stamp: Stamp) -> str:
        """The URL for a person's browser."""
        raise NotImplementedError(f"{self.name} signs no links")


@dataclass(frozen=True, slots=True)
class Bearer:
    """The token goes into the `Authorization` header (RFC 6750 section 2.1)."""


@dataclass(frozen=True, slots=True)
class InQuery:
    """The token goes into the query under this name."""

    parameter: str


Placement = Bearer | InQuery


@dataclass(frozen=True, slots=True)
class TokenPaths:
    """Where a token answer keeps its parts (RFC 6749 section 5.1)."""

    token: str = "access_token"
    life: str = "expires_in"  # seconds
    refresh: str = "refresh_token"
    error: str | None = None  # a member whose presence, with a value other than 0, means refusal


@dataclass(frozen=True, slots=True)
class Code:
    """An authorisation code that came back, and what its exchange needs."""

    value: Secret
    handoff: Handoff


class Grant(ABC):
    """Which token a request needs. The core gets, keeps, renews and places it; equal names share one token."""

    name: str
    scheme: Scheme
    placement: Placement = Bearer()
    paths: TokenPaths = TokenPaths()
    refused: frozenset[str | int] = frozenset({401})  # status, or code as the adapter reads it

    @abstractmethod
    def request(self, code: Code | None) -> Request:
        """Ask for the token; secrets are written as `Secret(name)`. Raises `ConsentRequired` if a code is needed."""

    def renew(self, refresh_token: Secret) -> Request | None:
        """Ask for a new token with the kept refresh token; None: ask from the start."""
        return None


class Asked:
    """One request on its way; awaiting it hands it to whoever steps the verb and gives back the proven reply."""

    __slots__ = ("access", "effect", "request")

    def __init__(self, request: Request, access: Grant | None, *, effect: bool) -> None:
        self.request = request
        self.access = access
        self.effect = effect

    def __await__(self) -> Generator[Asked, Reply, Reply]:
        reply = yield self
        return reply


class Wire:
    """The only way out, and the only thing that an adapter may await.

    Awaiting raises `NotSent` (nothing left), `OutcomeUnknown` (an act may have happened), `NoAnswer` (a question got
    no proven answer), or `TokenRefused`. Nothing that an adapter catches changes what the core knows.
    """

    __slots__ = ()

    def ask(self, request: Request, access: Grant | None = None) -> Asked:
        """Send a request without effect; it may be repeated."""
        return Asked(request, access, effect=False)

    def act(self, request: Request, access: Grant | None = None) -> Asked:
        """Send the request that has the verb's effect. At most once a verb, and never in a verb that reads."""
        return Asked(request, access, effect=True)
