"""An address that is near us is known in every form; a name is as good as the addresses behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.wire.addresses import NotAllowed, is_loopback, is_public, literal, lookup

NEAR = """
127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
169.254.0.1 100.64.0.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255 ::1 :: fe80::1 fe80::1%1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1
::ffff:169.254.169.254 ::ffff:7f00:1 64:ff9b::127.0.0.1 ::127.0.0.1 192.0.0.192 4000::1 64:ff9b::a9fe:a9fe
2002:7f00:1:: 2002:a00:1:: 2001:0:7f00:1:: 2001:0:4136:e378:8000:63bf:80ff:fffe
""".split()
FAR = "1.1.1.1 8.8.8.8 93.184.216.34 2606:4700:4700::1111 2001:4860:4860::8888 64:ff9b::8.8.8.8".split()


@pytest.mark.parametrize("text", NEAR)
def test_what_is_near_is_not_public(text: str) -> None:
    address = literal(text)

    assert address is not None
    assert not is_public(address)


@pytest.mark.parametrize("text", FAR)
def test_what_is_far_is_public(text: str) -> None:
    address = literal(text)

    assert address is not None
    assert is_public(address)
    assert not is_loopback(address)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "[::1]"])
def test_this_machine_is_known_in_every_form(text: str) -> None:
    address = literal(text)

    assert address is not None
    assert is_loopback(address)


async def test_of_a_name_only_the_addresses_that_may_be_called_count(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(*asked: Any, **how: Any) -> list[Any]:
        return [(0, 0, 0, "", (one, 443)) for one in ("10.0.0.1", "8.8.8.8", "::1", "8.8.8.8")]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)

    assert await lookup("shop.example", 443, is_public) == ["8.8.8.8"]


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
async def test_a_name_that_means_this_machine_leads_nowhere(host: str) -> None:
    with pytest.raises(NotAllowed):
        await lookup(host, 443, is_public)
