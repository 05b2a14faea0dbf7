"""A gateway works the same on a database that several processes share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.model.payments import NewPayment
from gateway.model.problems import StorageError
from gateway.operations.engine import Call
from gateway.sandbox import Running, serve
from gateway.service.load import parse
from gateway.service.offline import intents, verify_records
from gateway.service.open import opened
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.installed import RIVERBANK, installed
from tests.store.postgres_server import PostgresServer


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    running = PostgresServer()
    yield running
    running.stop()


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Running[RiverbankSimulator]]:
    async with await serve(RiverbankSimulator, tmp_path / "bank") as running:
        yield running


def text(bank: Running[RiverbankSimulator], audit: str = "") -> str:
    return f"""\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
database_url = "env:DATABASE"
[audit]
{audit}
[connections.riverbank]
partner = "riverbank"
hosts = ["{bank.onboarding.hosts[0]}"]
settings = {{ url = "{bank.url}" }}
secrets = {{ shared = "file:bank/shared" }}
"""


def payment(reference: str) -> NewPayment:
    body = {
        "connection": "riverbank",
        "reference": reference,
        "amount": {"amount": "10.00", "currency": "CNY"},
        "method": {"type": "wallet_qr"},
        "description": "a coat",
    }
    return NewPayment.model_validate(body)


async def test_two_processes_share_one_database_and_one_of_them_keeps_the_log(
    tmp_path: Path, server: PostgresServer, bank: Running[RiverbankSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"INSTALLATION": "5e" * 32, "DATABASE": await server.schema()}
    first = parse(text(bank), tmp_path, environment=environment)
    second = parse(text(bank, "publish = false"), tmp_path, environment=environment)
    (tmp_path / "site").mkdir()

    with installed(tmp_path / "site", monkeypatch, riverbank=RIVERBANK):
        async with opened(first) as one, opened(second) as other:
            await one.engine.initiate("payment", payment("P-1"), Call("shop", "k1", "POST /v1/payments"))
            await other.engine.initiate("payment", payment("P-2"), Call("shop", "k2", "POST /v1/payments"))
            with pytest.raises(StorageError, match="another process writes the log"):
                async with opened(first):
                    pass

    report = await asyncio.to_thread(verify_records, first)
    assert report.passed
    assert [intent["observed"] for intent in await asyncio.to_thread(lambda: list(intents(first)))] == ["genuine"] * 2
    assert len(bank.simulator.ledger.effects) == 2


def test_the_databases_url_is_a_secret(bank: Running[RiverbankSimulator], tmp_path: Path) -> None:
    environment = {"INSTALLATION": "5e" * 32, "DATABASE": "postgresql://lendgate:hidden@db.example/lendgate"}

    configuration = parse(text(bank), tmp_path, environment=environment)

    assert "hidden" not in repr(configuration)
