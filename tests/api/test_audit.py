"""The transparency log over HTTP: static files, and nothing beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.api.app import create_app
from tests.api.house import KEYS, House

Client = TestClient  # type: ignore[type-arg]  # the request type does not matter here


@pytest.fixture
async def client(house: House, tmp_path: Path) -> AsyncIterator[Client]:
    log = tmp_path / "log"
    (log / "tile" / "0").mkdir(parents=True)
    (log / "tile" / "entries" / "x001").mkdir(parents=True)
    (log / ".state").mkdir()
    (log / "checkpoint").write_bytes(b"lendgate/1\n3\nroot\n")
    (log / "tile" / "0" / "000").write_bytes(b"\x01" * 32)
    (log / "tile" / "entries" / "x001" / "234").write_bytes(b"\x00\x01x")
    (log / ".state" / "head").write_bytes(b"private")
    async with TestClient(TestServer(create_app(replace(house.gateway, audit_log=log)))) as opened:
        yield opened


async def test_the_checkpoint_is_served_anew_each_time(client: Client) -> None:
    answer = await client.get("/v1/audit/checkpoint")

    assert (answer.status, await answer.read()) == (200, b"lendgate/1\n3\nroot\n")
    assert answer.headers["Cache-Control"] == "no-cache"


async def test_a_hash_tile_may_be_kept_for_ever(client: Client) -> None:
    answer = await client.get("/v1/audit/tile/0/000")

    assert (answer.status, await answer.read()) == (200, b"\x01" * 32)
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("shop", 403), ("auditor", 200)])
async def test_entries_are_for_auditors(client: Client, who: str | None, status: int) -> None:
    headers = {} if who is None else {"Authorization": f"Bearer {KEYS[who]}"}

    answer = await client.get("/v1/audit/tile/entries/x001/234", headers=headers)

    assert answer.status == status


@pytest.mark.parametrize(
    "path", ["0/001", "0/000.p/5", "..%2f.state%2fhead", "99/000", "entries%2f..%2f0/000", "0//000"]
)
async def test_nothing_else_is_served(client: Client, path: str) -> None:
    answer = await client.get(f"/v1/audit/tile/{path}")

    assert answer.status == 404


async def test_a_process_that_publishes_no_log_says_so(house: House) -> None:
    answer = await house.caller("auditor").get("/v1/audit/checkpoint")

    assert answer.status == 404
    assert "does not publish" in answer.body["detail"]
