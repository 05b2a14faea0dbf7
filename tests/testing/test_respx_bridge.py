"""Verbs over mocked HTTP routes."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx

from gateway import Wire
from gateway.model.problems import NotSent, OutcomeUnknown
from gateway.testing.respx_bridge import through
from tests.testing.test_drive import BANK, payment

ROUTE = "https://riverbank.example/payments"


@pytest.fixture
def router() -> Iterator[respx.Router]:
    with respx.mock(assert_all_called=False) as mocked:
        yield mocked


async def test_a_route_answers(router: respx.Router) -> None:
    route = router.post(ROUTE).respond(json={"code": "PAID", "cents": 1230})

    fact = await through(router, BANK.create_payment(payment(), Wire()))

    assert (fact.code, route.call_count) == ("PAID", 1)


async def test_what_no_route_mocks_fails_the_test_whatever_the_adapter_catches(router: respx.Router) -> None:
    with pytest.raises(pytest.fail.Exception, match="no route is mocked for POST"):
        await through(router, BANK.create_payment(payment(), Wire()))


@pytest.mark.parametrize("failure", [httpx.ConnectError, httpx.ConnectTimeout])
async def test_where_no_connection_came_about_nothing_was_sent(router: respx.Router, failure: type[Exception]) -> None:
    router.post(ROUTE).mock(side_effect=failure)

    with pytest.raises(NotSent):
        await through(router, BANK.create_payment(payment(), Wire()))


async def test_an_act_without_an_answer_may_have_happened(router: respx.Router) -> None:
    router.post(ROUTE).mock(side_effect=httpx.ReadTimeout)

    with pytest.raises(OutcomeUnknown):
        await through(router, BANK.create_payment(payment(), Wire()))
