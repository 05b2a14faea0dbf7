"""The socket: what each way of failing looks like, what leaves, and that nothing leaves without a proof."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.model.clock import SystemClock
from gateway.model.message import Reply, Request
from gateway.model.problems import AdapterError, ConfigurationError
from gateway.store.interface import Draft, Row
from gateway.store.work import Durable, Work
from gateway.wire.observed import Observed, Seen, classify
from gateway.wire.transport import TLS, Transport, TransportFailure, digest
from tests.wire.partner import Behaviour, Partner, answer, close, raw, reset, silence, unused_port


class Sink:
    """A store that takes every row: here only what is proven by a commit matters."""

    async def commit(self, rows: Sequence[Row]) -> None: ...


async def durable(request: Request, of: str | None = None) -> Durable:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    draft = Draft("rec_1", "op_1", "shop", "intent", at, lambda *_: (b"", ""), digest=of or digest(request))
    return await Work(Sink()).intend(draft)  # type: ignore[arg-type]  # it needs no more of a store than `commit`


class Way:
    """Transports that are closed at the end of the test."""

    def __init__(self) -> None:
        self._opened: list[Transport] = []

    def to(self, *hosts: str, tls: TLS | None = None, **settings: Any) -> Transport:
        transport = Transport("riverbank-main", hosts, SystemClock(), tls=tls, **settings)
        self._opened.append(transport)
        return transport

    async def close(self) -> None:
        for transport in self._opened:
            await transport.close()


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    way = Way()
    yield way
    await way.close()


async def send(transport: Transport, request: Request, seconds: float = 5) -> Reply:
    transport.admit(request)
    return await transport.send(request, await durable(request), seconds)


async def failure(transport: Transport, request: Request, seconds: float = 5) -> tuple[bool, str, Observed]:
    with pytest.raises(TransportFailure) as caught:
        await send(transport, request, seconds)
    seen = Seen(caught.value.headers_sent, caught.value.kind)
    return caught.value.headers_sent, caught.value.kind, classify(seen)


SENT, NOT_SENT, SILENCE, UNPROVEN = True, Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN

AFTER_THE_REQUEST: dict[str, tuple[Behaviour, str, Observed]] = {
    "the connection ends in order": (close, "disconnected", SILENCE),
    "the connection is reset": (reset, "reset", SILENCE),
    "silence": (silence, "timeout", SILENCE),
    "half a status line": (raw(b"HTTP/1.1 20"), "disconnected", SILENCE),
    "half a head": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "disconnected", SILENCE),
    "half a body": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), "truncated", SILENCE),
    "half a chunk": (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\nhalf"), "truncated", SILENCE),
    "a body that stops": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", close=False), "timeout", SILENCE),
    "garbage": (raw(b"\x00\xffnot http at all\r\n\r\n"), "malformed", UNPROVEN),
    "two lengths": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), "malformed", UNPROVEN),
    "an endless header": (raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"), "malformed", UNPROVEN),
    "too many headers": (raw(b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200 + b"\r\n"), "malformed", UNPROVEN),
    "a bomb": (answer(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip"), "compressed", UNPROVEN),
    "too long": (answer(bytes(70_000)), "too_large", UNPROVEN),
    "too long, in chunks": (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"8000\r\n" + bytes(0x8000) + b"\r\n") * 3),
        "too_large",
        UNPROVEN,
    ),
}


@pytest.mark.parametrize("case", AFTER_THE_REQUEST)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_fails_after_the_headers_may_have_arrived(way: Way, case: str, method: str) -> None:
    behaviour, kind, observed = AFTER_THE_REQUEST[case]
    async with Partner(behaviour) as partner:
        request = Request(method, partner.url(), body=b"{}" if method == "POST" else b"")
        transport = way.to(partner.host, reply_bytes_at_most=65_536)

        seconds = 0.3 if kind == "timeout" else 5
        assert await failure(transport, request, seconds) == (SENT, kind, observed)
        assert len(partner.arrivals) == 1


async def test_a_refused_connection_was_not_sent(way: Way) -> None:
    request = Request.post(f"http://127.0.0.1:{unused_port()}/payments", b"{}")

    assert await failure(way.to(request.origin), request) == (False, "connect", NOT_SENT)


async def test_a_name_that_does_not_exist_was_not_sent(way: Way) -> None:
    request = Request.post("https://bank.invalid/payments", b"{}")

    assert await failure(way.to("bank.invalid"), request) == (False, "dns", NOT_SENT)


async def test_a_reset_right_after_the_connection_counts_as_sent_if_the_headers_were_on_their_way(way: Way) -> None:
    async with Partner(on_connect=reset) as partner:
        sent, kind, observed = await failure(way.to(partner.host), Request.post(partner.url(), b"{}"))

    assert (sent, observed) == (SENT, SILENCE)
    assert kind in ("disconnected", "reset")


async def test_a_connection_that_does_not_come_about_in_time_was_not_sent(way: Way) -> None:
    async with Partner(silence) as partner:  # it speaks no TLS, so the handshake never ends
        request = Request.post(partner.url(scheme="https"), b"{}")

        sent, kind, observed = await failure(way.to(partner.host), request, 0.3)

    assert (sent, observed) == (False, NOT_SENT)
    assert kind in ("timeout", "connect_timeout")


async def test_without_time_nothing_leaves(way: Way) -> None:
    async with Partner(answer()) as partner:
        assert await failure(way.to(partner.host), Request.get(partner.url()), 0) == (False, "deadline", NOT_SENT)
        assert partner.connections == 0


async def test_a_full_pool_was_not_sent(way: Way) -> None:
    async with Partner(silence) as partner:
        transport = way.to(partner.host, connections=1)
        first = asyncio.create_task(failure(transport, Request.get(partner.url()), 1))
        await partner.arrived()

        sent, _, observed = await failure(transport, Request.post(partner.url(), b"{}"), 0.2)

        assert (sent, observed) == (False, NOT_SENT)
        assert await first == (SENT, "timeout", SILENCE)


async def test_a_closed_transport_was_not_sent(way: Way) -> None:
    async with Partner(answer()) as partner:
        transport = way.to(partner.host)
        await send(transport, Request.get(partner.url()))
        await transport.close()

        assert await failure(transport, Request.get(partner.url())) == (False, "other", NOT_SENT)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
async def test_a_kept_connection_that_drops_gets_the_request_once(way: Way, method: str) -> None:
    async with Partner(answer(), close, answer()) as partner:
        transport = way.to(partner.host)
        await send(transport, Request.get(partner.url()))

        request = Request(method, partner.url(), body=b"" if method in ("GET", "DELETE") else b"{}")
        assert await failure(transport, request) == (SENT, "disconnected", SILENCE)

        assert [arrival.method for arrival in partner.arrivals] == ["GET", method]
        assert partner.connections == 1


async def test_a_reply_comes_back_as_it_was_said(way: Way) -> None:
    async with Partner(answer(b'{"code":"PAID"}\xff', 201, X_Signature="ab", Set_Cookie="a=1")) as partner:
        reply = await send(way.to(partner.host), Request.post(partner.url(), b"{}"))

    assert (reply.status, reply.body) == (201, b'{"code":"PAID"}\xff')
    assert reply.header("x-signature") == "ab"
    assert reply.received_at.tzinfo is UTC


async def test_a_body_in_pieces_is_put_together(way: Way) -> None:
    async def pieces(writer: asyncio.StreamWriter, arrival: object) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)
        writer.write(b"2\r\nde\r\n0\r\n\r\n")

    async with Partner(pieces) as partner:
        assert (await send(way.to(partner.host), Request.get(partner.url()))).body == b"abcde"


async def test_what_leaves_is_exactly_the_request(way: Way) -> None:
    async with Partner(answer()) as partner:
        url = partner.url("/pay%2Fments/../x?a=%7B%22b%22:+1%7D&b=~%C3%BC;c")
        request = Request("POST", url, (("X-Signature", "s=="), ("X-Twice", "1"), ("X-Twice", "2")), b'{"a": 1}\n')
        await send(way.to(partner.host), request)

    (arrival,) = partner.arrivals
    assert (arrival.method, arrival.target, arrival.body) == (request.method, request.target, request.body)
    assert arrival.headers == (
        ("Host", partner.host),
        ("User-Agent", "lendgate"),
        ("Accept-Encoding", "identity"),
        ("X-Signature", "s=="),
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("Accept", "*/*"),
        ("Content-Length", "9"),
    )
    sent = hashlib.sha256(b"\n".join((arrival.method.encode(), arrival.target.encode(), arrival.body))).hexdigest()
    assert sent == digest(request)


async def test_cookies_are_not_kept(way: Way) -> None:
    async with Partner(answer(Set_Cookie="session=1; Path=/")) as partner:
        transport = way.to(partner.host)
        await send(transport, Request.get(partner.url()))
        await send(transport, Request.get(partner.url()))

    assert [arrival.header("Cookie") for arrival in partner.arrivals] == [None, None]
    assert partner.connections == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(way: Way, status: int) -> None:
    async with Partner(answer()) as elsewhere, Partner(answer(b"", status, Location=elsewhere.url())) as partner:
        reply = await send(way.to(partner.host, elsewhere.host), Request.post(partner.url(), b"{}"))

    assert reply.status == status
    assert elsewhere.arrivals == []


async def test_the_environment_chooses_no_proxy(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Partner(answer()) as proxy, Partner(answer(b"direct")) as partner:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.host}")

        reply = await send(way.to(partner.host), Request.get(partner.url()))

    assert reply.body == b"direct"
    assert proxy.arrivals == []


async def test_a_cancelled_send_leaves_no_connection_behind(way: Way) -> None:
    async with Partner(silence, answer()) as partner:
        transport = way.to(partner.host, connections=1)
        task = asyncio.create_task(send(transport, Request.get(partner.url())))
        await partner.arrived()

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (await send(transport, Request.get(partner.url()))).status == 200


async def test_a_failure_tells_nothing_of_what_was_sent(way: Way) -> None:
    async with Partner(close) as partner:
        request = Request.get(partner.url("/x?access_token=hush"))
        with pytest.raises(TransportFailure) as caught:
            await send(way.to(partner.host), request)

    assert "hush" not in f"{caught.value} {caught.value.__cause__} {caught.value.__suppress_context__}"
    assert caught.value.__suppress_context__


# The gate


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


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA()


def server(authority: trustme.CA, *, name: str = "127.0.0.1", clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


def client(ca: trustme.CA, trusts: trustme.CA) -> TLS:
    leaf = ca.issue_cert("gateway@lender.example")
    chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return TLS(pem(trusts), chain, leaf.private_key_pem.bytes().decode())


async def test_the_partners_certificate_leads_to_the_connections_own_authority(way: Way, authority: trustme.CA) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        reply = await send(way.to(partner.host, tls=TLS(pem(authority))), Request.get(partner.url(scheme="https")))

    assert reply.body == b"hello"


@pytest.mark.parametrize("case", ["stranger", "other name", "system roots"])
async def test_a_certificate_that_proves_nothing_was_not_sent(
    way: Way, authority: trustme.CA, stranger: trustme.CA, case: str
) -> None:
    name = "bank.example" if case == "other name" else "127.0.0.1"
    tls = {"stranger": TLS(pem(stranger)), "other name": TLS(pem(authority)), "system roots": None}[case]
    async with Partner(answer(), tls=server(authority, name=name)) as partner:
        request = Request.post(partner.url(scheme="https"), b"{}")

        assert await failure(way.to(partner.host, tls=tls), request) == (False, "tls", NOT_SENT)
        assert partner.arrivals == []


async def test_tls_1_1_was_not_sent(way: Way, authority: trustme.CA) -> None:
    context = server(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with Partner(answer(), tls=context) as partner:
        sent, _, observed = await failure(
            way.to(partner.host, tls=TLS(pem(authority))), Request.get(partner.url(scheme="https"))
        )

    assert (sent, observed) == (False, NOT_SENT)


async def test_our_certificate_is_shown_where_it_is_asked_for(
    way: Way, authority: trustme.CA, stranger: trustme.CA
) -> None:
    async with Partner(answer(b"hello"), tls=server(authority, clients=stranger)) as partner:
        reply = await send(
            way.to(partner.host, tls=client(stranger, authority)), Request.get(partner.url(scheme="https"))
        )

    assert reply.body == b"hello"


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        # Up to TLS 1.2 the server looks at our certificate before the handshake ends.
        (ssl.TLSVersion.TLSv1_2, False),
        # In TLS 1.3 our handshake is over, and the request on its way, before the server refuses.
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_a_missing_client_certificate_is_told_by_whether_the_headers_had_left(
    way: Way, authority: trustme.CA, version: ssl.TLSVersion, sent: bool
) -> None:
    context = server(authority, clients=authority)
    context.maximum_version = version
    async with Partner(answer(), tls=context) as partner:
        request = Request.post(partner.url(scheme="https"), b"{}")

        headers_sent, _, observed = await failure(way.to(partner.host, tls=TLS(pem(authority))), request)

    assert (headers_sent, observed) == ((True, SILENCE) if sent else (False, NOT_SENT))
    assert partner.arrivals == []


async def test_renewed_certificates_are_used_from_the_next_connection_on(
    way: Way, authority: trustme.CA, stranger: trustme.CA
) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        transport = way.to(partner.host, tls=TLS(pem(stranger)))
        request = Request.get(partner.url(scheme="https"))
        assert (await failure(transport, request))[2] is NOT_SENT

        transport.renew_tls(TLS(pem(authority)))

        assert (await send(transport, request)).body == b"hello"


async def test_certificates_that_cannot_be_used_change_nothing(way: Way, authority: trustme.CA) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        transport = way.to(partner.host, tls=TLS(pem(authority)))

        with pytest.raises(ConfigurationError, match="riverbank-main: the TLS certificates cannot be used"):
            transport.renew_tls(TLS("no pem"))

        assert (await send(transport, Request.get(partner.url(scheme="https")))).status == 200


def test_a_key_of_another_certificate_is_refused(authority: trustme.CA, stranger: trustme.CA) -> None:
    first, second = client(authority, authority), client(stranger, authority)

    with pytest.raises(ConfigurationError):
        Transport("riverbank-main", ["bank.example"], SystemClock(), tls=TLS(None, first.certificate, second.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(authority: trustme.CA) -> None:
    pair = client(authority, authority)
    key = load_pem_private_key((pair.key or "").encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")).decode()

    with pytest.raises(ConfigurationError):
        TLS(None, pair.certificate, locked).context("riverbank-main")


def test_where_files_in_memory_are_missing_a_private_file_is_used(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.memfd_create")

    assert client(authority, authority).context("riverbank-main").verify_mode is ssl.CERT_REQUIRED


def test_the_key_is_in_no_repr(authority: trustme.CA) -> None:
    assert "PRIVATE" not in repr(client(authority, authority))
