"""Which addresses may be called where a URL came from somebody else: public ones, and nothing that is near us.

Rules
- What counts is the address that is connected to. A name is looked up once, and the connection goes to an address that
  was judged, so that a name which answers differently the second time gains nothing.
- An address that carries another one inside (IPv4-mapped, NAT64, 6to4, Teredo) is judged by that one too.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

__all__ = ["Judge", "NotAllowed", "is_loopback", "is_public", "literal", "lookup"]

NAT64: Final = IPv6Network("64:ff9b::/96")  # RFC 6052
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")  # RFC 4291 section 2.4: all that was ever given out
PROTOCOLS: Final = IPv4Network("192.0.0.0/24")  # RFC 6890; clouds keep metadata there
LOW_32_BITS: Final = 0xFFFFFFFF

Address = IPv4Address | IPv6Address

Judge = Callable[[Address], bool]
"""Whether an address may be called."""


class NotAllowed(OSError):
    """None of a host's addresses may be called."""


def is_public(address: Address) -> bool:
    """Whether anybody on the internet could reach it."""
    return all(_is_public(one) for one in _with_inner(address))


def is_loopback(address: Address) -> bool:
    """Whether it is this machine."""
    return any(one.is_loopback for one in _with_inner(address))


def literal(host: str) -> Address | None:
    """The address that `host` is, or None for a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


async def lookup(host: str, port: int, allowed: Judge) -> list[str]:
    """The addresses of `host` that may be called, in the resolver's order.

    Raises `NotAllowed`, or `socket.gaierror` where there is none at all.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    usable = [one for one in addresses if (known := literal(one)) is not None and allowed(known)]
    if not usable:
        raise NotAllowed("none of the addresses of this host may be called")
    return usable


def _is_public(address: Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    return address not in PROTOCOLS if isinstance(address, IPv4Address) else address in GLOBAL_UNICAST


def _with_inner(address: Address) -> Iterator[Address]:
    if isinstance(address, IPv4Address):
        yield address
        return
    inner: list[IPv4Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        inner.append(IPv4Address(int(address) & LOW_32_BITS))
    if address.ipv4_mapped is None and address not in NAT64:
        yield address
    yield from (one for one in inner if one is not None)
