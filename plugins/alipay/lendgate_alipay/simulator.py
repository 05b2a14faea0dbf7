"""A strict stand-in for the wallet's OpenAPI gateway: one address, every interface that the adapter speaks to.

Rules
- Every answer of the gateway is HTTP 200 with `text/html`; what it says stands in `code` and `sub_code`.
- The envelope is checked before anything is done, and a refused call has done nothing.
- Notifications go to the `notify_url` of the request that created the trade, messages about transfers to the
  application's message gateway; both are repeated until the answer's body is exactly `success`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.model.clock import Clock
from gateway.sandbox import Notifier, Onboarding, Simulator, rsa_key
from lendgate_alipay.simulator_certificates import Authority, bundle_serial, serial
from lendgate_alipay.simulator_envelope import MESSAGES, Application, Call, Envelope, Pairs, pairs_of, wall_clock
from lendgate_alipay.simulator_fields import Fields, Refused
from lendgate_alipay.simulator_pages import asked_page, done_page, error_page
from lendgate_alipay.simulator_trades import Refund, Trade, TradeBook
from lendgate_alipay.simulator_transfers import Transfer, TransferBook
from lendgate_alipay.simulator_zhima import ZhimaDesk

__all__ = ["AlipaySimulator"]

CERTIFICATE_APP: Final = "2021000000000001"
PUBLIC_KEY_APP: Final = "2021000000000002"
SELLER: Final = "2088000000000001"
REDELIVERY: Final = (1, 1, 1, 240, 600, 600, 3600, 7200, 21600, 54000)
"""Seconds between deliveries: three quick ones of the face-to-face pages, then 4m, 10m, 10m, 1h, 2h, 6h, 15h."""
PAGE: Final = "zhima.customer.certification.certify"
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}


class AlipaySimulator(Simulator):
    """The gateway with one merchant and two applications: one in certificate mode, one in public-key mode.

    Magic values. Payer codes (16-24 digits, 25… to 30…) ending in: `91` → 10003, paid after five seconds; `92` →
    BUYER_BALANCE_NOT_ENOUGH; `93` → PAYMENT_AUTH_CODE_INVALID; `94` → 10003 until somebody confirms; above 1000 yuan
    every code waits for a confirmation. Payees: identity ending in `0404` → PAYEE_NOT_EXIST; bank cards arrive after
    ten seconds, ending in `02` they fail, in `03` they arrive and bounce a minute after they were sent, in `04` they
    wait for `/_sandbox/settle`. Scores: by the last character of the document, see `simulator_zhima.SCORES`.
    A subject, refund reason, remark, order title or name `SIM_<CODE>` is refused with that code; `SIM_UNKNOWN` is done
    and answered with 20000; a refund reason `SIM_LATE` is done and shows after ten seconds.

    People, under `/_sandbox/` (all POST): `scan` and `pay` {qr_code | out_trade_no}, `bounce` {out_biz_no}, `settle`
    {out_biz_no, arrives}, `certification` {biz_no, passed}, `score` {cert_no, score}, `message-gateway` {url},
    `top-up` {amount}, `replies` (switches), `renew-certificate` {}, `forge` {out_trade_no, signature, …}.
    """

    name: ClassVar[str] = "alipay"

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        merchant, own = rsa_key(directory / "app.key"), rsa_key(directory / "alipay.key")
        self.authority = Authority(directory)
        app_sn = serial(_certificate(self.authority.application))
        applications = {
            CERTIFICATE_APP: Application(CERTIFICATE_APP, merchant.public_key(), app_sn),
            PUBLIC_KEY_APP: Application(PUBLIC_KEY_APP, merchant.public_key()),
        }
        roots = bundle_serial(self.authority.bundle.read_bytes())
        self.envelope = Envelope(applications, own, roots, self.clock)
        self.envelope.own_cert_sn = serial(_certificate(self.authority.own))
        self.notifier = Notifier(self.clock, lambda status, body: (status, body) == (200, b"success"), REDELIVERY)
        self.forger = Notifier(self.clock, lambda status, body: True, ())
        self.message_gateway = ""
        self.trades = TradeBook(self.clock, self.ledger, self._notify)
        self.transfers = TransferBook(self.clock, self.ledger, self._message)
        self.zhima = ZhimaDesk(self.clock, self.ledger)
        self._stranger: rsa.RSAPrivateKey | None = None
        self._methods: dict[str, Callable[[Call], dict[str, Any]]] = {
            "alipay.trade.precreate": self.trades.precreate,
            "alipay.trade.pay": self.trades.collect,
            "alipay.trade.query": self.trades.query,
            "alipay.trade.close": self.trades.close,
            "alipay.trade.cancel": self.trades.cancel,
            "alipay.trade.refund": self.trades.refund,
            "alipay.trade.fastpay.refund.query": self.trades.query_refund,
            "alipay.fund.trans.uni.transfer": self.transfers.transfer,
            "alipay.fund.trans.common.query": self.transfers.query,
            "zhima.credit.score.brief.get": self.zhima.brief,
            "zhima.customer.certification.initialize": self.zhima.initialize,
            "zhima.customer.certification.query": self.zhima.query,
            "alipay.open.app.alipaycert.download": self._download,
        }

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        """A connection in certificate mode, which may do everything."""
        authority = Authority(directory)
        authority.issue_all()
        settings = {
            "gateway_url": f"{url}/gateway.do",
            "app_id": CERTIFICATE_APP,
            "seller_id": SELLER,
            "mode": "certificate",
            "app_certificate": f"file:{authority.application}",
            "root_certificates": f"file:{authority.bundle}",
        }
        return Onboarding(
            settings=settings,
            hosts=(url.removeprefix("http://"),),
            signing_key=(serial(_certificate(authority.application)), f"file:{directory / 'app.key'}"),
            partner_keys={serial(_certificate(authority.own)): f"file:{authority.own}"},
            partner_roots=(f"file:{authority.bundle}",),
        )

    @classmethod
    def onboard_with_public_key(cls, directory: Path, url: str) -> Onboarding:
        """A connection in public-key mode, which may not transfer. Call `onboard` first: it makes the keys."""
        return Onboarding(
            settings={
                "gateway_url": f"{url}/gateway.do",
                "app_id": PUBLIC_KEY_APP,
                "seller_id": SELLER,
                "mode": "public_key",
            },
            hosts=(url.removeprefix("http://"),),
            signing_key=(PUBLIC_KEY_APP, f"file:{directory / 'app.key'}"),
            partner_keys={"alipay": f"file:{directory / 'alipay.pub'}"},
        )

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        people: dict[str, Callable[[dict[str, Any]], object]] = {
            "scan": lambda body: self.trades.scan(**body),
            "pay": lambda body: self.trades.pay(**body),
            "bounce": lambda body: self.transfers.bounce(body["out_biz_no"]),
            "settle": lambda body: self.transfers.decide(body["out_biz_no"], arrives=bool(body["arrives"])),
            "score": lambda body: self.zhima.scores.__setitem__(body["cert_no"], body["score"]),
            "message-gateway": self._set_message_gateway,
            "top-up": lambda body: self.transfers.top_up(body["amount"]),
            "replies": self._set_replies,
            "renew-certificate": lambda body: self.renew_certificate(),
            "forge": lambda body: self.forge(**body),
        }
        return [
            web.post("/gateway.do", self._gateway),
            web.get("/gateway.do", self._page),
            web.post("/_sandbox/certification", self._certification),
            *(web.post(f"/_sandbox/{path}", self._desk(act)) for path, act in people.items()),
        ]

    def operation(self, request: web.Request, body: bytes) -> str:
        try:
            given = dict(pairs_of(request.query_string, request.headers.get("Content-Type", ""), body))
        except ValueError:
            return "unreadable"
        return given.get("method", "unnamed")

    def state(self) -> Mapping[str, Any]:
        return {
            "trades": [{**asdict(trade), "refunded": trade.refunded} for trade in self.trades.trades.values()],
            "transfers": [asdict(transfer) for transfer in self.transfers.transfers.values()],
            "balance": str(self.transfers.balance),
            **self.zhima.state(),
            "message_gateway": self.message_gateway,
            "notifications": [
                {"url": one.url, "accepted": one.accepted, "answers": [status for status, _ in one.answers]}
                for one in (*self.notifier.sent, *self.forger.sent)
            ],
        }

    async def close(self) -> None:
        await self.notifier.close()
        await self.forger.close()

    # What people do

    def renew_certificate(self) -> str:
        """The wallet's certificate is issued again: the same key, a new serial number, which is given back."""
        self.authority.reissue()
        self.envelope.own_cert_sn = serial(_certificate(self.authority.own))
        return self.envelope.own_cert_sn

    def forge(self, out_trade_no: str, signature: str = "stranger", **changes: str) -> None:
        """Send a notification that is not the wallet's: signed by a `stranger`, `none` at all, or `altered` after."""
        trade = self.trades.trades[out_trade_no]
        told = self._envelope_of(trade) | self.trades.notice(trade, None) | {"trade_status": "TRADE_SUCCESS"} | changes
        if signature == "stranger":
            self._stranger = self._stranger or rsa.generate_private_key(public_exponent=65537, key_size=2048)
            body = self.envelope.notification(told, self._stranger)
        elif signature == "altered":
            body = self.envelope.notification(told).replace(b"TRADE_SUCCESS", b"TRADE_FINISHED")
        else:
            body = urlencode(told).encode()
        self.forger.send(trade.notify_url or "", body, FORM)

    # The gateway

    async def _gateway(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            pairs = pairs_of(request.query_string, request.headers.get("Content-Type", ""), body)
        except ValueError:
            pairs = []
        method, application, signed = dict(pairs).get("method", ""), None, True
        method = method if method in self._methods else ""
        try:
            call = self.envelope.open(pairs, frozenset(self._methods))
            application = call.application
            node = {"code": "10000", **self._methods[call.method](call)}
            node = {"code": node.pop("code"), "msg": MESSAGES[str(node.get("code", "10000"))], **node}
        except Refused as no:
            application = application or self.envelope.applications.get(dict(pairs).get("app_id", ""))
            signed = no.signed
            node = {"code": no.code, "msg": MESSAGES[no.code], "sub_code": no.sub_code, "sub_msg": no.sub_msg}
        text = self.envelope.close(method, node, application, signed=signed)
        return web.Response(body=text.encode(), content_type="text/html", charset="utf-8")

    async def _page(self, request: web.Request) -> web.Response:
        """The one call that a browser makes: a signed link. Older clients ask everything else this way too."""
        if request.query.get("method") in self._methods:
            return await self._gateway(request)
        try:
            pairs: Pairs = pairs_of(request.query_string, "", b"")
            call = self.envelope.open(pairs, frozenset({PAGE}))
            certification = self.zhima.named(call)
        except (Refused, ValueError) as no:
            return error_page(no.sub_code if isinstance(no, Refused) else "isv.invalid-parameter")
        return asked_page(certification.biz_no, call.parameters.get("return_url", ""))

    async def _certification(self, request: web.Request) -> web.Response:
        """JSON from a test, or the page's own form, which sends the browser back."""
        try:
            form = dict(await request.post()) if "form" in request.content_type else await request.json()
            passed = form["passed"] in (True, "true")
            self.zhima.certify(str(form["biz_no"]), passed=passed)
        except (LookupError, TypeError, ValueError) as wrong:
            return web.Response(status=422, text=f"cannot do that: {wrong!r}\n")
        if form.get("return_url"):
            return done_page(str(form["return_url"]), str(form["biz_no"]), passed=passed)
        return web.json_response(self.zhima.state())

    def _download(self, call: Call) -> dict[str, Any]:
        """alipay.open.app.alipaycert.download"""
        fields = Fields(call.biz_content, ("alipay_cert_sn",), "")
        wanted = fields.text("alipay_cert_sn", 64)
        held = self.authority.own.read_bytes()
        if call.application.cert_sn is None or wanted != serial(x509.load_pem_x509_certificate(held)):
            raise Refused("40002", "isv.alipay-cert-not-exist", "no such certificate")
        return {"alipay_cert_content": base64.b64encode(held).decode()}

    # What the wallet says on its own

    def _notify(self, trade: Trade, refund: Refund | None) -> None:
        if trade.notify_url:
            told = self._envelope_of(trade) | self.trades.notice(trade, refund)
            self.notifier.send(trade.notify_url, self.envelope.notification(told), FORM)

    def _envelope_of(self, trade: Trade) -> dict[str, str]:
        return {
            "notify_time": wall_clock(self.clock.now()),
            "notify_type": "trade_status_sync",
            "notify_id": self._next_notice(),
            "app_id": trade.app_id,
            "auth_app_id": trade.app_id,
            "charset": "utf-8",
            "version": "1.0",
            "seller_id": SELLER,
        }

    def _message(self, transfer: Transfer) -> None:
        if not self.message_gateway:
            return
        told = {
            "app_id": transfer.app_id,
            "charset": "UTF-8",
            "version": "1.1",
            "msg_method": "alipay.fund.trans.order.changed",
            "utc_timestamp": str(int(self.clock.now().timestamp() * 1000)),
            "notify_id": self._next_notice(),
            "biz_content": json.dumps(self.transfers.message(transfer), ensure_ascii=False, separators=(",", ":")),
        }
        self.notifier.send(self.message_gateway, self.envelope.notification(told), FORM)

    def _next_notice(self) -> str:
        return f"{self.clock.now():%Y%m%d}00222{len(self.notifier.sent) + len(self.forger.sent) + 1:021d}"

    def _set_message_gateway(self, body: Mapping[str, Any]) -> None:
        self.message_gateway = str(body["url"])

    def _set_replies(self, body: Mapping[str, Any]) -> None:
        for name, value in body.items():
            if name not in ("escape_slashes", "escape_unicode", "unsigned_errors", "error_response"):
                raise LookupError(f"there is no switch {name}")
            setattr(self.envelope, name, bool(value))

    def _desk(self, act: Callable[[dict[str, Any]], object]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            try:
                act(json.loads(await request.read() or b"{}"))
            except (LookupError, TypeError, ValueError, AttributeError) as wrong:
                return web.Response(status=422, text=f"cannot do that: {wrong!r}\n")
            return web.Response(text=json.dumps(self.state(), default=str), content_type="application/json")

        return handler


def _certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())
