"""A partner's new key is taken only if it leads to a root that the connection pins."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.model.problems import Refused
from gateway.sandbox import DevelopmentCA
from gateway.service.load import parse
from gateway.service.open import OpenGateway, opened
from tests.service.installed import installed
from tests.service.lakebank import Bank


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "site").mkdir()
    with installed(tmp_path / "site", monkeypatch, lakebank="from tests.service.lakebank import adapters"):
        yield


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    async with Bank(tmp_path / "bank").served() as bank:
        yield bank


def configured(bank: Bank, folder: Path, roots: str) -> str:
    (folder / "k1.pem").write_text(bank.certificate("k1"))
    return f"""\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
[connections.lakebank]
partner = "lakebank"
hosts = ["{bank.url.removeprefix("http://")}"]
settings = {{ url = "{bank.url}" }}
partner_keys = {{ k1 = "file:k1.pem" }}
{roots}
"""


@pytest.fixture
async def gateway(bank: Bank, tmp_path: Path) -> AsyncIterator[OpenGateway]:
    """One whose connection pins the bank's authority."""
    text = configured(bank, tmp_path, f'partner_roots = "file:{bank.authority.certificate_path}"')
    async with opened(parse(text, tmp_path, environment={"INSTALLATION": "5e" * 32})) as gateway:
        yield gateway


async def balance(gateway: OpenGateway) -> str:
    read = await gateway.reads.partner_balance(gateway.connections.named("lakebank"), "shop")
    return str(read.available.amount)


async def test_a_key_that_leads_to_a_pinned_root_is_taken_and_recorded(gateway: OpenGateway, bank: Bank) -> None:
    bank.current = "k2"

    assert await balance(gateway) == "100.00"
    assert await balance(gateway) == "100.00"

    assert bank.fetched == ["k2"]
    leaves = [json.loads(entry.leaf) for entry in await gateway.store.entries()]
    (learnt,) = [leaf for leaf in leaves if leaf.get("what") == "partner_key_learnt"]
    assert learnt["detail"] == {"connection": "lakebank", "partner": "lakebank", "key_id": "k2"}


async def test_all_that_wait_for_a_key_share_one_fetch(gateway: OpenGateway, bank: Bank) -> None:
    bank.current = "k2"

    await asyncio.gather(*(balance(gateway) for _ in range(5)))

    assert bank.fetched == ["k2"]


async def test_a_key_of_somebody_else_proves_nothing_and_is_not_asked_for_again(
    gateway: OpenGateway, bank: Bank, tmp_path: Path
) -> None:
    bank.current = "k2"
    (tmp_path / "stranger").mkdir()
    bank.authority = DevelopmentCA(tmp_path / "stranger", "stranger")

    for _ in range(2):
        with pytest.raises(Refused, match="no usable answer"):
            await balance(gateway)

    assert bank.fetched == ["k2"]


async def test_without_pinned_roots_nothing_is_learnt(bank: Bank, tmp_path: Path) -> None:
    text = configured(bank, tmp_path, "")
    bank.current = "k2"

    async with opened(parse(text, tmp_path, environment={"INSTALLATION": "5e" * 32})) as gateway:
        with pytest.raises(Refused, match="no usable answer"):
            await balance(gateway)

    assert bank.fetched == []
