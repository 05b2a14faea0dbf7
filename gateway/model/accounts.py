"""Accounts that a person allowed us to read. An account always means a bank account."""

from __future__ import annotations

from typing import Literal

from gateway.model.initiations import Known
from gateway.model.money import Money
from gateway.model.parties import AccountIdentification
from gateway.model.schema import Instant, Line, Model

__all__ = [
    "Account",
    "AccountQuery",
    "Accounts",
    "Balance",
    "Balances",
    "Transaction",
    "TransactionQuery",
    "Transactions",
]


class Account(Model):
    """One account."""

    id: str  # the partner's id of the account
    currency: str
    kind: Literal["current", "savings", "credit_card", "charge_card", "loan", "mortgage", "wallet", "other"]
    holder: Literal["personal", "business"] | None = None
    nickname: Line | None = None
    identifications: tuple[AccountIdentification, ...] = ()


class Balance(Model):
    """A balance at a moment. `credit` False: the account is overdrawn."""

    account: str
    type: str  # ISO 20022 ExternalBalanceType: ITAV, ITBD, CLBD, …
    amount: Money
    credit: bool
    as_of: Instant


class Transaction(Model):
    """One entry. `credit` True: money came in."""

    account: str
    id: str | None = None
    status: Literal["booked", "pending", "rejected", "future", "information"]
    booked_at: Instant
    amount: Money
    credit: bool
    description: str | None = None


class Accounts(Model):
    """A partner's answer; `next_page` is the partner's own link to the rest."""

    accounts: tuple[Account, ...]
    next_page: str | None = None


class Balances(Model):
    """A partner's answer; `next_page` is the partner's own link to the rest."""

    balances: tuple[Balance, ...]
    next_page: str | None = None


class Transactions(Model):
    """`available_from`: how far back the partner goes, where it says so."""

    transactions: tuple[Transaction, ...]
    available_from: Instant | None = None
    next_page: str | None = None


class AccountQuery(Model):
    """A read under a consent. `page` is a link that an earlier answer gave; the wire refuses other hosts."""

    consent: Known
    account: str | None = None  # the partner's id; None: all accounts of the consent
    page: str | None = None


class TransactionQuery(AccountQuery):
    """Transactions booked within [`booked_from`, `booked_to`)."""

    booked_from: Instant | None = None
    booked_to: Instant | None = None
