"""Money out: transfers to a bank account or a wallet."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from gateway.model.initiations import Initiation, Inquiry, New
from gateway.model.money import Money
from gateway.model.parties import AccountIdentification, Address
from gateway.model.schema import PERSONAL, Line, Model, Name

__all__ = ["Creditor", "NewTransfer", "TransferInitiation", "TransferInquiry"]


class Creditor(Model):
    """Who gets the money."""

    name: Annotated[Name, PERSONAL]
    account: AccountIdentification
    address: Address | None = None


class NewTransfer(New):
    """Send money to a creditor."""

    amount: Money
    creditor: Creditor
    debtor_account: AccountIdentification | None = None
    urgency: Literal["normal", "fast", "instant"] = "normal"
    execution_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")] | None = None
    remittance: Line | None = None  # what the creditor reads
    purpose: Line | None = None
    return_url: Annotated[str, StringConstraints(pattern=r"^https?://\S{1,500}$")] | None = None


class TransferInitiation(Initiation, NewTransfer):
    """A transfer for an adapter."""


class TransferInquiry(Inquiry):
    """What became of a transfer?"""
