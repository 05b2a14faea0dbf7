"""The insurer under the suite that every adapter is held to."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.testing.conformance import Body, House, Operation, Scenario, conformance
from lendgate_zhongan.adapter import Zhongan
from lendgate_zhongan.simulator import ZhonganSimulator

NUMBERS = itertools.count(1)


class Quote(Scenario):
    """A credit-life policy for one person, whose number is fresh: the insurer limits what one person may have."""

    verb, loses_answers = "quote_policy", False

    def body(self) -> Body:
        now = datetime.now(UTC).replace(microsecond=0)
        person = f"3101011990{next(NUMBERS):08d}"
        return {
            "product": "credit_life",
            "insured": {
                "name": "李雷同学",
                "identifiers": [{"scheme": "national_id", "value": person, "country": "CN"}],
                "phone": "13800138000",
                "birth_date": "1990-01-01",
            },
            "beneficiary": {"name": "Instalment Shop Lending Ltd"},
            "sum_insured": {"amount": "1299.00", "currency": "CNY"},
            "starts_at": now.isoformat(),
            "ends_at": (now + timedelta(days=90)).isoformat(),
        }


class QuotedPolicy(Scenario):
    """Bought on the first offer."""

    verb, effect = "bind_policy", "policy"

    async def before(self, house: House[Any]) -> Operation:
        return await house.start("quote_policy", Quote().body())

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        assert before is not None
        wanted = {"product": "credit_life", "quote": before.id, "offer": 0, "documents_acknowledged": True}
        return await house.start(self.verb, wanted)


TestZhongan = conformance(Zhongan, simulator=ZhonganSimulator, scenarios=(Quote(), QuotedPolicy()))
