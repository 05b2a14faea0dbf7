"""The socket: what each way of failing looks like, and what leaves."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from datetime import UTC

import pytest

from gateway.model.message import Request
from gateway.wire.observed import Observed
from gateway.wire.transport import TransportFailure, digest
from tests.wire.partner import Behaviour, Partner, answer, close, raw, reset, silence, unused_port
from tests.wire.way import Way, failure, send

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
