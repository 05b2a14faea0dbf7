"""What a connection may do: framing that can be read in two ways is refused, and slow senders are cut off."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.api import body
from tests.api.house import KEYS, Caller, House, housed, payment

SLOW = 0.3
"""Seconds that stand for ten in these tests."""


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    monkeypatch.setattr(body, "SECONDS_FOR_A_BODY", SLOW)
    async with housed(tmp_path, idle_seconds=SLOW) as open_house:
        yield open_house


async def raw(house: House, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send exactly these bytes, and read until the server closes."""
    parts = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def head(*lines: str, method: str = "POST", path: str = "/v1/payments") -> bytes:
    always = ("Host: lendgate", f"Authorization: Bearer {KEYS['shop']}", "Content-Type: application/json")
    lines = (f"{method} {path} HTTP/1.1", *always, "Idempotency-Key: k1", *lines)
    return "\r\n".join((*lines, "", "")).encode()


BODY = json.dumps(payment()).encode()
LENGTH = f"Content-Length: {len(BODY)}"

AMBIGUOUS = {
    "length and chunks": head(LENGTH, "Transfer-Encoding: chunked") + BODY,
    "two lengths": head(LENGTH, "Content-Length: 3") + BODY,
    "a signed length": head(f"Content-Length: +{len(BODY)}") + BODY,
    "a space before the colon": head("Transfer-Encoding : chunked") + b"0\r\n\r\n",
    "chunks by another name": head("Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "a bare CR": head("X-A: b\rX-C: d", LENGTH) + BODY,
    "two hosts": head("Host: elsewhere", LENGTH) + BODY,
    "a null byte": head("X-A: \0", LENGTH) + BODY,
    "a header line of 9 KiB": head("X-A: " + "a" * 9 * 1024, LENGTH) + BODY,
    "a request line of 9 KiB": head(LENGTH, path="/v1/payments?a=" + "a" * 9 * 1024) + BODY,
    "70 headers": head(*(f"X-{n}: 1" for n in range(70)), LENGTH) + BODY,
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("message", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_what_could_be_read_in_two_ways_is_refused(house: House, message: bytes) -> None:
    answer = await raw(house, message)

    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert house.sent() == []


async def test_what_cannot_be_parsed_is_not_logged_with_its_bytes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await raw(house, head("Host: lg_sandbox_secret", f"X-A : {KEYS['shop']}"))

    assert KEYS["shop"] not in caplog.text


async def test_an_upgrade_is_refused(house: House) -> None:
    message = head("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", method="GET", path="/docs")

    answer = await raw(house, message + head(LENGTH) + BODY)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"/problems/malformed_request" in answer
    assert answer.count(b"X-Request-Id") == 1
    assert house.sent() == []


async def test_a_silent_client_is_cut_off(house: House) -> None:
    assert await raw(house) == b""


async def test_headers_that_drip_are_cut_off(house: House) -> None:
    drops = [bytes([byte]) for byte in head(LENGTH)[:40]]

    assert await raw(house, *drops, pause=SLOW / 10) == b""


async def test_a_body_that_does_not_come_is_cut_off(house: House) -> None:
    answer = await raw(house, head("Content-Length: 500") + b'{"a":')

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"/problems/body_too_slow" in answer
    assert house.sent() == []


async def test_a_client_who_leaves_in_the_middle_of_a_body_is_no_failure_of_ours(
    house: House, shop: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    parts = urlsplit(house.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head("Content-Length: 500") + b'{"a":')
    await writer.drain()
    await asyncio.sleep(SLOW / 10)
    writer.close()

    await asyncio.sleep(SLOW / 3)

    assert (await shop.get("/healthz")).status == 200
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("chunks", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n"])
async def test_broken_chunks_are_refused(house: House, chunks: bytes) -> None:
    answer = await raw(house, head("Transfer-Encoding: chunked") + chunks)

    assert b" 400 " in answer[:16]
    assert house.sent() == []


async def test_a_body_in_pieces_is_one_body(house: House) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

    answer = await raw(house, head("Transfer-Encoding: chunked", "Connection: close"), chunks, pause=SLOW / 10)

    assert answer.startswith(b"HTTP/1.1 201 ")


async def test_a_body_in_endless_pieces_is_cut_off_at_the_limit(house: House) -> None:
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"

    answer = await raw(house, head("Transfer-Encoding: chunked"), *[piece] * 6)

    assert answer.startswith(b"HTTP/1.1 413 ") or answer == b""
    assert house.sent() == []


async def test_an_expectation_is_met_or_refused(house: House) -> None:
    met = await raw(house, head("Expect: 100-continue", LENGTH, "Connection: close"), BODY, pause=SLOW / 10)
    other = await raw(house, head("Expect: the-unexpected", LENGTH) + BODY)

    assert met.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")
    assert other.startswith(b"HTTP/1.1 400 ")


async def test_an_unknown_address_and_method_are_problems(shop: Caller) -> None:
    nowhere = await shop.get("/v2/payments")
    method = await shop.send("DELETE", "/v1/payments")

    assert (nowhere.status, nowhere.kind) == (404, "not_found")
    assert (method.status, method.kind, method.headers["Allow"]) == (405, "method_not_allowed", "POST")


async def test_every_answer_is_named_and_says_nothing_about_the_server(shop: Caller) -> None:
    answers = [await shop.get(path) for path in ("/healthz", "/v1/operations", "/nowhere", "/docs", "/v1/returns/x")]

    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)
    assert {answer.headers["Server"] for answer in answers} == {"lendgate"}
    assert {answer.headers["X-Content-Type-Options"] for answer in answers} == {"nosniff"}


async def test_a_failure_of_ours_tells_nothing_internal(
    shop: Caller, house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*arguments: object, **more: object) -> None:
        raise ZeroDivisionError("internal words")

    monkeypatch.setattr(type(house.gateway.engine), "initiate", broken)

    answer = await shop.act("/v1/payments", payment())

    assert (answer.status, answer.kind) == (500, "internal_error")
    assert (answer.body["outcome"], answer.body["retry"]) == ("unknown", "same_key")
    assert "internal words" not in answer.text
    assert answer.body["request_id"] in caplog.text
