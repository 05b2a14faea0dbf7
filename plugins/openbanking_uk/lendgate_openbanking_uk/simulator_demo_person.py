"""The accounts of the person who banks here: a current account with half a year of salary and bills, savings, a card.

Everything is laid out relative to the moment when the bank opens, and is the same for the same moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

__all__ = ["Entry", "HeldAccount", "demo_accounts", "demo_entries"]

MONTHS: Final = 6
DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class HeldAccount:
    """One account. `kinds` are AccountSubType (v3) and AccountTypeCode (v4)."""

    id: str
    kinds: tuple[str, str]
    nickname: str
    scheme: str
    number: str
    balance: Decimal

    def resource(self, version: str, opened: str, *, detail: bool, pan: bool) -> dict[str, Any]:
        """OBAccount6. The basic permission leaves the identifications out; a PAN is masked without ReadPAN."""
        body: dict[str, Any] = {"AccountId": self.id, "Status": "Enabled", "Currency": "GBP", "Nickname": self.nickname}
        if version == "v3.1":
            body |= {"AccountType": "Personal", "AccountSubType": self.kinds[0]}
        else:
            body |= {"StatusUpdateDateTime": opened, "AccountCategory": "Personal", "AccountTypeCode": self.kinds[1]}
        if detail:
            masked = self.scheme == "UK.OBIE.PAN" and not pan
            number = f"{'x' * 12}{self.number[-4:]}" if masked else self.number
            body["Account"] = [{"SchemeName": self.scheme, "Identification": number, "Name": "B Orrower"}]
        return body


@dataclass(frozen=True)
class Entry:
    """One line of a statement. `credit`: money came in."""

    account: str
    id: str
    booked: datetime
    amount: Decimal
    credit: bool
    text: str
    pending: bool = False

    def resource(self, version: str, *, detail: bool) -> dict[str, Any]:
        """OBTransaction6. The basic permission leaves the text out."""
        statuses = {"v3.1": ("Booked", "Pending"), "v4.0": ("BOOK", "PDNG")}
        body: dict[str, Any] = {
            "AccountId": self.account,
            "TransactionId": self.id,
            "CreditDebitIndicator": "Credit" if self.credit else "Debit",
            "Status": statuses[version][self.pending],
            "BookingDateTime": self.booked.isoformat(timespec="seconds"),
            "Amount": {"Amount": str(self.amount), "Currency": "GBP"},
        }
        return {**body, "TransactionInformation": self.text} if detail else body


def demo_accounts() -> Mapping[str, HeldAccount]:
    """By account id."""
    sort_code = "UK.OBIE.SortCodeAccountNumber"
    held = (
        HeldAccount("acc-1", ("CurrentAccount", "CACC"), "Bills", sort_code, "20325412345678", Decimal("1230.00")),
        HeldAccount("acc-2", ("Savings", "SVGS"), "Rainy days", sort_code, "20325487654321", Decimal("5400.00")),
        HeldAccount("acc-3", ("CreditCard", "CARD"), "Card", "UK.OBIE.PAN", "4000000000001234", Decimal("-310.45")),
    )
    return {account.id: account for account in held}


def demo_entries(now: datetime) -> list[Entry]:
    """Newest first."""
    return sorted(_entries(now), key=lambda entry: (entry.booked, entry.id), reverse=True)


def _entries(now: datetime) -> Iterator[Entry]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for month in range(MONTHS):
        payday = midnight - (4 + 30 * month) * DAY
        yield Entry("acc-1", f"tx-{month}-salary", payday, Decimal("2100.00"), True, "SALARY ACME LTD")
        yield Entry("acc-1", f"tx-{month}-rent", payday - DAY, Decimal("850.00"), False, "RENT J LANDLORD")
        yield Entry("acc-1", f"tx-{month}-saving", payday + DAY, Decimal("150.00"), False, "TO SAVINGS")
        yield Entry("acc-2", f"tx-{month}-saved", payday + DAY, Decimal("150.00"), True, "FROM CURRENT")
        for week in range(4):
            spent = Decimal("61.20") + week + month
            shop = payday - (7 * week + 2) * DAY
            yield Entry("acc-1", f"tx-{month}-food-{week}", shop, spent, False, "GROCERIES 0412")
            yield Entry("acc-3", f"tx-{month}-card-{week}", shop, Decimal("17.30"), False, "COFFEE HOUSE")
    yield Entry("acc-1", "tx-pending", midnight - DAY, Decimal("9.99"), False, "STREAMING", pending=True)
