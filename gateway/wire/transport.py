"""The only client socket.

Rules of this module
- Nothing leaves without an unused proof that the intent of exactly this request is durable. That is the gate.
- One request in, one reply or one `TransportFailure` out: nothing is repeated, redirected, decompressed or kept in a
  cookie jar, and no environment variable chooses a proxy.
- `headers_sent` is the fact that money hangs on. It is set by the trace of the client library just before the first
  byte is written, so it never says "not sent" about something that was.
- Only hosts that the configuration names are called. No message shows a query, a header or a body.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import ClientTimeout
from yarl import URL

from gateway.model.clock import Clock
from gateway.model.message import Reply, Request
from gateway.model.problems import AdapterError, ConfigurationError, GatewayError
from gateway.store.work import Durable

__all__ = ["TLS", "Transport", "TransportFailure", "digest"]

REPLY_BYTES_AT_MOST: Final = 5 * 1024 * 1024
REQUEST_BYTES_AT_MOST: Final = 1024 * 1024
HEADER_BYTES_AT_MOST: Final = 8190  # of one line of a reply
CONNECT_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 4.0
"""How long a connection is kept unused: less than servers usually wait, so that it rarely ends under a new request."""

METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te"})
"""Headers that the transport writes itself."""

URL_FORM: Final = re.compile(r"https?://[!\"$-~]+\Z")
HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
HEADER_VALUE: Final = re.compile(r"[\t -~\x80-\uffff]*\Z")


def digest(request: Request) -> str:
    """SHA-256, in hexadecimal, of method, target and body exactly as they are handed to the socket."""
    return hashlib.sha256(
        b"\n".join((request.method.encode(), request.target.encode("latin-1"), request.body))
    ).hexdigest()


class TransportFailure(GatewayError):
    """No complete reply came. `headers_sent` False: nothing left this machine. `kind` is one of `KINDS`."""

    def __init__(self, headers_sent: bool, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.headers_sent = headers_sent
        self.kind = kind
        self.detail = detail


@dataclass(frozen=True, slots=True)
class TLS:
    """PEM texts: the authority that the partner's certificate must lead to (None: the system's own), and our client
    certificate with its chain and its key."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = field(default=None, repr=False)

    def context(self, place: str) -> ssl.SSLContext:
        """Raises `ConfigurationError`."""
        try:
            # Not `create_default_context`: it writes session keys to a file that an environment variable names.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self.ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(cadata=self.ca)
            if self.certificate is not None and self.key is not None:
                _load_pair(context, self.certificate, self.key)
        except (ssl.SSLError, OSError, ValueError) as wrong:
            raise ConfigurationError(
                f"{place}: the TLS certificates cannot be used ({type(wrong).__name__}); check that each is PEM, and "
                "that certificate and key belong together"
            ) from None
        return context


class Transport:
    """The way out of one connection. `hosts` are `host:port` (without port: 443).

    `plain` allows http to hosts other than this machine; it has no place in production.
    """

    def __init__(
        self,
        connection: str,
        hosts: Iterable[str],
        clock: Clock,
        *,
        tls: TLS | None = None,
        plain: bool = False,
        connections: int = 128,
        reply_bytes_at_most: int = REPLY_BYTES_AT_MOST,
    ) -> None:
        self._connection = connection
        self._hosts = frozenset(_with_port(host) for host in hosts)
        self._clock = clock
        self._plain = plain
        self._connections = connections
        self._reply_bytes_at_most = reply_bytes_at_most
        self._tls = (tls or TLS()).context(connection)
        self._session: aiohttp.ClientSession | None = None
        self._admitted: set[str] = set()  # scheme and authority of places that were looked at; no more than hosts

    def renew_tls(self, tls: TLS) -> None:
        """Use other certificates from the next connection on. Raises `ConfigurationError`; then the old ones stay."""
        self._tls = tls.context(self._connection)

    def admit(self, request: Request) -> None:
        """Refuse what this connection must not send, before anything is recorded. Raises `AdapterError`."""
        end = request.url.find("/", len("https://"))
        start = request.url if end < 0 else request.url[:end]  # such as "https://bank.example:8443"
        wrong = _wrong_form(request)
        if wrong is None and start not in self._admitted:
            wrong = self._wrong_place(request)
            if wrong is None:
                self._admitted.add(start)
        if wrong is not None:
            raise AdapterError(f"{self._connection}: {wrong}")

    async def send(self, request: Request, durable: Durable, timeout_seconds: float) -> Reply:
        """Send once. Raises `TransportFailure`, and `RuntimeError` without a proof of this very request."""
        if durable.used or durable.digest != digest(request):
            raise RuntimeError("nothing leaves without an unused proof that the intent of this very request is durable")
        durable.used = True
        if timeout_seconds <= 0:
            raise TransportFailure(False, "deadline", "the time for this call was over before it left")
        progress = _Progress()
        try:
            response = await self._open().request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body or None,
                ssl=self._tls,
                allow_redirects=False,
                timeout=ClientTimeout(total=timeout_seconds, sock_connect=CONNECT_SECONDS),
                trace_request_ctx=progress,
            )
            try:
                body = await self._read(response)
            except BaseException:
                response.close()
                raise
        except TransportFailure:
            raise
        # Whatever the client library raises, the flag says what it means; none may pass for "nothing happened".
        except Exception as failure:  # noqa: BLE001 - see above
            raise _failure(failure, progress.headers_sent) from None
        return Reply(response.status, tuple(response.headers.items()), body, self._clock.now())

    async def close(self) -> None:
        """Close every connection. What is under way fails."""
        if self._session is not None:
            await self._session.close()

    def _wrong_place(self, request: Request) -> str | None:
        """Why this connection must not call there."""
        parts = urlsplit(request.url)
        if "@" in parts.netloc:
            return "a URL must not carry credentials"
        if parts.scheme != "https" and not (self._plain or _is_loopback(parts.hostname or "")):
            return f"{request.origin} must be called by https"
        if request.origin not in self._hosts:
            return f"it may not call {request.origin}; if it should, add that to the connection's hosts"
        return None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_headers_sent)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "lendgate", "Accept-Encoding": "identity"},
                skip_auto_headers=("Content-Type",),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[trace],
                max_line_size=HEADER_BYTES_AT_MOST,
                max_field_size=HEADER_BYTES_AT_MOST,
            )
            # There is no public switch. With it on, GET, PUT and DELETE are sent again, unrecorded, when a kept
            # connection drops; a test guards that this still turns it off.
            self._session._retry_connection = False
        return self._session

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        encoding = response.headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            detail = f"the reply is compressed ({encoding[:20]!r}), though the request asked for it as it is"
            raise TransportFailure(True, "compressed", detail)
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._reply_bytes_at_most:
                detail = f"the reply is longer than {self._reply_bytes_at_most} bytes"
                raise TransportFailure(True, "too_large", detail)
        return bytes(body)


class _Progress:
    """How far a request came."""

    __slots__ = ("headers_sent",)

    def __init__(self) -> None:
        self.headers_sent = False


async def _headers_sent(session: aiohttp.ClientSession, context: SimpleNamespace, sent: Any) -> None:
    context.trace_request_ctx.headers_sent = True


KINDS: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    # The first that fits, so the narrower stand before the wider.
    (aiohttp.ClientConnectorDNSError, "dns", "the host's name was not found"),
    (aiohttp.ClientConnectorCertificateError, "tls", "the partner's certificate was not accepted"),
    (aiohttp.ClientConnectorSSLError, "tls", "the TLS handshake failed"),
    (ssl.SSLError, "tls", "TLS failed"),
    (aiohttp.ConnectionTimeoutError, "connect_timeout", "no connection came about in time"),
    (aiohttp.ClientConnectorError, "connect", "no connection came about"),
    (TimeoutError, "timeout", "the time was over before the whole reply was here"),
    (aiohttp.ServerDisconnectedError, "disconnected", "the connection ended before a reply came"),
    (aiohttp.ClientPayloadError, "truncated", "the connection ended in the middle of the reply"),
    (aiohttp.ClientResponseError, "malformed", "what came back is no HTTP reply"),
    (ConnectionError, "reset", "the connection broke"),
    (aiohttp.ClientOSError, "reset", "the connection broke"),
    (BaseException, "other", "the request failed"),
)


def _failure(failure: Exception, headers_sent: bool) -> TransportFailure:
    kind, detail = next((kind, detail) for type_, kind, detail in KINDS if isinstance(failure, type_))
    return TransportFailure(headers_sent, kind, f"{detail} ({type(failure).__name__})")


def _wrong_form(request: Request) -> str | None:
    """What would not be sent exactly as it stands."""
    if request.method not in METHODS:
        return f"the method {request.method[:20]!r} is none of {', '.join(sorted(METHODS))}"
    if not URL_FORM.match(request.url) or request.url.endswith("?"):
        return "a URL must be percent-encoded ASCII, without an empty query and without a fragment"
    if len(request.body) > REQUEST_BYTES_AT_MOST:
        return f"the body of {len(request.body)} bytes is longer than {REQUEST_BYTES_AT_MOST}"
    for name, value in request.headers:
        if not HEADER_NAME.match(name) or not HEADER_VALUE.match(value):
            return f"the header {name[:40]!r} holds characters that no header may hold"
        if name.lower() in OURS:
            return f"the header {name} is written by the transport"
    return None


def _with_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name, port = host, "443"
    return f"{name.strip('[]').lower()}:{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """`load_cert_chain` reads files only. Where the system can, the file is memory that has no name."""
    text = f"{certificate.strip()}\n{key.strip()}\n".encode()
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("client certificate")
        with open(descriptor, "wb", buffering=0) as memory:
            memory.write(text)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
        return
    with tempfile.NamedTemporaryFile() as private:  # 0600, gone at the end of the block
        private.write(text)
        private.flush()
        context.load_cert_chain(private.name, password=_no_password)


def _no_password() -> str:
    """An encrypted key is refused instead of asked about on the terminal."""
    raise ValueError("the key is encrypted")
