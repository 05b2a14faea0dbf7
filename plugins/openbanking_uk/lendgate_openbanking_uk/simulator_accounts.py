"""Account information: consents, and what a person shared by them. Nothing here is signed (OBIE v3.1.11, v4.0).

Rules
- Permissions decide what is returned (400 for combinations that make no sense, 403 for what was not granted).
- Transactions are cut to the consent's window silently. Query times carry no zone and are UTC; a zone is ignored.
- Pages have 25 records; a page link carries an opaque parameter and is good only for the consent that it was made for.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from lendgate_openbanking_uk.simulator_bodies import ACCOUNT_CONSENT, problems_of
from lendgate_openbanking_uk.simulator_consents import Consent, ConsentBook, moment_text
from lendgate_openbanking_uk.simulator_demo_person import Entry, demo_accounts, demo_entries
from lendgate_openbanking_uk.simulator_refusals import Problem, Refused, RefusedBare

__all__ = ["AccountDesk"]

RECORDS_A_PAGE: Final = 25  # the least that the standard allows
BALANCE_TYPES: Final = {"v3.1": ("InterimAvailable", "InterimBooked"), "v4.0": ("ITAV", "ITBD")}
ZONE: Final = re.compile(r"(Z|[+-]\d\d:?\d\d)$")


@dataclass(frozen=True)
class Pages:
    """A result that did not fit one page."""

    consent: str
    place: str
    records: Sequence[Mapping[str, Any]]
    offset: int


class AccountDesk:
    """Keeps account consents, and answers under them."""

    def __init__(self, url: str, consents: ConsentBook, now: datetime) -> None:
        self.accounts = demo_accounts()
        self.entries: list[Entry] = demo_entries(now)
        self._opened = moment_text(now)
        self._url = url
        self._consents = consents
        self._pages: dict[str, Pages] = {}

    def create_consent(self, version: str, body: Any, now: datetime) -> dict[str, Any]:
        """POST /account-access-consents."""
        problems = problems_of(ACCOUNT_CONSENT, body) or tuple(permission_problems(body["Data"], now))
        if problems:
            raise Refused(400, *problems)
        consent = Consent(f"aac-{secrets.token_hex(10)}", "accounts", version, body["Data"], body["Risk"], now, now)
        return self._consents.add(consent).body(self.place(consent))

    def place(self, consent: Consent) -> str:
        return f"{self._url}/open-banking/{consent.version}/aisp/account-access-consents/{consent.id}"

    def list_accounts(self, consent: Consent, account: str | None) -> dict[str, Any]:
        """GET /accounts and /accounts/{AccountId}."""
        granted = require(consent, "ReadAccountsBasic", "ReadAccountsDetail")
        detail, pan = "ReadAccountsDetail" in granted, "ReadPAN" in granted
        chosen = self._chosen(account)
        records = [self.accounts[id].resource(consent.version, self._opened, detail=detail, pan=pan) for id in chosen]
        return self._framed("Account", records, self._place(consent, "accounts", account))

    def balances(self, consent: Consent, account: str | None, now: datetime) -> dict[str, Any]:
        """GET /balances and /accounts/{AccountId}/balances."""
        require(consent, "ReadBalances")
        records = []
        for id in self._chosen(account):
            balance = self.accounts[id].balance
            amount = {"Amount": str(abs(balance)), "Currency": "GBP"}
            for kind in BALANCE_TYPES[consent.version]:
                side = "Credit" if balance >= 0 else "Debit"
                dated = {"Type": kind, "DateTime": moment_text(now)}
                records.append({"AccountId": id, "CreditDebitIndicator": side, **dated, "Amount": amount})
        return self._framed("Balance", records, self._place(consent, "balances", account))

    def transactions(self, consent: Consent, account: str | None, query: Mapping[str, str]) -> dict[str, Any]:
        """GET /transactions and /accounts/{AccountId}/transactions, page by page."""
        granted = require(consent, "ReadTransactionsBasic", "ReadTransactionsDetail")
        if "pg" in query:
            return self._page(consent, query["pg"])
        first = asked_moment(query, "fromBookingDateTime")
        last = asked_moment(query, "toBookingDateTime")
        chosen = self._chosen(account)
        sides = {True: "ReadTransactionsCredits" in granted, False: "ReadTransactionsDebits" in granted}
        detail = "ReadTransactionsDetail" in granted
        records = [
            entry.resource(consent.version, detail=detail)
            for entry in self.entries
            if entry.account in chosen and sides[entry.credit] and inside(entry, consent, first, last)
        ]
        place = self._place(consent, "transactions", account)
        return self._paged(Pages(consent.id, place, records, 0), place)

    def _page(self, consent: Consent, token: str) -> dict[str, Any]:
        pages = self._pages.get(token)
        if pages is None or pages.consent != consent.id:
            raise Refused.because("U002", "this page link is not valid", "pg")
        return self._paged(pages, f"{pages.place}?pg={token}")

    def _paged(self, pages: Pages, place: str) -> dict[str, Any]:
        shown = pages.records[pages.offset : pages.offset + RECORDS_A_PAGE]
        body = self._framed("Transaction", shown, place)
        body["Meta"]["TotalPages"] = max(1, -(-len(pages.records) // RECORDS_A_PAGE))
        if self.entries:
            body["Meta"]["FirstAvailableDateTime"] = moment_text(self.entries[-1].booked)
        body["Links"]["First"] = pages.place
        following = pages.offset + RECORDS_A_PAGE
        if following < len(pages.records):
            token = secrets.token_urlsafe(16)
            self._pages[token] = Pages(pages.consent, pages.place, pages.records, following)
            body["Links"]["Next"] = f"{pages.place}?pg={token}"
        return body

    def _chosen(self, account: str | None) -> list[str]:
        """Raises `RefusedBare` (403) for an account that was not shared."""
        if account is None:
            return list(self.accounts)
        if account not in self.accounts:
            raise RefusedBare(403)
        return [account]

    def _place(self, consent: Consent, resource: str, account: str | None) -> str:
        middle = "" if account is None else f"accounts/{account}/"
        path = f"accounts/{account}" if resource == "accounts" and account else f"{middle}{resource}"
        return f"{self._url}/open-banking/{consent.version}/aisp/{path}"

    @staticmethod
    def _framed(name: str, records: Sequence[Mapping[str, Any]], place: str) -> dict[str, Any]:
        return {"Data": {name: list(records)}, "Links": {"Self": place}, "Meta": {"TotalPages": 1}}


def require(consent: Consent, *permissions: str) -> set[str]:
    """What the consent grants. Raises `RefusedBare` (403) if it has none of `permissions`."""
    granted = set(consent.given["Permissions"])
    if not granted & set(permissions):
        raise RefusedBare(403)
    return granted


def permission_problems(data: Mapping[str, Any], now: datetime) -> Iterator[Problem]:
    """OBIE "Account Access Consents", Permissions: which combinations make sense."""
    granted, path = set(data["Permissions"]), "Data.Permissions"
    if not granted & {"ReadAccountsBasic", "ReadAccountsDetail"}:
        yield Problem("U004", "ReadAccountsBasic or ReadAccountsDetail is needed", path)
    levels = bool(granted & {"ReadTransactionsBasic", "ReadTransactionsDetail"})
    sides = bool(granted & {"ReadTransactionsCredits", "ReadTransactionsDebits"})
    if levels != sides:
        yield Problem("U004", "transactions need a level (Basic, Detail) and a side (Credits, Debits)", path)
    moments = {name: datetime.fromisoformat(data[name]) for name in data if name.endswith("DateTime")}
    if moments.get("ExpirationDateTime", now) < now:
        yield Problem("U003", "lies in the past", "Data.ExpirationDateTime")
    first, last = moments.get("TransactionFromDateTime"), moments.get("TransactionToDateTime")
    if first and last and first > last:
        yield Problem("U003", "ends before it begins", "Data.TransactionToDateTime")


def asked_moment(query: Mapping[str, str], name: str) -> datetime | None:
    """A time without a zone; one that is there is ignored, as the standard says. Raises `Refused`."""
    if name not in query:
        return None
    try:
        return datetime.fromisoformat(ZONE.sub("", query[name])).replace(tzinfo=UTC)
    except ValueError:
        raise Refused.because("U003", "no date and time", name) from None


def inside(entry: Entry, consent: Consent, first: datetime | None, last: datetime | None) -> bool:
    """Within the question and within what the person allowed."""
    begins, ends = (consent.given.get(f"Transaction{side}DateTime") for side in ("From", "To"))
    starts = [moment for moment in (first, datetime.fromisoformat(begins) if begins else None) if moment]
    stops = [moment for moment in (last, datetime.fromisoformat(ends) if ends else None) if moment]
    return all(entry.booked >= start for start in starts) and all(entry.booked <= stop for stop in stops)
