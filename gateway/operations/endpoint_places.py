"""Where platforms' endpoints may be: a platform names the address, so it is judged.

Rules
- It must be https and lead to public addresses. The operator may name hosts that are private, and in a sandbox this
  machine may be called, in the clear too.
- What a name leads to is judged when it is called, not when it is registered: names change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from gateway.model.message import Request
from gateway.model.problems import FieldError, Invalid
from gateway.wire.addresses import Judge, is_loopback, is_public, literal
from gateway.wire.transport import TLS

__all__ = ["Places"]

URL_LENGTH: Final = 2000
URL_FORM: Final = re.compile(r"https?://[!\"$-~]+\Z")
ENDS_IN_A_NUMBER: Final = re.compile(r"([0-9]+|0[xX][0-9A-Fa-f]*)\Z")
"""The last label of a host that some readers take for an IPv4 address (WHATWG URL)."""

PUBLIC: Final = ip_address("1.1.1.1")
"""Stands for a name: what it leads to is judged when it is called."""


class Places:
    """Where endpoints may be. `private_hosts` (`host:port`, without port: 443) are the operator's word."""

    def __init__(self, *, sandbox: bool, private_hosts: Iterable[str] = (), ca: str | None = None) -> None:
        self._sandbox = sandbox
        self._private = frozenset(_with_port(host) for host in private_hosts)
        self._ca = ca

    def check(self, url: str) -> None:
        """Raises `Invalid`, saying why an endpoint cannot be there."""
        wrong = self._wrong(url)
        if wrong is not None:
            raise Invalid(f"url {wrong}", fields=[FieldError("url", wrong)])

    def judge(self, origin: str) -> Judge:
        """Which addresses `origin` (`host:port`) may have."""
        if origin in self._private:
            return lambda address: True
        if self._sandbox:
            return lambda address: is_public(address) or is_loopback(address)
        return is_public

    def tls(self, origin: str) -> TLS:
        """Which certificates prove `origin`."""
        return TLS(ca=self._ca if origin in self._private else None)

    def _wrong(self, url: str) -> str | None:
        if len(url) > URL_LENGTH or not URL_FORM.match(url) or url.endswith("?"):
            return f"must be an https URL of at most {URL_LENGTH} ASCII characters, percent-encoded, without a fragment"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            return "has a host or port that cannot be read"
        if not host or port == 0:
            return "must name a host"
        if "@" in parts.netloc:
            return "must not carry credentials: deliveries are signed"
        return self._wrong_host(host, parts.scheme, Request("POST", url).origin)

    def _wrong_host(self, host: str, scheme: str, origin: str) -> str | None:
        address = literal(host)
        if address is None and ENDS_IN_A_NUMBER.match(host.rstrip(".").rpartition(".")[2]):
            return "must name a host or an address in its usual form"
        here = host == "localhost" or (address is not None and is_loopback(address))
        if scheme != "https" and not (here and self._sandbox):
            return "must begin with https://"
        if not self.judge(origin)(ip_address("127.0.0.1") if host == "localhost" else address or PUBLIC):
            return "must lead to a public address; whoever runs the gateway may allow a private host"
        return None


def _with_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return f"{name.strip('[]').lower()}:{port}" if colon and port.isdigit() else f"{host.strip('[]').lower()}:443"
