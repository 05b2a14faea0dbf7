"""The only client socket.

Rules of this module
- Nothing leaves without an unused proof that the intent of exactly this request is durable. That is the gate.
- One request in, one reply or one `TransportFailure` out: nothing is repeated, redirected, decompressed or kept in a
  cookie jar, and no environment variable chooses a proxy.
- `headers_sent` is the fact that money hangs on. It is set just before the first byte is written, so it never says "not
  sent" about something that was.
- Only hosts that the configuration names are called. No message shows a query, a header or a body.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import re
import socket
import ssl
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from gateway.model.clock import Clock
from gateway.model.message import Reply, Request
from gateway.model.problems import AdapterError, ConfigurationError
from gateway.store.work import Durable
from gateway.wire.addresses import Judge, NotAllowed
from gateway.wire.connection import Pool, Received, Server, TransportFailure

__all__ = ["TLS", "Transport", "TransportFailure", "digest"]

REPLY_BYTES_AT_MOST: Final = 5 * 1024 * 1024
REQUEST_BYTES_AT_MOST: Final = 1024 * 1024
FIRST_HEADERS: Final = (("User-Agent", "lendgate"), ("Accept-Encoding", "identity"))

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

    `plain` allows http to hosts other than this machine; it has no place in production. `allowed` judges addresses,
    where the hosts were named by somebody else than the operator.
    """

    def __init__(
        self,
        connection: str,
        hosts: Iterable[str],
        clock: Clock,
        *,
        tls: TLS | None = None,
        plain: bool = False,
        allowed: Judge | None = None,
        connections: int = 128,
        reply_bytes_at_most: int = REPLY_BYTES_AT_MOST,
    ) -> None:
        self._connection = connection
        self._hosts = frozenset(_with_port(host) for host in hosts)
        self._clock = clock
        self._plain = plain
        self._pool = Pool(connections, reply_bytes_at_most, allowed)
        self._tls = (tls or TLS()).context(connection)
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
            async with asyncio.timeout(timeout_seconds):
                received = await self._exchange(request, progress)
        except TransportFailure as failure:
            raise failure from None
        # Whatever is raised, the flag says what it means; none may pass for "nothing happened".
        except Exception as failure:  # noqa: BLE001 - see above
            raise _failure(failure, progress) from None
        return Reply(received.status, received.headers, received.body, self._clock.now())

    async def close(self) -> None:
        """Close every connection. What is under way fails."""
        self._pool.close()

    async def _exchange(self, request: Request, progress: _Progress) -> Received:
        if self._pool.closed:
            raise TransportFailure(False, "other", "the way to this partner is closed")
        parts = urlsplit(request.url)
        secure = parts.scheme == "https"
        server = Server(parts.hostname or "", parts.port or (443 if secure else 80), self._tls if secure else None)
        raw = _written(request, parts.netloc)
        connection = await self._pool.take(server)
        try:
            progress.headers_sent = True
            received = await connection.exchange(raw)
        except BaseException:
            connection.usable = False  # its reply may still come
            raise
        finally:
            self._pool.put(connection)
        _refuse_compressed(received)
        return received

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


class _Progress:
    """How far a request came."""

    __slots__ = ("headers_sent",)

    def __init__(self) -> None:
        self.headers_sent = False


def _written(request: Request, authority: str) -> bytes:
    """The request in the form of RFC 9112."""
    given = {name.lower() for name, _ in request.headers}
    before = [pair for pair in FIRST_HEADERS if pair[0].lower() not in given]
    after = [] if "accept" in given else [("Accept", "*/*")]
    if request.body or request.method != "GET":
        after.append(("Content-Length", str(len(request.body))))
    headers = (("Host", authority), *before, *request.headers, *after)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{request.method} {request.target} HTTP/1.1\r\n{lines}\r\n".encode() + request.body


def _refuse_compressed(received: Received) -> None:
    for name, encoding in received.headers:
        if name.lower() == "content-encoding" and encoding.lower() != "identity":
            detail = f"the reply is compressed ({encoding[:20]!r}), though the request asked for it as it is"
            raise TransportFailure(True, "compressed", detail)


KINDS: Final[tuple[tuple[type[BaseException], str, str], ...]] = (
    # The first that fits, so the narrower stand before the wider. All of them end an attempt to connect.
    (NotAllowed, "address", "none of the host's addresses may be called"),
    (socket.gaierror, "dns", "the host's name was not found"),
    (ssl.SSLCertVerificationError, "tls", "the partner's certificate was not accepted"),
    (ssl.SSLError, "tls", "the TLS handshake failed"),
    (TimeoutError, "connect_timeout", "no connection came about in time"),
    (OSError, "connect", "no connection came about"),
    (BaseException, "other", "the request failed"),
)


def _failure(failure: Exception, progress: _Progress) -> TransportFailure:
    if progress.headers_sent and isinstance(failure, TimeoutError):
        return TransportFailure(True, "timeout", "the time was over before the whole reply was here (TimeoutError)")
    kind, detail = next((kind, detail) for type_, kind, detail in KINDS if isinstance(failure, type_))
    return TransportFailure(progress.headers_sent, kind, f"{detail} ({type(failure).__name__})")


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
