"""The insurer under the suite that every adapter is held to."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.testing.conformance import Body, House, Operation, Reading, Scenario, conformance
from lendgate_wechat_freight.adapter import WechatFreight
from lendgate_wechat_freight.simulator import WechatFreightSimulator

OPENID = "oConformanceShopper000000001"
NUMBERS = itertools.count(1)
SENT_FROM = {"country": "CN", "province": "上海市", "city": "上海市", "district": "浦东新区", "street": "世纪大道一号"}
SENT_TO = {"country": "CN", "province": "浙江省", "city": "杭州市", "district": "西湖区", "street": "文一西路五号"}


class ParcelPolicy(Scenario):
    """A parcel whose order was paid by WeChat Pay a moment ago."""

    verb, effect = "bind_policy", "policy"

    def body(self) -> Body:
        number, paid_at = next(NUMBERS), datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
        return {
            "product": "return_freight",
            "insured": {"partner_user_id": OPENID},
            "parcel": {
                "payment_reference": f"4200{number:024d}",
                "paid_at": paid_at.isoformat(),
                "paid": {"amount": "433.00", "currency": "CNY"},
                "waybill": f"SF{number:013d}",
                "sent_from": SENT_FROM,
                "sent_to": SENT_TO,
                "goods": [{"name": "Coat", "url": "pages/goods/coat"}],
                "order_path": "pages/order/detail",
            },
        }

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        parcel = body["parcel"]
        house.simulator.seed_transaction(parcel["payment_reference"], OPENID, 43300, parcel["paid_at"])
        return await super().act(house, before, body)


class ReturnClaim(Scenario):
    """The coat goes back."""

    verb, effect = "file_claim", "claim"

    def body(self) -> Body:
        return {"event": "return", "return_waybill": f"YT{next(NUMBERS):013d}", "return_carrier": "YTO"}

    async def before(self, house: House[Any]) -> Operation:
        policy = ParcelPolicy()
        return await policy.act(house, None, policy.body())


class PremiumAccount(Reading):
    verb = "fetch_partner_balance"

    async def read(self, house: House[Any], before: Operation | None) -> Any:
        return await house.read(self.verb)


TestWechatFreight = conformance(
    WechatFreight,
    simulator=WechatFreightSimulator,
    scenarios=(ParcelPolicy(), ReturnClaim(), PremiumAccount()),
)
