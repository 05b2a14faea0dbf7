"""Nothing leaves without a proof, and nothing to where it must not go."""

from __future__ import annotations

import pytest

from gateway.model.clock import SystemClock
from gateway.model.message import Request
from gateway.model.problems import AdapterError
from gateway.store.work import Durable
from gateway.wire.transport import Transport, digest
from tests.wire.partner import Partner, answer
from tests.wire.way import Way, durable


async def test_nothing_leaves_with_a_proof_that_was_used(way: Way) -> None:
    async with Partner(answer()) as partner:
        transport, request = way.to(partner.host), Request.get(partner.url())
        proof = await durable(request)
        await transport.send(request, proof, 5)

        with pytest.raises(RuntimeError, match="nothing leaves without"):
            await transport.send(request, proof, 5)

        assert len(partner.arrivals) == 1


@pytest.mark.parametrize(
    "other",
    [
        Request("POST", "http://127.0.0.1/a", body=b"1"),
        Request("PUT", "http://127.0.0.1/a", body=b"2"),
        Request("PUT", "http://127.0.0.1/b", body=b"1"),
        Request("PUT", "http://127.0.0.1/a?x", body=b"1"),
    ],
    ids=["method", "body", "path", "query"],
)
async def test_nothing_leaves_with_the_proof_of_another_request(way: Way, other: Request) -> None:
    async with Partner(answer()) as partner:
        request = Request("PUT", partner.url("/a"), body=b"1")

        with pytest.raises(RuntimeError, match="nothing leaves without"):
            await way.to(partner.host).send(request, await durable(request, of=digest(other)), 5)

        assert partner.connections == 0


async def test_nobody_else_can_make_a_proof() -> None:
    with pytest.raises(TypeError):
        Durable(object(), "rec_1", "00")


# Admission


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request.get("https://other.example/a"), r"may not call other.example:443; if it should, add that"),
        (Request.get("https://bank.example:8443/a"), "may not call bank.example:8443"),
        (Request.get("http://bank.example/a"), "must be called by https"),
        (Request.get("https://user:pw@bank.example/a"), "must not carry credentials"),
        (Request.get("https://bank.example/a b"), "percent-encoded"),
        (Request.get("https://bank.example/ü"), "percent-encoded"),
        (Request.get("https://bank.example/a\r\nX: 1"), "percent-encoded"),
        (Request.get("https://bank.example/a?"), "empty query"),
        (Request.get("https://bank.example/a#b"), "fragment"),
        (Request("get", "https://bank.example/a"), "the method 'get' is none of"),
        (Request("CONNECT", "https://bank.example/a"), "is none of"),
        (Request("GET", "https://bank.example/a", (("X-A", "1\r\nX-B: 2"),)), "no header may hold"),
        (Request("GET", "https://bank.example/a", (("X A", "1"),)), "no header may hold"),
        (Request("GET", "https://bank.example/a", (("Content-Length", "1"),)), "written by the transport"),
        (Request("GET", "https://bank.example/a", (("HOST", "x"),)), "written by the transport"),
        (Request("POST", "https://bank.example/a", body=bytes(1024 * 1024 + 1)), "longer than 1048576"),
    ],
)
def test_what_would_not_leave_exactly_as_it_stands_is_refused(way: Way, request_: Request, why: str) -> None:
    with pytest.raises(AdapterError, match=why):
        way.to("bank.example").admit(request_)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("bank.example", "https://bank.example/a"),
        ("BANK.example:443", "https://Bank.Example/a"),
        ("bank.example:8443", "https://bank.example:8443/a?b=1"),
        ("127.0.0.1:80", "http://127.0.0.1/a"),
        ("localhost:8080", "http://localhost:8080"),
        ("[::1]:8080", "http://[::1]:8080/a"),
        ("[::1]", "https://[::1]/a"),
    ],
)
def test_hosts_are_named_with_their_port_or_mean_443(way: Way, host: str, url: str) -> None:
    way.to(host).admit(Request.get(url))


@pytest.mark.parametrize("url", ["https://bank.com", "https://bank.co.example/a", "https://bank.com?/a", "https:///a"])
def test_a_host_that_begins_like_one_that_was_admitted_is_another(way: Way, url: str) -> None:
    transport = way.to("bank.co")
    for _ in range(2):
        transport.admit(Request.get("https://bank.co/a"))
        transport.admit(Request.get("https://bank.co"))

    with pytest.raises(AdapterError, match="may not call"):
        transport.admit(Request.get(url))


def test_plain_http_to_another_machine_must_be_asked_for() -> None:
    transport = Transport("riverbank-main", ["bank.example:80"], SystemClock(), plain=True)

    transport.admit(Request.get("http://bank.example/a"))
