"""A folder in which a gateway has worked and ended, for the commands that examine what it left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.model.payments import NewPayment
from gateway.operations.engine import Call
from gateway.sandbox import serve
from gateway.service.load import load
from gateway.service.open import opened
from tests.cli.gateway_folder import prepare
from tests.riverbank_simulator import RiverbankSimulator

__all__ = ["history", "pay"]


async def pay(folder: Path, *references: str) -> None:
    """Run a gateway for as long as these payments take."""
    async with opened(load(folder / "lendgate.toml")) as gateway:
        for reference in references:
            body = {
                "connection": "riverbank",
                "reference": reference,
                "amount": {"amount": "10.00", "currency": "CNY"},
                "method": {"type": "wallet_qr"},
                "description": "a coat",
            }
            call = Call("shop", reference, "POST /v1/payments")
            await gateway.engine.initiate("payment", NewPayment.model_validate(body), call)


@pytest.fixture
async def history(folder: Path, riverbank: Path) -> AsyncIterator[Path]:
    """A folder in which a gateway took three payments, and has ended."""
    async with await serve(RiverbankSimulator, folder / "dev" / "riverbank") as bank:
        prepare(folder, bank, 8080)
        await pay(folder, "P-1", "P-2", "P-3")
        yield folder
