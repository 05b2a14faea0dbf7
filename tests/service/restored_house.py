"""A gateway over the fictional bank whose store can be copied and put back, for tests about quarantine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.model.payments import NewPayment, NewRefund
from gateway.model.transfers import NewTransfer
from gateway.operations.engine import Answered, Call
from gateway.sandbox import Running
from gateway.service.config import Configuration
from gateway.service.load import parse
from gateway.service.open import OpenGateway
from tests.riverbank_simulator import RiverbankSimulator

ENVIRONMENT = {"INSTALLATION": "5e" * 32, "SHOP_KEY": "lg_sandbox_" + "k" * 43}


def configured(folder: Path, bank: Running[Any], more: str = "", gateway: str = "") -> Configuration:
    """A configuration with the bank's connection; the bank keeps its secret in `folder`/bank."""
    text = f"""\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
{gateway}
[clients.shop]
role = "platform"
key = "env:SHOP_KEY"
[connections.riverbank]
partner = "riverbank"
hosts = ["{bank.onboarding.hosts[0]}"]
settings = {{ url = "{bank.url}" }}
secrets = {{ shared = "file:bank/shared" }}
{more}
"""
    return parse(text, folder, environment=ENVIRONMENT)


@dataclass(frozen=True, slots=True)
class Copy:
    """A store's files as they were."""

    configuration: Configuration
    folder: Path

    @classmethod
    def take(cls, configuration: Configuration, name: str = "copy") -> Copy:
        """Of a store that nobody has open."""
        folder = configuration.database.parent / name
        folder.mkdir()
        for path in configuration.database.parent.glob(f"{configuration.database.name}*"):
            shutil.copy(path, folder)
        return cls(configuration, folder)

    def put_back(self) -> None:
        """As somebody does with a shell: without any command of ours."""
        for path in self.configuration.database.parent.glob(f"{self.configuration.database.name}*"):
            path.unlink()
        for path in self.folder.iterdir():
            shutil.copy(path, self.configuration.database.parent)


async def pay(gateway: OpenGateway, reference: str, amount: str = "10.00") -> Answered:
    body = {"method": {"type": "wallet_qr"}, "description": "a coat", **_body(reference, amount)}
    return await gateway.engine.initiate("payment", NewPayment.model_validate(body), call(f"pay {reference}"))


async def transfer(gateway: OpenGateway, reference: str, amount: str = "10.00") -> Answered:
    account = {"scheme": "bank_card", "identification": "6222000000000000"}
    body = {"creditor": {"name": "A Seller", "account": account}, **_body(reference, amount)}
    return await gateway.engine.initiate("transfer", NewTransfer.model_validate(body), call(f"send {reference}"))


async def refund(gateway: OpenGateway, payment: str, reference: str, amount: str = "4.00") -> Answered:
    body = NewRefund.model_validate(_body(reference, amount))
    return await gateway.engine.initiate("refund", body, call(f"refund {reference}"), parent=payment)


def call(key: str) -> Call:
    return Call("shop", key, "POST")


def effects(bank: Running[RiverbankSimulator], kind: str) -> int:
    return sum(effect.kind == kind for effect in bank.simulator.ledger.effects)


def _body(reference: str, amount: str) -> dict[str, Any]:
    money = {"amount": amount, "currency": "CNY"}
    return {"connection": "riverbank", "reference": reference, "amount": money}
