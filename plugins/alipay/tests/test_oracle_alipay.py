"""An independent client, python-alipay-sdk, against both sides: it signs as we do, and each takes what the other made.

It cannot judge everything: it takes braces in strings for structure, and it reads local time for Beijing's.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from gateway import (
    Callback,
    Cancellation,
    CreditReportInitiation,
    Known,
    Money,
    NotProven,
    PaymentInquiry,
    RefundInitiation,
    Reply,
    Request,
    SignedLink,
    Stamp,
    TransferInitiation,
    Wire,
)
from gateway.sandbox import serve
from gateway.testing import ManualClock
from lendgate_alipay.signing import RSA2Envelope, to_sign
from lendgate_alipay.simulator import AlipaySimulator

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses interfaces of its own libraries that are on their way out
    alipay = pytest.importorskip("alipay")

# It uses interfaces of its own libraries that are on their way out.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

BEIJING = timezone(timedelta(hours=8))
WIRE = Wire()


def texts(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.suffix in (".key", ".pub", ".crt")}


def certified(directory: Path, own: str = "app.key") -> Any:
    """The independent client in certificate mode."""
    held = texts(directory)
    return alipay.DCAliPay(
        appid="2021000000000001",
        app_private_key_string=held[own],
        app_public_key_cert_string=held["appCertPublicKey.crt"],
        alipay_public_key_cert_string=held["alipayCertPublicKey.crt"],
        alipay_root_cert_string=held["alipayRootCert.crt"],
    )


def plain(directory: Path, own: str = "app.key", other: str = "alipay.pub") -> Any:
    """The independent client in public-key mode."""
    held = texts(directory)
    return alipay.AliPay(
        appid="2021000000000002", app_private_key_string=held[own], alipay_public_key_string=held[other]
    )


@pytest.fixture
async def asked(desk: Any) -> list[Request]:
    """One request of each verb, as the adapter writes them."""
    adapter, parent = desk.adapter, Known(**desk.known())
    person = {"name": "张三", "identifiers": [{"scheme": "national_id", "value": "11010119900101001X"}]}
    wanted = {"person": person, "purpose": "credit_application", "permission": {}, "threshold": 600}
    amount = Money.of("433.00", "CNY")
    creditor = {"name": "李四", "account": {"scheme": "wallet_user_id", "identification": "2088000000000002"}}
    check = CreditReportInitiation(**desk.fill("C" * 32, product="threshold_check", **wanted))
    identity = CreditReportInitiation(**desk.fill("D" * 32, product="identity", **wanted))
    for verb in (
        adapter.create_payment(desk.payment(), WIRE),
        adapter.create_payment(desk.payment("B" * 32, code="280000000000000000"), WIRE),
        adapter.fetch_payment(PaymentInquiry(**desk.known()), WIRE),
        adapter.create_refund(RefundInitiation(**desk.fill("R" * 32, amount=amount, parent=parent)), WIRE),
        adapter.cancel_payment(Cancellation(**desk.fill("X" * 32, parent=parent)), WIRE),
        adapter.create_transfer(TransferInitiation(**desk.fill("T" * 32, amount=amount, creditor=creditor)), WIRE),
        adapter.check_threshold(check, WIRE),
        adapter.request_report(identity, WIRE),
    ):
        await desk.run(verb)
    return [one.request for one in desk.asked]


async def test_it_signs_every_request_of_ours_as_we_do(desk: Any, asked: list[Request]) -> None:
    oracle = certified(desk.client.simulator.directory)
    stamp = Stamp(datetime(2026, 1, 1, 1, 30, tzinfo=UTC), "0" * 32)

    for one in asked:
        signed = desk.adapter.scheme.sign(one, desk.keys, stamp)
        sent = dict(parse_qsl(urlsplit(signed.url).query) + parse_qsl(signed.body.decode()))
        unsigned = "&".join(f"{name}={value}" for name, value in sorted(sent.items()) if name != "sign")
        assert sent["sign"] == oracle._sign(unsigned)
        assert (sent["app_cert_sn"], sent["alipay_root_cert_sn"]) == (oracle.app_cert_sn, oracle.alipay_root_cert_sn)
    assert len(asked) == 8


def test_it_gives_certificates_the_same_numbers_as_the_simulator(client: Any) -> None:
    oracle, simulator = certified(client.simulator.directory), client.simulator

    own = oracle.get_cert_sn(texts(simulator.directory)["alipayCertPublicKey.crt"])
    assert own == simulator.envelope.own_cert_sn
    assert oracle.app_cert_sn == simulator.envelope.applications["2021000000000001"].cert_sn
    assert oracle.alipay_root_cert_sn == simulator.envelope._root_cert_sn


@pytest.fixture
async def local(onboarded: Path) -> AsyncIterator[AlipaySimulator]:
    """A simulator in whose Beijing it is as late as the oracle believes."""
    clock = ManualClock(datetime.now().replace(tzinfo=BEIJING).astimezone(UTC))
    async with await serve(AlipaySimulator, onboarded, clock=clock) as running:
        yield running.simulator


async def drive(oracle: Any, simulator: AlipaySimulator, call: Callable[[Any], Any]) -> Any:
    """Let it send for itself, over the socket; it verifies what comes back."""
    oracle._gateway = f"{simulator.url}/gateway.do"
    return await asyncio.to_thread(call, oracle)


@pytest.mark.parametrize("escapes", [False, True])
@pytest.mark.parametrize("make", [certified, plain])
async def test_it_trades_with_the_simulator(
    onboarded: Path, local: AlipaySimulator, make: Callable[[Path], Any], escapes: bool
) -> None:
    local.envelope.escape_unicode = escapes
    oracle = make(onboarded)
    order = {"out_trade_no": "P1", "total_amount": "433.00", "subject": "分期"}

    created = await drive(oracle, local, lambda it: it.api_alipay_trade_precreate(**order))
    local.trades.pay(qr_code=created["qr_code"])
    found = await drive(oracle, local, lambda it: it.api_alipay_trade_query("P1"))
    refunded = await drive(
        oracle, local, lambda it: it.api_alipay_trade_refund("33.00", out_trade_no="P1", out_request_no="R1")
    )
    known = await drive(oracle, local, lambda it: it.api_alipay_trade_fastpay_refund_query("R1", out_trade_no="P1"))
    declined = await drive(oracle, local, lambda it: it.api_alipay_trade_close("P1"))

    assert found["trade_status"] == "TRADE_SUCCESS"
    assert refunded["fund_change"] == "Y"
    assert known["refund_status"] == "REFUND_SUCCESS"
    assert declined["sub_code"] == "ACQ.REASON_TRADE_STATUS_INVALID"


async def test_it_transfers_in_certificate_mode(onboarded: Path, local: AlipaySimulator) -> None:
    sent = await drive(
        certified(onboarded),
        local,
        lambda it: it.api_alipay_fund_trans_uni_transfer(
            "T1", "ALIPAY_USER_ID", "2088000000000002", "1299.00", order_title="放款"
        ),
    )

    assert sent["status"] == "SUCCESS"
    assert local.ledger.count("transfer") == {("transfer", "T1"): 1}


async def test_it_refuses_a_reply_that_was_changed(client: Any) -> None:
    oracle = certified(client.simulator.directory)
    order = {"out_trade_no": "P1", "total_amount": "433.00", "subject": "x"}
    text = await client.post(client.signed(client.public("alipay.trade.precreate", order)))
    name = "alipay_trade_precreate_response"

    assert oracle._verify_and_return_sync_response(text, name)["code"] == "10000"
    with pytest.raises(alipay.exceptions.AliPayValidationError):
        oracle._verify_and_return_sync_response(text.replace("Success", "Failure"), name)


@pytest.mark.parametrize(("signature", "genuine"), [(None, True), ("stranger", False), ("altered", False)])
async def test_it_tells_genuine_notifications_from_forged_ones(
    client: Any, listener: Any, signature: str | None, genuine: bool
) -> None:
    order = {"out_trade_no": "P1", "total_amount": "433.00", "subject": "分期"}
    await client.call("alipay.trade.precreate", order, notify_url=listener.url)
    if signature is None:
        await client.people("pay", out_trade_no="P1")
    else:
        await client.people("forge", out_trade_no="P1", signature=signature)
    async with asyncio.timeout(20):
        await client.simulator.notifier.settled()
        await client.simulator.forger.settled()
    told = listener.heard[0]

    sign = told.pop("sign")
    assert certified(client.simulator.directory).verify(told, sign) is genuine


def test_our_verification_takes_what_it_signs_and_nothing_else(desk: Any) -> None:
    directory = desk.client.simulator.directory
    oracle = plain(directory, own="alipay.key", other="app.pub")  # it plays the wallet here
    scheme = RSA2Envelope("2021000000000001")
    now = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
    asked = Request.form("https://gateway.example/gateway.do?method=alipay.trade.query", {"biz_content": "{}"})
    node = '{"code":"10000","subject":"\\u5206期 a\\/b","total_amount":"433.00"}'
    told = {"app_id": "2021000000000001", "subject": "分期 1/3", "body": "", "trade_status": "TRADE_SUCCESS"}

    body = f'{{"alipay_trade_query_response":{node},"sign":"{oracle._sign(node)}"}}'
    form = {**told, "sign_type": "RSA2", "sign": oracle._sign(to_sign(told))}

    assert scheme.verify(Reply(200, (), body.encode(), now), asked, desk.keys) == node.encode()
    assert scheme.verify_callback(Callback("POST", "/", (), urlencode(form).encode(), now), desk.keys)
    form["trade_status"] = "TRADE_FINISHED"
    with pytest.raises(NotProven):
        scheme.verify_callback(Callback("POST", "/", (), urlencode(form).encode(), now), desk.keys)


def test_it_signs_a_page_link_as_we_do(desk: Any) -> None:
    method, back = "zhima.customer.certification.certify", "https://gw.example/r?state=s"
    page = desk.adapter.call(method, {"biz_no": "ZM1"}, return_url=back)
    link = SignedLink(page.url, timedelta(minutes=5), request=page)

    url = desk.adapter.scheme.link(link, desk.handoff, desk.keys, Stamp(datetime(2026, 1, 1, tzinfo=UTC), ""))

    given = dict(parse_qsl(urlsplit(url).query))
    unsigned = "&".join(f"{name}={value}" for name, value in sorted(given.items()) if name != "sign")
    assert given["sign"] == certified(desk.client.simulator.directory)._sign(unsigned)
