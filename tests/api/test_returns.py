"""Returns: a fixed page that carries query and fragment back, and where the browser goes then."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from gateway.model.clock import SystemClock
from gateway.operations.desk import Desk, Settlement
from gateway.sandbox import Point
from tests.api.house import Caller, House, Reply, consent
from tests.house import until

PATH = "/v1/returns/thames"


async def back(shop: Caller, query: str = "", fragment: str = "", path: str = PATH) -> Reply:
    """What the page's script posts."""
    form = urlencode({"query": query, "fragment": fragment})
    headers = {"Authorization": None, "Content-Type": "application/x-www-form-urlencoded"}
    return await shop.send("POST", path, data=form.encode(), headers=headers)


async def asked(shop: Caller, **more: str) -> tuple[dict[str, object], str]:
    """A consent that waits for a person, and the state that the bank's page sends back."""
    made = (await shop.act("/v1/consents", consent(**more))).body
    return made, parse_qs(urlsplit(made["next_action"]["url"]).query)["state"][0]


class Held(SystemClock):
    """A bank's delay that lasts until it is `over`."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        await self.over.wait()


def steps(house: House) -> int:
    """How often the bank was asked to take the step."""
    return len([sent for sent in house.sent() if sent.endswith("/authorise")])


async def test_the_page_is_the_same_for_everybody(shop: Caller) -> None:
    one = await shop.get(PATH, state="a")
    other = await shop.get("/v1/returns/anything", error='"><script>alert(1)</script>')

    assert (one.status, one.text) == (200, other.text)
    assert "alert" not in other.text


async def test_the_page_may_run_its_one_script_and_nothing_else(shop: Caller) -> None:
    page = await shop.get(PATH)
    (script,) = re.findall("<script>(.*)</script>", page.text)
    policy = page.headers["Content-Security-Policy"]

    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"script-src 'sha256-{allowed}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"


async def test_a_person_who_authorised_is_taken_on_to_the_shop(shop: Caller) -> None:
    made, state = await asked(shop, return_url="https://shop.example/back?basket=7")

    answer = await back(shop, f"?state={state}")

    assert answer.status == 303
    assert answer.headers["Location"] == f"https://shop.example/back?basket=7&operation={made['id']}"
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["status"] == "active"


async def test_the_shops_address_is_written_as_a_header_can_carry_it(shop: Caller) -> None:
    made, state = await asked(shop, return_url="https://shop.example/回?a=%41\x00#top")

    answer = await back(shop, f"?state={state}")

    assert answer.headers["Location"] == f"https://shop.example/%E5%9B%9E?a=%41%00&operation={made['id']}#top"


async def test_a_fragment_counts_as_much_as_a_query(shop: Caller) -> None:
    made, state = await asked(shop)

    answer = await back(shop, fragment=f"#state={state}&code=abc")

    assert (answer.status, "close this window" in answer.text) == (200, True)
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["state"] == "succeeded"


async def test_a_state_that_nobody_waits_for_goes_nowhere(shop: Caller, house: House) -> None:
    _, state = await asked(shop, return_url="https://shop.example/back")
    before = house.sent()

    answers = [
        await back(shop, "?state=guess"),
        await back(shop, ""),
        await back(shop, f"?state={state}", path="/v1/returns/riverbank"),
        await back(shop, f"?state={state}", path="/v1/returns/nobody"),
    ]

    assert [answer.status for answer in answers] == [404] * 4
    assert not [answer for answer in answers if "Location" in answer.headers]
    assert house.sent() == before


async def test_a_return_that_comes_twice_acts_once(shop: Caller, house: House) -> None:
    _, state = await asked(shop)
    await back(shop, f"?state={state}")
    before = house.sent()

    again = await back(shop, f"?state={state}")

    assert again.status == 200
    assert house.sent() == before


async def test_a_refresh_in_the_middle_of_a_step_opens_it_to_no_second_return(shop: Caller, house: House) -> None:
    made, state = await asked(shop)
    house.thames.clock = held = Held()
    house.thames.faults.arm(Point.DELAY_BEFORE, "POST /consents/*")
    step = asyncio.create_task(back(shop, f"?state={state}"))
    await until(lambda: steps(house) == 1)

    shown = await shop.post(f"/v1/consents/{made['id']}/refresh")
    await back(shop, f"?state={state}")
    held.over.set()
    await step

    assert shown.body["state"] == "processing"
    assert steps(house) == 1
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["state"] == "succeeded"


def first_of_all(house: House, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between the claim of a step and its intent."""
    runner = house.gateway.returns._runner

    class Late(type(runner)):  # type: ignore[misc]  # whatever runs verbs here
        async def run(self, *what: Any) -> Any:
            monkeypatch.undo()
            await happens()
            return await runner.run(*what)

    monkeypatch.setattr(house.gateway.returns, "_runner", Late(runner._clock, runner._ids))


async def test_what_a_person_settled_since_the_claim_is_not_gone_on_with(
    shop: Caller, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, state = await asked(shop)
    gateway = house.gateway
    word = Settlement("failed", "the customer withdrew", "letter of today", "ops/ab12cd34")
    desk = Desk(gateway.store, gateway.door, gateway.journal)
    first_of_all(house, monkeypatch, lambda: desk.settle(made["id"], word))

    await back(shop, f"?state={state}")

    assert steps(house) == 0
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["state"] == "failed"


async def test_a_change_that_stands_in_nobodys_way_delays_the_step_only(
    shop: Caller, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, state = await asked(shop)
    later = house.gateway.clock.now() + timedelta(days=1)
    first_of_all(house, monkeypatch, lambda: house.gateway.store.due(later, later, "somebody", 9))

    await back(shop, f"?state={state}")

    assert steps(house) == 1
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["state"] == "succeeded"


async def test_a_parameter_that_comes_back_twice_is_refused(shop: Caller) -> None:
    _, state = await asked(shop)

    answers = [
        await back(shop, f"?state={state}&state=other"),
        await back(shop, f"?state={state}", "#state=other"),
        await back(shop, f"?state={state}&code=%ff"),
    ]

    assert [(answer.status, answer.kind) for answer in answers] == [(400, "malformed_request")] * 3


async def test_a_return_that_is_too_large_is_refused(shop: Caller) -> None:
    assert (await back(shop, "?state=" + "a" * 40_000)).status == 413


async def test_doubt_about_the_step_is_shown_as_doubt(shop: Caller, house: House) -> None:
    made, state = await asked(shop)
    house.thames.faults.arm(Point.BAD_GATEWAY_BEFORE, "*", times=20)

    answer = await back(shop, f"?state={state}")

    assert answer.status == 200
    assert (await shop.get(f"/v1/consents/{made['id']}")).body["state"] == "unknown"
