"""How answers of the platform are read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway import NotUnderstood, Reply
from lendgate_wechat_freight.adapter import WechatFreight
from lendgate_wechat_freight.messages import Heard, moment

ORDER = "4200001234202601010000000001"
ROW = {"order_no": ORDER, "policy_no": "P1", "status": 2}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"policy_no": "P1"}, "0"),  # errcode absent
        ({"errcode": 0, "list": []}, "none"),
        ({"errcode": 0, "list": [ROW]}, "status 2"),
        ({"errcode": 0, "list": [{**ROW, "status": 3}]}, "status 3"),
        ({"errcode": 42001, "list": []}, "42001"),
    ],
)
def test_where_an_answer_keeps_its_code(body: Any, code: str) -> None:
    reply = Reply(200, (), json.dumps(body).encode(), datetime(2026, 1, 1, tzinfo=UTC))

    assert reply.parse(Heard).code == code


@pytest.mark.parametrize("code", ["status 1", "status 3", "1000", "2021", "99999"])
def test_what_nobody_published_means_nothing(code: str) -> None:
    listed = [code in terms.codes for terms in WechatFreight.terms.values()]

    assert not any(listed)


@pytest.mark.parametrize("body", [b'{"errcode": "0"}', b'{"premium": 1.5}', b'{"list": {}}', b'{"premium": -1}'])
def test_a_misshapen_answer_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        Reply(200, (), body, datetime(2026, 1, 1, tzinfo=UTC)).parse(Heard)


def test_two_orders_under_one_number_are_not_understood() -> None:
    heard = Heard.model_validate({"list": [ROW, ROW]})

    with pytest.raises(NotUnderstood):
        _ = heard.code


def test_the_end_of_cover_is_read_as_beijing_time() -> None:
    assert moment("2026-04-01 09:30:00") == datetime(2026, 4, 1, 1, 30, tzinfo=UTC)
    with pytest.raises(NotUnderstood):
        moment("2026-04-01")
