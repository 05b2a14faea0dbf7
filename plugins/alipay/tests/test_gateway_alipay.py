"""A whole gateway in front of the simulated wallet: its API, its log and its callbacks, all over sockets.

The platform sees an operation; the wallet's ledger says what really happened.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.api.app import create_app
from gateway.api.serve import runner_of
from gateway.cli.development import configuration_text, development_keys
from gateway.sandbox import Point, serve
from gateway.service.load import parse
from gateway.service.open import opened
from lendgate_alipay.simulator import AlipaySimulator

FAULTS = [
    Point.CLOSE_BEFORE,
    Point.CLOSE_AFTER,
    Point.BAD_GATEWAY_AFTER,
    Point.TRUNCATE,
    Point.TAMPER,
    Point.GARBAGE,
    Point.BUSY,
]
WALLET = {"scheme": "wallet_user_id", "identification": "2088000000000002"}
PERSON = {"name": "张三", "identifiers": [{"scheme": "national_id", "value": "11010119900101001X", "country": "CN"}]}


@dataclass
class Shop:
    """A lending platform with its API key."""

    url: str
    key: str
    session: aiohttp.ClientSession
    wallet: AlipaySimulator

    async def send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": uuid.uuid4().hex}
        async with self.session.request(method, f"{self.url}{path}", json=body, headers=headers) as answer:
            said = await answer.json(content_type=None)
            assert answer.status < 400, said
            return dict(said)

    async def ask(self, path: str, **fields: Any) -> dict[str, Any]:
        named = {"connection": "alipay", "reference": f"LN-{uuid.uuid4().hex[:12]}"}
        return await self.send("POST", path, named | fields)

    async def pay(self, amount: str = "433.00", **fields: Any) -> dict[str, Any]:
        told = {"method": {"type": "wallet_qr"}, "description": "分期 1/3", "amount": money(amount)}
        return await self.ask("/v1/payments", **told | fields)

    async def transfer(self, amount: str = "1299.00", **fields: Any) -> dict[str, Any]:
        told = {"amount": money(amount), "creditor": {"name": "李四", "account": WALLET}}
        return await self.ask("/v1/transfers", **told | fields)

    async def people(self, path: str, **body: Any) -> None:
        async with self.session.post(f"{self.wallet.url}/_sandbox/{path}", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def until(self, operation: dict[str, Any], state: str) -> dict[str, Any]:
        """Wait for a state. Raises `TimeoutError`."""
        async with asyncio.timeout(20):
            while operation["state"] != state:
                await asyncio.sleep(0.02)
                operation = await self.send("GET", f"/v1/operations/{operation['id']}")
        return operation

    async def refreshed(self, transfer: dict[str, Any]) -> dict[str, Any]:
        """Have the partner asked now."""
        return await self.send("POST", f"/v1/transfers/{transfer['id']}/refresh")

    def moved(self, kind: str) -> list[int]:
        return sorted(self.wallet.ledger.count(kind).values())


def money(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "CNY"}


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the plugin be found like any other, where it is not installed."""
    try:
        distribution("lendgate-alipay")
    except PackageNotFoundError:
        described = folder / "lendgate_alipay-0.1.0.dist-info"
        described.mkdir(parents=True)
        (described / "METADATA").write_text("Metadata-Version: 2.1\nName: lendgate-alipay\nVersion: 0.1.0\n")
        (described / "entry_points.txt").write_text("[lendgate]\nalipay = lendgate_alipay\n")
        monkeypatch.syspath_prepend(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
async def shop(onboarded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    install(tmp_path / "installed", monkeypatch)
    shutil.copytree(onboarded, tmp_path / "wallet")
    port = free_port()
    async with AsyncExitStack() as stack:
        wallet = await stack.enter_async_context(await serve(AlipaySimulator, tmp_path / "wallet"))
        keys = development_keys(tmp_path / "dev")
        text = configuration_text(tmp_path / "dev", {"alipay": (wallet.url, wallet.onboarding)}, tmp_path, port)
        gateway = await stack.enter_async_context(opened(parse(text, tmp_path)))
        runner = runner_of(create_app(gateway))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        session = await stack.enter_async_context(aiohttp.ClientSession(trust_env=False))
        token = gateway.connections.named("alipay").callback_token
        wallet.simulator.message_gateway = f"http://127.0.0.1:{port}/v1/callbacks/alipay/{token}"
        yield Shop(f"http://127.0.0.1:{port}", keys["shop"], session, wallet.simulator)


async def test_a_code_is_scanned_and_the_notification_settles_the_payment(shop: Shop) -> None:
    asked = await shop.pay()
    await shop.people("pay", qr_code=asked["next_action"]["qr_code"])

    paid = await shop.until(asked, "succeeded")
    async with asyncio.timeout(20):
        await shop.wallet.notifier.settled()

    assert asked["state"] == "requires_action"
    assert paid["amount"] == money("433.00")
    assert [one.accepted for one in shop.wallet.notifier.sent] == [True]
    assert shop.moved("payment") == [1]


@pytest.mark.parametrize("signature", ["stranger", "none", "altered"])
async def test_a_forged_notification_changes_nothing(shop: Shop, signature: str) -> None:
    asked = await shop.pay()
    await shop.people("forge", out_trade_no=newest(shop), signature=signature)
    await shop.wallet.forger.settled()

    stands = await shop.send("GET", f"/v1/operations/{asked['id']}")
    assert stands["state"] == "requires_action"
    assert shop.wallet.forger.sent[0].answers[0][0] == 400


async def test_a_payers_code_pays_at_once_or_after_the_payer_confirmed(shop: Shop) -> None:
    at_once = await shop.pay(method={"type": "payer_code", "code": "280000000000000000"})
    waiting = await shop.pay(method={"type": "payer_code", "code": "280000000000000094"})
    await shop.people("pay", out_trade_no=newest(shop))

    assert at_once["state"] == "succeeded"
    assert waiting["state"] == "processing"
    assert (await shop.until(waiting, "succeeded"))["state"] == "succeeded"


async def test_refunds_never_exceed_the_payment(shop: Shop) -> None:
    payment = await shop.pay(method={"type": "payer_code", "code": "280000000000000000"})
    path = f"/v1/payments/{payment['id']}/refunds"

    first = await shop.ask(path, amount=money("400.00"))
    with pytest.raises(AssertionError, match="amount_not_available"):
        await shop.ask(path, amount=money("33.01"))
    last = await shop.ask(path, amount=money("33.00"))

    assert (first["state"], last["state"]) == ("succeeded", "succeeded")
    assert str(shop.wallet.ledger.total("refund", "CNY")) == "433.00"


async def test_an_unpaid_payment_is_cancelled(shop: Shop) -> None:
    payment = await shop.pay()
    await shop.people("scan", out_trade_no=newest(shop))

    cancelled = await shop.ask(f"/v1/payments/{payment['id']}/cancel")

    assert cancelled["state"] == "succeeded"
    assert (await shop.until(payment, "cancelled"))["state"] == "cancelled"


async def test_a_transfer_arrives_and_a_bounce_is_told(shop: Shop) -> None:
    sent = await shop.transfer()
    await shop.people("bounce", out_biz_no=next(iter(shop.wallet.transfers.transfers)))

    assert sent["state"] == "succeeded"
    assert (await shop.until(sent, "returned"))["state"] == "returned"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("times", [1, 9])
async def test_whatever_happens_on_the_way_money_moves_once(shop: Shop, fault: Point, times: int) -> None:
    shop.wallet.faults.arm(fault, "alipay.fund.trans.uni.transfer", times=times)

    sent = await shop.transfer()
    shop.wallet.faults.clear()
    stands = sent if sent["state"] != "unknown" else await shop.refreshed(sent)

    assert shop.moved("transfer") in ([1], [])
    if stands["state"] == "succeeded":
        assert shop.moved("transfer") == [1]
    else:  # it never arrived: not failed before the settle window is over
        assert shop.moved("transfer") == []
        assert stands["state"] == "unknown"


@pytest.mark.parametrize("fault", [Point.CLOSE_AFTER, Point.TAMPER, Point.CLOSE_BEFORE])
async def test_a_lost_answer_costs_nobody_twice(shop: Shop, fault: Point) -> None:
    for call in ("alipay.trade.pay", "alipay.trade.refund", "zhima.credit.score.brief.get"):
        shop.wallet.faults.arm(fault, call)
    check = {"product": "threshold_check", "person": PERSON, "threshold": 600, "purpose": "credit_application"}

    payment = await shop.pay(method={"type": "payer_code", "code": "280000000000000000"})
    payment = await shop.until(payment, "succeeded")
    refund = await shop.ask(f"/v1/payments/{payment['id']}/refunds", amount=money("33.00"))
    report = await shop.ask("/v1/credit-reports", permission={"channel": "app"}, **check)

    assert (await shop.until(refund, "succeeded"))["amount"] == money("33.00")
    assert report["result"]["outcome"] == "passed"
    assert [shop.moved(kind) for kind in ("payment", "refund", "report")] == [[1], [1], [1]]


async def test_20000_after_the_transfer_is_settled_by_asking(shop: Shop) -> None:
    sent = await shop.transfer(remittance="SIM_UNKNOWN")

    assert sent["state"] == "unknown"
    assert (await shop.until(sent, "succeeded"))["state"] == "succeeded"
    assert shop.moved("transfer") == [1]


async def test_an_unsigned_refusal_is_not_believed(shop: Shop) -> None:
    await shop.people("replies", unsigned_errors=True)

    sent = await shop.transfer(remittance="SIM_PAYEE_USERINFO_ERROR")

    assert sent["state"] == "unknown"


async def test_a_threshold_is_checked(shop: Shop) -> None:
    check = {"product": "threshold_check", "person": PERSON, "threshold": 600, "purpose": "credit_application"}

    report = await shop.ask("/v1/credit-reports", permission={"channel": "app"}, **check)

    assert report["state"] == "succeeded"
    assert report["result"]["outcome"] == "passed"
    assert shop.moved("report") == [1]


async def test_a_person_is_certified_and_comes_back(shop: Shop) -> None:
    check = {"product": "identity", "person": PERSON, "purpose": "identity_check", "permission": {"channel": "app"}}
    report = await shop.ask("/v1/credit-reports", **check)

    async with shop.session.get(report["next_action"]["url"]) as page:
        shown = await page.text()
    back = shown.split('name="return_url" value="')[1].split('"')[0].replace("&amp;", "&")
    form = {"biz_no": report["partner_references"]["biz_no"], "passed": "true", "return_url": back}
    async with shop.session.post(f"{shop.wallet.url}/_sandbox/certification", data=form) as landed:
        arrived = landed.url
    # What the script of the page does, at which the browser has arrived.
    query = {"query": f"?{arrived.raw_query_string}", "fragment": ""}
    async with shop.session.post(arrived.with_query(None), data=query) as thanks:
        assert thanks.status == 200
    done = await shop.until(report, "succeeded")

    assert report["state"] == "requires_action"
    assert done["result"]["outcome"] == "passed"


async def test_a_renewed_certificate_is_learnt_on_the_way(shop: Shop) -> None:
    await shop.people("renew-certificate")

    sent = await shop.transfer()

    assert sent["state"] == "succeeded"
    assert shop.moved("transfer") == [1]


def newest(shop: Shop) -> str:
    """The newest trade's number at the wallet."""
    return list(shop.wallet.trades.trades)[-1]
