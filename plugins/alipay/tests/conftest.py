"""A merchant's back end written for these tests alone, and the adapter behind a wire of a few lines, over sockets."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from yarl import URL

from gateway import Asked, Handoff, Money, PaymentInitiation, Reply, Stamp
from gateway.adapters.step import run
from gateway.crypto.keys import KeyRing
from gateway.sandbox import Onboarding, Running, serve
from gateway.testing import ManualClock
from lendgate_alipay.adapter import Alipay, AlipaySettings
from lendgate_alipay.simulator import AlipaySimulator

BEIJING = timezone(timedelta(hours=8))
PKCS1 = padding.PKCS1v15()
PAYEE = {"identity": "2088000000000002", "identity_type": "ALIPAY_USER_ID"}
CARD = {
    "identity": "6222000000000001",
    "identity_type": "BANKCARD_NO",
    "name": "李四",
    "bankcard_ext_info": {"inst_name": "招商银行", "account_type": "2"},
}


@dataclass
class Client:
    """A merchant's back end, in as few lines as possible."""

    session: aiohttp.ClientSession
    running: Running[AlipaySimulator]
    clock: ManualClock
    onboarding: Onboarding
    key: rsa.RSAPrivateKey = field(init=False)

    def __post_init__(self) -> None:
        assert self.onboarding.signing_key is not None
        loaded = load_pem_private_key(Path(self.onboarding.signing_key[1].removeprefix("file:")).read_bytes(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        self.key = loaded

    @property
    def simulator(self) -> AlipaySimulator:
        return self.running.simulator

    def public(self, method: str, biz: Any, /, **changes: str | None) -> dict[str, str]:
        moment = self.clock.now().astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        given: dict[str, str | None] = {
            "app_id": self.onboarding.settings["app_id"],
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": moment,
            "version": "1.0",
            "biz_content": biz if isinstance(biz, str) else json.dumps(biz, ensure_ascii=False),
        }
        if self.onboarding.settings["mode"] == "certificate":
            envelope = self.simulator.envelope
            application = envelope.applications[self.onboarding.settings["app_id"]]
            given |= {"app_cert_sn": application.cert_sn, "alipay_root_cert_sn": envelope._root_cert_sn}
        return {name: value for name, value in (given | changes).items() if value is not None}

    def signed(self, given: dict[str, str], text: str | None = None) -> dict[str, str]:
        if text is None:
            text = "&".join(f"{name}={given[name]}" for name in sorted(given) if given[name])
        signature = self.key.sign(text.encode(), PKCS1, hashes.SHA256())
        return {**given, "sign": base64.b64encode(signature).decode()}

    async def post(self, given: dict[str, str]) -> str:
        body = {"biz_content": given.pop("biz_content", "")}
        url = f"{self.running.url}/gateway.do?{urlencode(given)}"
        async with self.session.post(url, data=body) as reply:
            assert reply.status == 200
            assert reply.content_type == "text/html"
            return await reply.text()

    async def call(self, method: str, biz: Any, **changes: str | None) -> dict[str, Any]:
        text = await self.post(self.signed(self.public(method, biz, **changes)))
        members = json.loads(text)
        name = f"{method.replace('.', '_')}_response"
        return dict(members.get(name) or members["error_response"])

    async def people(self, path: str, **body: Any) -> int:
        async with self.session.post(f"{self.running.url}/_sandbox/{path}", json=body) as reply:
            return reply.status

    def check(self, told: dict[str, str]) -> None:
        """Verify a notification under the wallet's certificate. Raises `InvalidSignature`."""
        text = "&".join(f"{n}={told[n]}" for n in sorted(told) if told[n] and n not in ("sign", "sign_type"))
        self.wallet_key().verify(base64.b64decode(told["sign"]), text.encode(), PKCS1, hashes.SHA256())

    def wallet_key(self) -> rsa.RSAPublicKey:
        pem = (self.simulator.directory / "alipayCertPublicKey.crt").read_bytes()
        key = x509.load_pem_x509_certificate(pem).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return key

    def count(self, kind: str) -> int:
        return sum(self.simulator.ledger.count(kind).values())

    async def precreate(self, key: str = "P1", **changes: Any) -> dict[str, Any]:
        biz = {"out_trade_no": key, "total_amount": "433.00", "subject": "分期 1", **changes}
        return await self.call("alipay.trade.precreate", biz, notify_url=changes.pop("notify_url", None))

    async def paid(self, key: str = "P1") -> None:
        await self.precreate(key)
        assert await self.people("pay", out_trade_no=key) == 200

    async def show(self, code: str, key: str = "C1", amount: str = "88.00", **changes: Any) -> dict[str, Any]:
        biz = {"out_trade_no": key, "scene": "bar_code", "auth_code": code, "total_amount": amount, "subject": "货"}
        return await self.call("alipay.trade.pay", {**biz, **changes})

    async def query(self, key: str) -> dict[str, Any]:
        return await self.call("alipay.trade.query", {"out_trade_no": key})

    async def refund(self, amount: str, number: str | None = "R1", **changes: Any) -> dict[str, Any]:
        biz = {"out_trade_no": "P1", "refund_amount": amount, "out_request_no": number, **changes}
        return await self.call("alipay.trade.refund", biz)

    async def query_refund(self, number: str = "R1") -> dict[str, Any]:
        biz = {"out_trade_no": "P1", "out_request_no": number}
        return await self.call("alipay.trade.fastpay.refund.query", biz)

    async def transfer(self, key: str = "T1", payee: Any = PAYEE, **changes: Any) -> dict[str, Any]:
        product = "TRANS_BANKCARD_NO_PWD" if "bankcard_ext_info" in payee else "TRANS_ACCOUNT_NO_PWD"
        biz = {
            "out_biz_no": key,
            "trans_amount": "1299.00",
            "product_code": product,
            "biz_scene": "DIRECT_TRANSFER",
            "order_title": "放款",
            "payee_info": payee,
            **changes,
        }
        return await self.call("alipay.fund.trans.uni.transfer", biz)

    async def find(self, key: str = "T1", product: str = "TRANS_ACCOUNT_NO_PWD") -> dict[str, Any]:
        biz = {"product_code": product, "biz_scene": "DIRECT_TRANSFER", "out_biz_no": key}
        return await self.call("alipay.fund.trans.common.query", biz)

    async def brief(self, number: str, key: str = "Z1", **changes: Any) -> dict[str, Any]:
        biz = {
            "transaction_id": key,
            "product_code": "w1010100000000002733",
            "cert_type": "IDENTITY_CARD",
            "cert_no": number,
            "name": "张三",
            "admittance_score": 600,
            **changes,
        }
        return await self.call("zhima.credit.score.brief.get", biz)

    async def initialize(self, key: str = "I1", **changes: Any) -> dict[str, Any]:
        person = {
            "identity_type": "CERT_INFO",
            "cert_type": "IDENTITY_CARD",
            "cert_name": "张三",
            "cert_no": "110101199001010017",
            **changes,
        }
        biz = {
            "transaction_id": key,
            "product_code": "w1010100000000002978",
            "biz_code": "FACE",
            "identity_param": json.dumps(person, ensure_ascii=False),
            "ext_biz_param": "{}",
        }
        return await self.call("zhima.customer.certification.initialize", biz)


@pytest.fixture(scope="session")
def onboarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One set of keys for all tests: making them is the slow part."""
    directory = tmp_path_factory.mktemp("wallet")
    AlipaySimulator.onboard(directory, "http://127.0.0.1:1")
    return directory


@pytest.fixture
async def client(onboarded: Path, tmp_path: Path) -> AsyncIterator[Client]:
    directory = tmp_path / "wallet"
    shutil.copytree(onboarded, directory)
    clock = ManualClock()
    async with (
        await serve(AlipaySimulator, directory, clock=clock) as running,
        aiohttp.ClientSession(trust_env=False) as session,
    ):
        yield Client(session, running, clock, running.onboarding)


@pytest.fixture
def public_client(client: Client) -> Client:
    onboarding = AlipaySimulator.onboard_with_public_key(client.simulator.directory, client.running.url)
    return Client(client.session, client.running, client.clock, onboarding)


@dataclass
class Listener:
    """A merchant's notification address, which answers with what it is told to."""

    url: str
    answers: list[bytes]
    heard: list[dict[str, str]]


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener("", [], [])

    async def hear(request: web.Request) -> web.Response:
        listener.heard.append(dict(parse_qsl(await request.text(), keep_blank_values=True)))
        return web.Response(body=listener.answers.pop(0) if listener.answers else b"success")

    app = web.Application()
    app.add_routes([web.post("/notify", hear)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    listener.url = f"http://127.0.0.1:{runner.addresses[0][1]}/notify"
    yield listener
    await runner.cleanup()


HANDOFF = Handoff("s" * 32, "nonce", "verifier", "https://gw.example/v1/returns/wallet", "https://gw.example/callback")
FILLED: dict[str, Any] = {"connection": "wallet", "requested_at": datetime(2026, 1, 1, 1, 30, tzinfo=UTC)}


@dataclass
class Desk:
    """One connection: the adapter, its keys, and a wire that signs, sends and verifies."""

    adapter: Alipay
    keys: KeyRing
    client: Client
    handoff: Handoff = HANDOFF
    asked: list[Asked] = field(default_factory=list)

    async def send(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        scheme = asked.request.scheme or self.adapter.scheme
        request = scheme.sign(asked.request, self.keys, Stamp(self.client.clock.now(), "0" * 32))
        url = URL(request.url, encoded=True)
        async with self.client.session.post(url, data=request.body, headers=dict(request.headers)) as answer:
            reply = Reply(answer.status, (), await answer.read(), self.client.clock.now())
        proven = Reply(reply.status, (), scheme.verify(reply, request, self.keys), reply.received_at)
        self.adapter.code(proven)
        return proven

    def partner_keys(self) -> dict[str, str]:
        return partner_keys(self.client)

    async def run(self, verb: Coroutine[Any, Any, Any]) -> Any:
        return await run(verb, self.send)

    def fill(self, key: str = "A" * 32, **fields: Any) -> dict[str, Any]:
        return {**FILLED, "reference": f"ref-{key[:20]}", "partner_key": key, "handoff": self.handoff, **fields}

    def payment(self, key: str = "A" * 32, **changes: Any) -> PaymentInitiation:
        method = {"type": "payer_code", "code": changes.pop("code")} if "code" in changes else {"type": "wallet_qr"}
        told = {"amount": Money.of("433.00", "CNY"), "method": method, "description": "分期 1/3", **changes}
        return PaymentInitiation(**self.fill(key, **told))

    def known(self, key: str = "A" * 32, method: str | None = "wallet_qr", **more: Any) -> dict[str, Any]:
        return {"partner_key": key, "method": method, "requested_at": FILLED["requested_at"], **more}


def desk_for(client: Client) -> Desk:
    taken = client.onboarding
    assert taken.signing_key is not None
    keys = KeyRing.load(
        "test",
        key_id=taken.signing_key[0],
        private_key=text_of(taken.signing_key[1]),
        partner_keys=partner_keys(client),
    )
    settings = {name: text_of(value) for name, value in taken.settings.items()}
    return Desk(Alipay(AlipaySettings(**settings)), keys, client)


def partner_keys(client: Client) -> dict[str, str]:
    return {name: text_of(reference) for name, reference in client.onboarding.partner_keys.items()}


def text_of(value: Any) -> Any:
    """What a `file:` reference leads to; everything else as it is."""
    return Path(value[5:]).read_text() if isinstance(value, str) and value.startswith("file:") else value


@pytest.fixture
def desk(client: Client) -> Desk:
    return desk_for(client)


@pytest.fixture
def public_desk(public_client: Client) -> Desk:
    return desk_for(public_client)
