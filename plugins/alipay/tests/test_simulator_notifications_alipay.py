"""What the simulated wallet says on its own, and how somebody else would say it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

ORDER = {"out_trade_no": "P1", "total_amount": "433.00", "subject": "分期 1"}
PRECREATE = "alipay.trade.precreate"


class TestNotifications:
    async def settled(self, client: Any) -> None:
        async with asyncio.timeout(20):
            await client.simulator.notifier.settled()
            await client.simulator.forger.settled()

    async def test_a_payment_is_told_until_somebody_says_success(self, client: Any, listener: Any) -> None:
        listener.answers = [b"SUCCESS", b"<p>success</p>", b"success\n"]
        await client.call(PRECREATE, ORDER, notify_url=listener.url)
        await client.people("pay", out_trade_no="P1")
        await self.settled(client)

        for told in listener.heard:
            client.check(dict(told))
        assert len(listener.heard) == 4
        assert len({told["notify_id"] for told in listener.heard}) == 1
        assert listener.heard[0]["trade_status"] == "TRADE_SUCCESS"
        assert listener.heard[0]["total_amount"] == "433.00"
        assert listener.heard[0]["seller_id"] == "2088000000000001"

    async def test_the_amount_is_covered_by_the_signature(self, client: Any, listener: Any) -> None:
        await client.call(PRECREATE, ORDER, notify_url=listener.url)
        await client.people("pay", out_trade_no="P1")
        await self.settled(client)
        told = listener.heard[0] | {"total_amount": "433.01"}

        with pytest.raises(InvalidSignature):
            client.check(told)

    async def test_a_refund_is_told_with_the_sum_of_all(self, client: Any, listener: Any) -> None:
        await client.call(PRECREATE, ORDER, notify_url=listener.url)
        await client.people("pay", out_trade_no="P1")
        await client.refund("33.00", "R1")
        await client.refund("400.00", "R2")
        await self.settled(client)

        told = {one.get("out_biz_no"): (one["trade_status"], one.get("refund_fee")) for one in listener.heard}
        assert told == {
            None: ("TRADE_SUCCESS", None),
            "R1": ("TRADE_SUCCESS", "33.00"),
            "R2": ("TRADE_CLOSED", "433.00"),
        }

    async def test_without_an_address_nothing_is_told(self, client: Any) -> None:
        await client.paid()

        assert client.simulator.notifier.sent == []

    async def test_a_bounce_is_told_to_the_message_gateway(self, client: Any, listener: Any) -> None:
        await client.people("message-gateway", url=listener.url)
        await client.transfer()
        await client.people("bounce", out_biz_no="T1")
        await self.settled(client)

        for told in listener.heard:
            client.check(dict(told))
        contents = sorted((json.loads(told["biz_content"]) for told in listener.heard), key=lambda one: one["status"])
        assert [one["status"] for one in contents] == ["REFUND", "SUCCESS"]
        assert contents[0]["trans_amount"] == "1299.00"
        assert listener.heard[0]["msg_method"] == "alipay.fund.trans.order.changed"

    @pytest.mark.parametrize("signature", ["stranger", "none", "altered"])
    async def test_a_forgery_does_not_verify(self, client: Any, listener: Any, signature: str) -> None:
        await client.call(PRECREATE, ORDER, notify_url=listener.url)
        await client.people("forge", out_trade_no="P1", signature=signature)
        await self.settled(client)

        assert len(listener.heard) == 1
        with pytest.raises((InvalidSignature, KeyError)):
            client.check(listener.heard[0])
