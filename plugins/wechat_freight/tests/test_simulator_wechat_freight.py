"""The simulated freight insurance, driven over a real TLS socket by a client that shares no code with it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.sandbox import Point, Running, serve
from gateway.testing import ManualClock
from lendgate_wechat_freight.simulator import WechatFreightSimulator

OPENID = "oTest-0000000000000000000001"
ORDER = "4200001234202601010000000001"


@dataclass
class Client:
    """A mini-program's back end, in as few lines as possible."""

    session: aiohttp.ClientSession
    running: Running[WechatFreightSimulator]
    clock: ManualClock
    token: str = ""
    secret: str = field(init=False)

    def __post_init__(self) -> None:
        path = self.running.onboarding.secrets["app_secret"].removeprefix("file:")
        self.secret = Path(path).read_text()

    @property
    def simulator(self) -> WechatFreightSimulator:
        return self.running.simulator

    async def raw(self, path: str, body: Any) -> dict[str, Any]:
        async with self.session.post(self.running.url + path, json=body) as reply:
            return dict(await reply.json())

    async def stable_token(self, **changes: Any) -> dict[str, Any]:
        appid = self.running.onboarding.settings["appid"]
        asked = {"grant_type": "client_credential", "appid": appid, "secret": self.secret, **changes}
        return await self.raw("/cgi-bin/stable_token", asked)

    async def call(self, name: str, body: Any = None) -> dict[str, Any]:
        self.token = self.token or (await self.stable_token())["access_token"]
        return await self.raw(f"/wxa/business/insurance_freight/{name}?access_token={self.token}", body or {})

    def pay(self, order_no: str = ORDER, *, ago: timedelta = timedelta(hours=1)) -> int:
        seconds = int((self.clock.now() - ago).timestamp())
        self.simulator.seed_transaction(order_no, OPENID, 12_800, seconds)
        return seconds

    def order(self, pay_time: int, **changes: Any) -> dict[str, Any]:
        place = {"province": "广东省", "city": "广州市", "county": "海珠区", "address": "新港中路397号"}
        product = {"order_path": "pages/order?id=1", "goods_list": [{"name": "外套", "url": "https://img.example/1"}]}
        return {
            "openid": OPENID,
            "order_no": ORDER,
            "pay_time": pay_time,
            "pay_amount": 12_800,
            "delivery_no": "SF0000000000001",
            "delivery_place": place,
            "receipt_place": {**place, "province": "上海市"},
            "product_info": product,
            **changes,
        }

    def claim(self, **changes: Any) -> dict[str, Any]:
        claim = {"openid": OPENID, "order_no": ORDER, "refund_delivery_no": "SF9000000000001", "refund_company": "SF"}
        return {**claim, **changes}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    clock = ManualClock()
    async with await serve(WechatFreightSimulator, tmp_path, clock=clock) as running:
        context = ssl.create_default_context(cafile=running.onboarding.tls["ca"].removeprefix("file:"))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=False) as session:
            yield Client(session, running, clock)


class TestToken:
    async def test_the_same_token_is_given_while_it_lives(self, client: Client) -> None:
        first = await client.stable_token()
        client.clock.advance(timedelta(minutes=10))

        second = await client.stable_token()

        assert second["access_token"] == first["access_token"]
        assert (first["expires_in"], second["expires_in"]) == (7200, 6600)
        assert "errcode" not in first

    async def test_old_and_new_token_both_work_for_the_last_five_minutes(self, client: Client) -> None:
        old = (await client.stable_token())["access_token"]
        client.clock.advance(timedelta(minutes=116))
        new = (await client.stable_token())["access_token"]

        answers = []
        for client.token in (old, new):
            answers.append((await client.call("query_open"))["errcode"])
        client.clock.advance(timedelta(minutes=5))
        client.token = old

        assert new != old
        assert answers == [0, 0]
        assert (await client.call("query_open"))["errcode"] == 42001

    async def test_a_forced_refresh_ends_the_old_token_and_is_limited(self, client: Client) -> None:
        client.token = (await client.stable_token())["access_token"]
        forced = [(await client.stable_token(force_refresh=True))["access_token"] for _ in range(2)]
        stale = await client.call("query_open")
        for _ in range(19):
            client.clock.advance(timedelta(seconds=31))
            assert "access_token" in await client.stable_token(force_refresh=True)
        client.clock.advance(timedelta(seconds=31))

        assert forced[0] == forced[1] != client.token
        assert stale["errcode"] == 40001
        assert (await client.stable_token(force_refresh=True))["errcode"] == 45009

    @pytest.mark.parametrize(
        ("changes", "errcode"),
        [
            ({"secret": "wrong"}, 40125),
            ({"appid": "wx-other"}, 40013),
            ({"grant_type": "password"}, 40002),
            ({"force_refresh": "true"}, 47001),
        ],
    )
    async def test_wrong_credentials_get_their_own_number(self, client: Client, changes: Any, errcode: int) -> None:
        assert (await client.stable_token(**changes))["errcode"] == errcode

    async def test_a_business_call_without_a_known_token_does_nothing(self, client: Client) -> None:
        order = client.order(client.pay())
        path = "/wxa/business/insurance_freight/createorder"

        missing, bad = await client.raw(path, order), await client.raw(path + "?access_token=forged", order)

        assert (missing["errcode"], bad["errcode"]) == (41001, 40014)
        assert not client.simulator.ledger.effects

    async def test_a_token_may_end_in_mid_flight(self, client: Client) -> None:
        await client.call("query_open")

        await client.raw("/_sandbox/expire-token", {})
        aged = await client.call("query_open")
        client.token = ""
        fresh = await client.call("query_open")
        await client.raw("/_sandbox/expire-token", {"revoke": True})

        assert (aged["errcode"], fresh["errcode"]) == (42001, 0)
        assert (await client.call("query_open"))["errcode"] == 40001


class TestCreateOrder:
    async def test_an_order_that_was_paid_is_insured_for_ninety_days(self, client: Client) -> None:
        answer = await client.call("createorder", client.order(client.pay()))

        assert answer["errcode"] == 0
        assert (answer["premium"], answer["estimate_amount"]) == (45, 1200)
        assert answer["insurance_end_date"] == "2026-04-01 09:30:00"  # Beijing time
        assert client.simulator.ledger.count() == {("policy", ORDER): 1}
        assert client.simulator.ledger.total("policy", "CNY") == Decimal("0.45")
        assert client.simulator.account.funds == 9_955

    async def test_a_second_order_for_one_payment_changes_nothing(self, client: Client) -> None:
        order = client.order(client.pay())
        first = await client.call("createorder", order)

        second = await client.call("createorder", {**order, "delivery_no": "SF0000000000002"})
        listed = await client.call("getorderlist", {"order_no": ORDER})

        assert second["errcode"] == 2015
        assert [row["policy_no"] for row in listed["list"]] == [first["policy_no"]]
        assert client.simulator.ledger.count("policy") == {("policy", ORDER): 1}

    @pytest.mark.parametrize(
        ("changes", "errcode"),
        [
            ({"openid": ""}, 41009),
            ({"order_no": None}, 2),
            ({"order_no": "4200000000000000000000000000"}, 2012),
            ({"openid": "oSomebodyElse"}, 2011),
            ({"pay_amount": 12_801}, 2014),
            ({"pay_amount": 128}, 2014),  # yuan instead of fen
            ({"pay_amount": "12800"}, 47001),
            ({"pay_amount": 128.0}, 47001),
            ({"product_info": None}, 2),
            ({"delivery_place": {"province": "广东省", "city": "广州市", "area": "海珠区", "address": "x"}}, 2),
            ({"delivery_no": "SIMNOTRACK1"}, 2028),
        ],
    )
    async def test_each_wrong_field_gets_its_own_number(self, client: Client, changes: Any, errcode: int) -> None:
        answer = await client.call("createorder", client.order(client.pay(), **changes))

        assert answer["errcode"] == errcode
        assert "rid:" in answer["errmsg"]
        assert not client.simulator.ledger.effects

    async def test_pay_time_must_be_that_of_the_payment_and_at_most_three_days_old(self, client: Client) -> None:
        paid = client.pay(ago=timedelta(hours=71))

        other = await client.call("createorder", client.order(paid + 1))
        client.clock.advance(timedelta(hours=2))
        client.token = ""
        stale = await client.call("createorder", client.order(paid))

        assert (other["errcode"], stale["errcode"]) == (2013, 1010)

    async def test_a_waybill_carries_one_policy(self, client: Client) -> None:
        paid = client.pay()
        other = "4200001234202601010000000002"
        client.pay(other)

        answers = [await client.call("createorder", client.order(paid, order_no=number)) for number in (ORDER, other)]

        assert [answer["errcode"] for answer in answers] == [0, 1011]

    async def test_busy_does_nothing_and_minus_202_comes_after_the_policy(self, client: Client) -> None:
        paid = client.pay()

        busy = await client.call("createorder", client.order(paid, delivery_no="SIMBUSY1"))
        nothing = await client.call("getorderlist", {"order_no": ORDER})
        internal = await client.call("createorder", client.order(paid, delivery_no="SIMINTERNAL1"))
        listed = await client.call("getorderlist", {"order_no": ORDER})

        assert (busy["errcode"], nothing["total"]) == (-1, 0)
        assert (internal["errcode"], listed["total"]) == (-202, 1)

    async def test_a_dropped_connection_hides_a_policy_that_was_issued(self, client: Client) -> None:
        order = client.order(client.pay())
        await client.call("query_open")
        client.simulator.faults.arm(Point.CLOSE_AFTER, "createorder")

        with pytest.raises(aiohttp.ClientError):
            await client.call("createorder", order)

        assert client.simulator.ledger.count("policy") == {("policy", ORDER): 1}


class TestClaim:
    async def test_a_claim_runs_until_the_insurer_pays(self, client: Client) -> None:
        await client.call("createorder", client.order(client.pay()))
        filed = await client.call("claim", client.claim())
        running = (await client.call("getorderlist", {"report_no": filed["report_no"]}))["list"][0]

        await client.raw("/_sandbox/decide-claim", {"order_no": ORDER, "paid": True})
        paid = (await client.call("getorderlist", {"order_no": ORDER}))["list"][0]

        assert (filed["errcode"], filed["is_home_pick_up"]) == (0, 0)
        assert (running["status"], paid["status"]) == (4, 5)
        assert paid["pay_finish_time"] == int(client.clock.now().timestamp())
        assert client.simulator.ledger.total("payout", "CNY") == Decimal("12")

    async def test_claiming_twice_says_2007_and_files_one_claim(self, client: Client) -> None:
        await client.call("createorder", client.order(client.pay()))
        await client.call("claim", client.claim())

        again = await client.call("claim", client.claim(refund_delivery_no="SF9000000000002"))

        assert again["errcode"] == 2007
        assert client.simulator.ledger.count("claim") == {("claim", "SF9000000000001"): 1}

    @pytest.mark.parametrize(("waybill", "status"), [("SIMPAID1", 5), ("SIMREJECT1", 6), ("SIMINTERNAL1", 4)])
    async def test_magic_return_waybills_decide_the_claim(self, client: Client, waybill: str, status: int) -> None:
        await client.call("createorder", client.order(client.pay()))

        filed = await client.call("claim", client.claim(refund_delivery_no=waybill))
        row = (await client.call("getorderlist", {"refund_delivery_no": waybill}))["list"][0]

        assert filed["errcode"] == (-202 if waybill == "SIMINTERNAL1" else 0)
        assert row["status"] == status
        assert bool(row["pay_fail_reason"]) == (status == 6)

    async def test_no_claim_without_a_living_policy_of_the_same_person(self, client: Client) -> None:
        before = await client.call("claim", client.claim())
        await client.call("createorder", client.order(client.pay()))
        stranger = await client.call("claim", client.claim(openid="oSomebodyElse"))
        client.clock.advance(timedelta(days=90))
        client.token = ""
        late = await client.call("claim", client.claim())
        row = (await client.call("getorderlist", {"order_no": ORDER}))["list"][0]

        assert [answer["errcode"] for answer in (before, stranger, late)] == [2009, 2009, 2009]
        assert (row["status"], row["report_no"]) == (7, "")


class TestList:
    async def test_pages_filters_and_order(self, client: Client) -> None:
        numbers = [f"42000012342026010100000000{index:02d}" for index in range(3)]
        for index, number in enumerate(numbers):
            await client.call("createorder", client.order(client.pay(number), order_no=number, delivery_no=f"D{index}"))
            client.clock.advance(timedelta(minutes=1))

        newest = await client.call("getorderlist", {"sort_direct": 1, "limit": 1})
        second = await client.call("getorderlist", {"offset": 1, "limit": 1, "status_list": [2]})

        assert (newest["total"], newest["list"][0]["order_no"]) == (3, numbers[2])
        assert second["list"][0]["order_no"] == numbers[1]
        assert (await client.call("getorderlist", {"limit": 101}))["errcode"] == 47001


class TestPremiumAccount:
    async def test_an_empty_account_refuses_until_it_is_topped_up(self, client: Client) -> None:
        order = client.order(client.pay())
        await client.raw("/_sandbox/premium-account", {"funds_fen": 44})

        short = await client.call("createorder", order)
        await client.raw("/_sandbox/top-up", {"amount_fen": 1})
        enough = await client.call("createorder", order)
        summary = await client.call("getsummary")

        assert (short["errcode"], enough["errcode"]) == (4001, 0)
        assert (summary["funds"], summary["premium"], summary["total"]) == (0, 45, 1)

    async def test_a_charge_counts_when_a_person_has_paid_it(self, client: Client) -> None:
        created = await client.call("createchargeid", {"quota": 50_000})
        order_id = created["order_id"]
        url = await client.call("applypay", {"order_id": order_id})
        before = (await client.call("getsummary"))["funds"]
        await client.raw("/_sandbox/pay-charge", {"order_id": order_id})

        listed = await client.call("getpayorderlist", {"status_list": [2]})

        assert order_id > 2**53  # a uint64 that a double would spoil
        assert url["pay_url"].startswith("https://")
        assert (await client.call("getsummary"))["funds"] - before == 50_000
        assert [row["order_id"] for row in listed["list"]] == [order_id]
        assert (await client.call("createchargeid", {"quota": 1_000_001}))["errcode"] == 2003
        assert (await client.call("applypay", {"order_id": order_id}))["errcode"] == 10021

    async def test_a_refund_empties_the_account(self, client: Client) -> None:
        order_id = (await client.call("createchargeid", {"quota": 20_000}))["order_id"]
        await client.raw("/_sandbox/pay-charge", {"order_id": order_id})

        answer = await client.call("refund")

        assert answer["errcode"] == 0
        assert (await client.call("getsummary"))["funds"] == 0
        assert (await client.call("getpayorderlist", {"status_list": [6]}))["total"] == 1

    async def test_nothing_is_insured_before_it_is_opened_or_while_paused(self, client: Client) -> None:
        order = client.order(client.pay())
        await client.raw("/_sandbox/premium-account", {"is_open": False})
        closed = await client.call("createorder", order)
        opened, again = await client.call("open"), await client.call("open")
        await client.raw("/_sandbox/premium-account", {"need_close": True})

        paused = await client.call("createorder", order)

        assert [answer["errcode"] for answer in (closed, opened, again, paused)] == [2004, 0, 2001, 2008]
        assert (await client.call("getsummary"))["need_close"] is True


async def test_a_desk_that_is_asked_nonsense_says_so(client: Client) -> None:
    async with client.session.post(client.running.url + "/_sandbox/decide-claim", json={"order_no": "x"}) as reply:
        assert reply.status == 422


async def test_onboarding_twice_keeps_the_secret(tmp_path: Path) -> None:
    first = WechatFreightSimulator.onboard(tmp_path, "https://127.0.0.1:1")
    secret = (tmp_path / "app_secret").read_text()

    assert WechatFreightSimulator.onboard(tmp_path, "https://127.0.0.1:1") == first
    assert (tmp_path / "app_secret").read_text() == secret
