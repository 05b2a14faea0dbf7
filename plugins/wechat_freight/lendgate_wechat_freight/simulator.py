"""A strict stand-in for the mini-program return-freight insurance, served over TLS on loopback.

Rules
- It trusts nothing but the access token (there is no signature) and refuses with the platform's own numbers.
- A number is answered in HTTP 200; a call that is refused by its token has done nothing.
- The ledger gets `policy` at createorder (keyed by order_no), `claim` at claim (by refund_delivery_no) and `payout`
  when the insurer pays (by report_no).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Final

from aiohttp import web

from gateway.model.clock import Clock
from gateway.sandbox import DevelopmentCA, Effect, Onboarding, Simulator
from lendgate_wechat_freight.simulator_book import CLAIM_RUNNING, Book, Policy, Transaction
from lendgate_wechat_freight.simulator_fields import Refused
from lendgate_wechat_freight.simulator_funds import PremiumAccount
from lendgate_wechat_freight.simulator_tokens import TokenDesk

__all__ = ["WechatFreightSimulator"]

PREFIX: Final = "/wxa/business/insurance_freight/"
APPID: Final = "wx00000000000000f1"


class WechatFreightSimulator(Simulator):
    """Return-freight insurance of one mini-program.

    Magic waybills. `delivery_no` beginning with: `SIMNOTRACK` → 2028; `SIMBUSY` → -1 once, nothing done;
    `SIMINTERNAL` → -202 once, although the policy was issued. `refund_delivery_no` beginning with: `SIMINTERNAL` → -202
    although the claim was filed; `SIMPAID` → paid at once; `SIMREJECT` → failed at once; `SIMPICKUP` → fetched at home.

    People, under `/_sandbox/` (all POST): `transactions` (what WeChat Pay took), `top-up`, `pay-charge`,
    `premium-account` (set is_open, funds_fen, premium_fen, need_close), `expire-token`, `decide-claim`. Each answers
    with the state that it left behind.
    """

    name: ClassVar[str] = "wechat_freight"
    tls: ClassVar[bool] = True

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        self.tokens = TokenDesk(self.clock, APPID, (directory / "app_secret").read_text().strip())
        self.account = PremiumAccount(self.clock)
        self.book = Book(self.clock)
        self.need_close = False
        self._spent_magic: set[str] = set()

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        authority = DevelopmentCA(directory)
        authority.issue(directory / "server.pem", "freight insurance simulator")
        secret = directory / "app_secret"
        if not secret.exists():
            secret.touch(mode=0o600)
            secret.write_text(secrets.token_hex(16))
        return Onboarding(
            settings={"base_url": url, "appid": APPID},
            hosts=(url.removeprefix("https://"),),
            secrets={"app_secret": f"file:{secret}"},
            tls={"ca": f"file:{authority.certificate_path}"},
        )

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        calls: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "createorder": self._createorder,
            "claim": self._claim,
            "getorderlist": self.book.orders,
            "getsummary": self._getsummary,
            "open": self.account.open,
            "query_open": self.account.query_open,
            "createchargeid": self.account.createchargeid,
            "applypay": self.account.applypay,
            "getpayorderlist": self.account.getpayorderlist,
            "refund": self.account.refund,
            "update_notify_funds": self.account.update_notify_funds,
        }
        people: dict[str, Callable[[Mapping[str, Any]], object]] = {
            "transactions": lambda body: self.seed_transaction(**body),
            "top-up": lambda body: self.top_up(int(body["amount_fen"])),
            "pay-charge": lambda body: self.account.pay(int(body["order_id"])),
            "premium-account": self._set_account,
            "expire-token": lambda body: self.tokens.expire(revoke=bool(body.get("revoke", False))),
            "decide-claim": lambda body: self.decide_claim(str(body["order_no"]), paid=bool(body["paid"])),
        }
        return [
            web.post("/cgi-bin/stable_token", self._answering(self.tokens.fetch, token=False)),
            *(web.post(PREFIX + path, self._answering(call)) for path, call in calls.items()),
            *(web.post(f"/_sandbox/{path}", self._desk(act)) for path, act in people.items()),
        ]

    def operation(self, request: web.Request, body: bytes) -> str:
        return request.path.rsplit("/", 1)[-1]

    def state(self) -> Mapping[str, Any]:
        now = self.clock.now()
        return {
            "transactions": [asdict(paid) for paid in self.book.transactions.values()],
            "policies": [policy.row(now) for policy in self.book.policies.values()],
            "premium_account": {"is_open": self.account.is_open, "funds_fen": self.account.funds},
            "charges": [asdict(charge) for charge in self.account.charges.values()],
            "tokens_given": len(self.tokens.ends),
            "need_close": self.need_close,
        }

    # What people do

    def seed_transaction(self, transaction_id: str, openid: str, amount_fen: int, paid_at: int | str) -> Transaction:
        """Remember a payment that WeChat Pay took; `paid_at` is epoch seconds or RFC 3339."""
        seconds = paid_at if isinstance(paid_at, int) else int(datetime.fromisoformat(paid_at).timestamp())
        paid = Transaction(transaction_id, openid, int(amount_fen), seconds)
        self.book.transactions[transaction_id] = paid
        return paid

    def top_up(self, amount_fen: int) -> int:
        """Put money into the premium account, past the cashier; what is there now, in fen."""
        self.account.funds += amount_fen
        return self.account.funds

    def decide_claim(self, order_no: str, *, paid: bool) -> None:
        """The insurer pays or rejects a running claim. Raises `KeyError` for an order without a policy."""
        policy = self.book.policies[order_no]
        if policy.claim_status != CLAIM_RUNNING:
            raise ValueError(f"no claim is running for {order_no}")
        self.book.decide(policy, paid=paid)
        if paid:
            self._record("payout", policy.report_no, policy.estimate_amount, {"order_no": order_no})

    def _set_account(self, body: Mapping[str, Any]) -> None:
        self.account.is_open = bool(body.get("is_open", self.account.is_open))
        self.account.funds = int(body.get("funds_fen", self.account.funds))
        self.book.premium = int(body.get("premium_fen", self.book.premium))
        self.need_close = bool(body.get("need_close", self.need_close))

    # What the institution does

    def _createorder(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.account.require_open()
        policy = self.book.check_order(body)
        if self.need_close:
            raise Refused(2008, "paused for risk")
        if self._first(policy.delivery_no, "SIMBUSY"):
            raise Refused(-1, "system busy")
        self.account.spend(policy.premium)
        self.book.policies[policy.order_no] = policy
        self._record("policy", policy.order_no, policy.premium, {"policy_no": policy.policy_no})
        if self._first(policy.delivery_no, "SIMINTERNAL"):
            raise Refused(-202, "internal error")
        row = policy.row(self.clock.now())
        return {name: row[name] for name in ("policy_no", "insurance_end_date", "estimate_amount", "premium")}

    def _claim(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.account.require_open()
        policy, refund_delivery_no = self.book.check_claim(body)
        if self._first(refund_delivery_no, "SIMBUSY"):
            raise Refused(-1, "system busy")
        self.book.file(policy, refund_delivery_no)
        self._record("claim", refund_delivery_no, None, {"order_no": policy.order_no, "report_no": policy.report_no})
        self._decide_by_magic(policy)
        if refund_delivery_no.startswith("SIMINTERNAL"):
            raise Refused(-202, "internal error")
        return {"report_no": policy.report_no, "is_home_pick_up": policy.is_home_pick_up}

    def _getsummary(self, body: Mapping[str, Any]) -> dict[str, Any]:
        self.account.require_open()
        counts = self.book.counts(body)
        return {**counts, "premium": self.book.premium, "funds": self.account.funds, "need_close": self.need_close}

    def _decide_by_magic(self, policy: Policy) -> None:
        if policy.refund_delivery_no.startswith("SIMPAID"):
            self.decide_claim(policy.order_no, paid=True)
        elif policy.refund_delivery_no.startswith("SIMREJECT"):
            self.decide_claim(policy.order_no, paid=False)

    def _first(self, waybill: str, magic: str) -> bool:
        if not waybill.startswith(magic) or waybill in self._spent_magic:
            return False
        self._spent_magic.add(waybill)
        return True

    def _record(self, kind: str, key: str, fen: int | None, detail: Mapping[str, str]) -> None:
        amount = None if fen is None else Decimal(fen) / 100
        self.ledger.record(Effect(kind, key, self.clock.now(), amount, "CNY" if amount is not None else None, detail))

    def _answering(self, call: Callable[[Mapping[str, Any]], dict[str, Any]], *, token: bool = True) -> Any:
        async def handler(request: web.Request) -> web.Response:
            try:
                if token:
                    self.tokens.check(request.query.get("access_token"))
                answer = {"errcode": 0, "errmsg": "ok", **call(_members(await request.read()))}
                # The token endpoint answers without errcode when all is well.
                answer = answer if token else {k: v for k, v in answer.items() if not k.startswith("err")}
            except Refused as no:
                rid = secrets.token_hex(8)
                answer = {"errcode": no.errcode, "errmsg": f"{no.errmsg} hint: [{rid}] rid: {rid}"}
            return web.Response(text=json.dumps(answer, ensure_ascii=False), content_type="application/json")

        return handler

    def _desk(self, act: Callable[[Mapping[str, Any]], object]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            try:
                act(json.loads(await request.read() or b"{}"))
            except (KeyError, TypeError, ValueError) as wrong:
                return web.Response(status=422, text=f"cannot do that: {wrong!r}\n")
            return web.Response(text=json.dumps(self.state(), default=str), content_type="application/json")

        return handler


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        members = json.loads(body.decode())
    except ValueError:
        raise Refused(47001, "data format error") from None
    if not isinstance(members, dict):
        raise Refused(47001, "data format error")
    return members
