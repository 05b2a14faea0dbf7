"""A second fictional bank and its adapter: people authorise on its page, and then their accounts can be read.

Nothing is signed; the state that a browser brings back is its only mark. Its simulator has its own code path.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from aiohttp import web

from gateway import (
    REQUIRES_ACTION,
    SUCCEEDED,
    Account,
    AccountQuery,
    Accounts,
    Adapter,
    Balance,
    Balances,
    ByKey,
    ConsentFact,
    ConsentInitiation,
    ConsentInquiry,
    Continuation,
    ContinueConsent,
    CreateConsent,
    FetchBalances,
    FetchConsent,
    FetchPartnerBalance,
    FetchTransactions,
    Handoff,
    Keys,
    ListAccounts,
    Memory,
    Money,
    NextAction,
    NotProven,
    PartnerBalance,
    Proof,
    Reply,
    Request,
    Returned,
    Settings,
    Transaction,
    TransactionQuery,
    Transactions,
    Unsigned,
    Wire,
    accounts_terms,
    balances_terms,
    consent_terms,
    minutes,
    partner_balance_terms,
    transactions_terms,
)
from gateway.sandbox import Onboarding, Simulator

CODES = {"WAITING": REQUIRES_ACTION, "AUTHORISED": SUCCEEDED, "REVOKED": SUCCEEDED}
STATUSES = {"WAITING": "pending", "AUTHORISED": "active", "REVOKED": "revoked"}
CHANNEL = Proof.CHANNEL


class ThamesSettings(Settings):
    url: str


class ThamesScheme(Unsigned):
    name = "thames"

    def verify_return(self, returned: Returned, handoff: Handoff, keys: Keys) -> Returned:
        if not hmac.compare_digest(returned.parameters.get("state", ""), handoff.state):
            raise NotProven("the state is another one")
        return returned


class ConsentMemory(Memory):
    id: str


class Thames(
    Adapter[ThamesSettings],
    CreateConsent,
    ContinueConsent[ConsentMemory],
    FetchConsent,
    ListAccounts,
    FetchBalances,
    FetchTransactions,
    FetchPartnerBalance,
):
    """Thames Bank, accounts 1.0."""

    name = "thames"
    title = "Thames Bank"
    version = "1.0"
    scheme = ThamesScheme()

    def code(self, reply: Reply) -> str | None:
        said = reply.json()
        return str(said["status"]) if isinstance(said, dict) and "status" in said else None

    @consent_terms(codes=CODES, statuses=STATUSES, proof=CHANNEL, inquiry=(ByKey(),))
    async def create_consent(self, consent: ConsentInitiation, wire: Wire) -> ConsentFact:
        said = (await wire.ask(self._post("consents", {"key": consent.partner_key}))).json()
        page = f"{self.settings.url}/authorise?state={consent.handoff.state}&consent={said['id']}"
        return ConsentFact(
            code=said["status"],
            references={"thames_id": said["id"]},
            memory=ConsentMemory(id=said["id"]),
            next_action=NextAction(kind="redirect", url=page, life=minutes(5)),
        )

    @consent_terms(codes=CODES, statuses=STATUSES, proof=CHANNEL)
    async def continue_consent(self, step: Continuation[ConsentInitiation, ConsentMemory], wire: Wire) -> ConsentFact:
        said = (await wire.act(self._post(f"consents/{step.memory.id}/authorise", {}))).json()
        return ConsentFact(code=said["status"], references={"thames_id": said["id"]})

    @consent_terms(codes=CODES, statuses=STATUSES, proof=CHANNEL)
    async def fetch_consent(self, inquiry: ConsentInquiry, wire: Wire) -> ConsentFact:
        id = inquiry.remembered(ConsentMemory).id
        said = (await wire.ask(Request.get(f"{self.settings.url}/consents/{id}"))).json()
        return ConsentFact(code=said["status"], references={"thames_id": said["id"]})

    @accounts_terms(proof=CHANNEL)
    async def list_accounts(self, query: AccountQuery, wire: Wire) -> Accounts:
        return (await wire.ask(self._page("accounts", query))).parse(Accounts)

    @balances_terms(proof=CHANNEL)
    async def fetch_balances(self, query: AccountQuery, wire: Wire) -> Balances:
        return (await wire.ask(self._page(f"accounts/{query.account}/balances", query))).parse(Balances)

    @transactions_terms(proof=CHANNEL)
    async def fetch_transactions(self, query: TransactionQuery, wire: Wire) -> Transactions:
        return (await wire.ask(self._page(f"accounts/{query.account}/transactions", query))).parse(Transactions)

    @partner_balance_terms(proof=CHANNEL)
    async def fetch_partner_balance(self, nothing: None, wire: Wire) -> PartnerBalance:
        return (await wire.ask(Request.get(f"{self.settings.url}/own"))).parse(PartnerBalance)

    def _post(self, path: str, body: Mapping[str, Any]) -> Request:
        return Request.post(f"{self.settings.url}/{path}", body)

    def _page(self, path: str, query: AccountQuery) -> Request:
        return Request.get(query.page or f"{self.settings.url}/{path}")


class ThamesSimulator(Simulator):
    """Holds consents; a consent is authorised by whoever says so. Two pages of transactions."""

    name = "thames"

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.consents: dict[str, str] = {}

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        return Onboarding(settings={"url": url}, hosts=(url.removeprefix("http://"),))

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [
            web.post("/consents", self.open),
            web.post("/consents/{id}/authorise", self.authorise),
            web.get("/consents/{id}", self.find),
            web.get("/accounts", self.accounts),
            web.get("/accounts/{id}/balances", self.balances),
            web.get("/accounts/{id}/transactions", self.transactions),
            web.get("/own", self.own),
        ]

    async def open(self, request: web.Request) -> web.Response:
        id = f"TC{len(self.consents) + 1}"
        self.consents[id] = "WAITING"
        return self._said(id)

    async def authorise(self, request: web.Request) -> web.Response:
        self.consents[request.match_info["id"]] = "AUTHORISED"
        return self._said(request.match_info["id"])

    async def find(self, request: web.Request) -> web.Response:
        return self._said(request.match_info["id"])

    async def accounts(self, request: web.Request) -> web.Response:
        return _json(Accounts(accounts=(Account(id="A1", currency="GBP", kind="current", nickname="Bills"),)))

    async def balances(self, request: web.Request) -> web.Response:
        balance = Balance(
            account=request.match_info["id"], type="ITAV", amount=_pounds("120.50"), credit=True, as_of=_day(2)
        )
        return _json(Balances(balances=(balance,)))

    async def transactions(self, request: web.Request) -> web.Response:
        second = "page" in request.query
        entry = Transaction(
            account=request.match_info["id"],
            id="T2" if second else "T1",
            status="booked",
            booked_at=_day(1),
            amount=_pounds("9.99"),
            credit=False,
        )
        rest = None if second else f"{self.url}{request.path}?page=2"
        return _json(Transactions(transactions=(entry,), available_from=_day(1), next_page=rest))

    async def own(self, request: web.Request) -> web.Response:
        return _json(PartnerBalance(available=_pounds("5000.00"), low=False))

    def _said(self, id: str) -> web.Response:
        return web.json_response({"id": id, "status": self.consents[id]})


def _json(model: Any) -> web.Response:
    return web.Response(body=model.model_dump_json().encode(), content_type="application/json")


def _pounds(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="GBP")


def _day(day: int) -> datetime:
    return datetime(2026, 3, day, tzinfo=UTC)
