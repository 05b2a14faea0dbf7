"""Where somebody else named the host, a connection goes only to an address that may be called."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest
import trustme

from gateway.model.message import Request
from gateway.wire.addresses import is_loopback, is_public
from gateway.wire.observed import Observed
from gateway.wire.transport import TLS
from tests.wire.partner import Partner, answer
from tests.wire.way import Way, failure, send

NEAR = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"]


@pytest.mark.parametrize("host", NEAR)
async def test_no_connection_is_made_to_an_address_that_may_not_be_called(way: Way, host: str) -> None:
    async with Partner(answer()) as partner:
        place = f"{host}:{partner.port}"
        transport = way.to(place, allowed=is_public, plain=True)

        failed = await failure(transport, Request.post(f"http://{place}/hook", b"1"))

        assert failed == (False, "address", Observed.NOT_SENT)
        assert partner.connections == 0


async def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked up once, and what was judged is what is called."""
    loop, asked = asyncio.get_running_loop(), []

    async def answers(host: str, port: int, **how: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    monkeypatch.setattr(loop, "getaddrinfo", answers)
    async with Partner(answer(b"here")) as partner:
        place = f"shop.example:{partner.port}"
        transport = way.to(place, allowed=is_loopback, plain=True)

        reply = await send(transport, Request.post(f"http://{place}/hook", b"1"))

    assert (reply.body, asked) == (b"here", ["shop.example"])


async def test_the_certificate_is_still_that_of_the_name(way: Way) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    tls = TLS(ca=authority.cert_pem.bytes().decode())
    async with Partner(answer(b"here"), tls=context) as partner:
        named, numbered = f"localhost:{partner.port}", f"127.0.0.1:{partner.port}"
        transport = way.to(named, numbered, tls=tls, allowed=is_loopback)

        reply = await send(transport, Request.get(f"https://{named}/hook"))
        failed = await failure(transport, Request.get(f"https://{numbered}/hook"))

    assert (reply.body, failed) == (b"here", (False, "tls", Observed.NOT_SENT))
