"""Accounts, balances and transactions: how both versions write them, and what they are in our words."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import AwareDatetime

from gateway import Account, AccountIdentification, NotUnderstood, understood
from gateway import Balance as KnownBalance
from gateway import Transaction as KnownTransaction
from lendgate_openbanking_uk.messages import SCHEMES, Amount, Heard

__all__ = ["Balance", "HeldAccount", "Listed", "Transaction"]

# OBExternalAccountSubType1Code, v3.1.11 and v4.0. E-money and prepaid cards have no code in v4.
Kind = Literal["current", "savings", "credit_card", "charge_card", "loan", "mortgage", "wallet", "other"]
KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("CurrentAccount", "CACC"), "current"),
    **dict.fromkeys(("Savings", "SVGS"), "savings"),
    **dict.fromkeys(("CreditCard", "CARD"), "credit_card"),
    **dict.fromkeys(("ChargeCard", "CHAR"), "charge_card"),
    **dict.fromkeys(("Loan", "LOAN"), "loan"),
    **dict.fromkeys(("Mortgage", "MORT"), "mortgage"),
    **dict.fromkeys(("Wallet", "WALT"), "wallet"),
}
HOLDERS: Final[dict[str, Literal["personal", "business"]]] = {"Personal": "personal", "Business": "business"}
EntryStatus = Literal["booked", "pending", "rejected", "future", "information"]
ENTRY_STATUS: Final[dict[str, EntryStatus]] = {
    "Booked": "booked",
    "BOOK": "booked",
    "Pending": "pending",
    "PDNG": "pending",
    "Rejected": "rejected",
    "RJCT": "rejected",
    "FUTR": "future",
    "INFO": "information",
}
"""OBEntryStatus1Code (v3.1.11) and ExternalEntryStatus1Code (v4.0)."""

BALANCE_TYPE: Final = {
    "ClosingAvailable": "CLAV",
    "ClosingBooked": "CLBD",
    "ForwardAvailable": "FWAV",
    "Information": "INFO",
    "InterimAvailable": "ITAV",
    "InterimBooked": "ITBD",
    "OpeningAvailable": "OPAV",
    "OpeningBooked": "OPBD",
    "PreviouslyClosedBooked": "PRCD",
    "Expected": "XPCD",
}
"""OBBalanceType1Code (v3.1.11) -> ISO 20022 as in v4.0. The three `…Cleared` types have no counterpart."""
NAMES: Final = {theirs: ours for ours, theirs in SCHEMES.items()}


class Identification(Heard):
    scheme_name: str
    identification: str
    name: str | None = None

    def known(self) -> AccountIdentification:
        """In our words."""
        said = {"scheme": NAMES[self.scheme_name], "identification": self.identification, "name": self.name}
        return understood(AccountIdentification, said)


class HeldAccount(Heard):
    """OBAccount6: v3 has AccountType and AccountSubType, v4 AccountCategory and AccountTypeCode."""

    account_id: str
    currency: str | None = None
    nickname: str | None = None
    account_type: str | None = None
    account_sub_type: str | None = None
    account_category: str | None = None
    account_type_code: str | None = None
    account: tuple[Identification, ...] = ()

    def known(self) -> Account:
        """In our words. `XXX` (ISO 4217, no currency) where the bank says none."""
        kinds, holders = self.account_sub_type or self.account_type_code, self.account_type or self.account_category
        return understood(
            Account,
            {
                "id": self.account_id,
                "currency": self.currency or "XXX",
                "kind": KINDS.get(kinds or "", "other"),
                "holder": HOLDERS.get(holders or ""),
                "nickname": self.nickname,
                "identifications": [entry.known() for entry in self.account if entry.scheme_name in NAMES],
            },
        )


class Balance(Heard):
    """One of OBReadBalance1. The amount is unsigned; the side is told beside it."""

    account_id: str
    type: str
    credit_debit_indicator: Literal["Credit", "Debit"]
    date_time: AwareDatetime
    amount: Amount

    def known(self) -> KnownBalance:
        """In our words."""
        return KnownBalance(
            account=self.account_id,
            type=BALANCE_TYPE.get(self.type, self.type),
            amount=self.amount.money,
            credit=self.credit_debit_indicator == "Credit",
            as_of=self.date_time,
        )


class Transaction(Heard):
    """OBTransaction6."""

    account_id: str
    transaction_id: str | None = None
    status: str
    credit_debit_indicator: Literal["Credit", "Debit"]
    booking_date_time: AwareDatetime
    amount: Amount
    transaction_information: str | None = None

    def known(self) -> KnownTransaction:
        """In our words. Raises `NotUnderstood` for a status that does not exist."""
        status = ENTRY_STATUS.get(self.status)
        if status is None:
            raise NotUnderstood("a transaction has a status that neither version knows")
        return KnownTransaction(
            account=self.account_id,
            id=self.transaction_id,
            status=status,
            booked_at=self.booking_date_time,
            amount=self.amount.money,
            credit=self.credit_debit_indicator == "Credit",
            description=self.transaction_information,
        )


class Lists(Heard):
    account: tuple[HeldAccount, ...] = ()
    balance: tuple[Balance, ...] = ()
    transaction: tuple[Transaction, ...] = ()


class Links(Heard):
    next: str | None = None


class Meta(Heard):
    first_available_date_time: AwareDatetime | None = None


class Listed(Heard):
    """A page of accounts, balances or transactions."""

    data: Lists
    links: Links = Links()
    meta: Meta = Meta()
