"""Operations: search, timeline, and the step after a person's act."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.api.shapes import OperationPage, OperationView, Timeline
from gateway.sandbox import Point
from tests.api.house import Caller, House, consent, payment


async def test_operations_are_searched_by_what_the_platform_knows(shop: Caller) -> None:
    paid = (await shop.act("/v1/payments", payment(links_to={"loan": "LN-1"}, reference="R-1"))).body
    open_ = (await shop.act("/v1/payments", payment("5.17", links_to={"loan": "LN-2"}, reference="R-2"))).body

    async def ids(**query: str) -> list[str]:
        return [one["id"] for one in (await shop.get("/v1/operations", **query)).body["operations"]]

    assert await ids() == [open_["id"], paid["id"]]
    assert await ids(reference="R-1") == [paid["id"]]
    assert await ids(state="processing") == [open_["id"]]
    assert await ids(link="loan=LN-1") == [paid["id"]]
    assert await ids(kind="transfer") == []
    assert await ids(connection="riverbank", kind="payment") == [open_["id"], paid["id"]]
    assert await ids(attention="true") == []


async def test_a_search_goes_on_by_cursor(shop: Caller) -> None:
    made = [(await shop.act("/v1/payments", payment())).body["id"] for _ in range(3)]

    first = (await shop.get("/v1/operations", limit="2")).body
    second = (await shop.get("/v1/operations", limit="2", cursor=first["next_cursor"])).body

    OperationPage.model_validate(first)
    assert [one["id"] for one in first["operations"] + second["operations"]] == made[::-1]
    assert "next_cursor" not in second


async def test_a_platform_sees_its_own_and_a_reader_everybodys(house: House, shop: Caller) -> None:
    await shop.act("/v1/payments", payment())
    other, operator = house.caller("other_shop"), house.caller("operator")

    assert (await other.get("/v1/operations")).body["operations"] == []
    assert len((await operator.get("/v1/operations")).body["operations"]) == 1
    assert (await operator.get("/v1/operations", client="other_shop")).body["operations"] == []
    assert (await other.get("/v1/operations", client="shop")).status == 422


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "state=succeeded&state=failed",
        "state=done",
        "kind=cheque",
        "limit=0",
        "limit=201",
        "limit=ten",
        "link=LN-1",
        "cursor=a%00b",
        "attention=perhaps",
        "reference=%20",
    ],
)
async def test_a_wrong_parameter_is_named(shop: Caller, query: str) -> None:
    answer = await shop.send("GET", f"/v1/operations?{query}")

    assert (answer.status, answer.kind) == (422, "invalid_query")
    assert answer.body["errors"][0]["path"] == query.partition("=")[0]


async def test_a_parameter_where_none_is_known_is_refused(shop: Caller) -> None:
    answer = await shop.get("/v1/operations/pay_1", expand="all")

    assert (answer.status, answer.kind) == (422, "invalid_query")


async def test_any_operation_is_read_by_its_id(shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("5.19", payer={"name": "Li"}))).body

    read = (await shop.get(f"/v1/operations/{made['id']}")).body

    OperationView.model_validate(read)
    assert read == made
    assert "Li" not in str(read)


async def test_the_timeline_shows_what_was_sent_answered_and_decided(shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment(payer={"name": "Li Wei"}))).body

    answer = await shop.get(f"/v1/operations/{made['id']}/timeline")

    timeline = Timeline.model_validate(answer.body)
    assert [record.kind for record in timeline.records] == ["intent", "outcome", "change"]
    assert [record.number for record in timeline.records] == [1, 2, 3]
    assert timeline.records[0].record["verb"] == "create_payment"
    assert timeline.records[2].record["after"] == "succeeded"
    assert "Li Wei" not in answer.text


async def test_a_step_is_taken_after_a_person_has_acted(shop: Caller) -> None:
    made = (await shop.act("/v1/consents", consent())).body
    page = urlsplit(made["next_action"]["url"])

    answer = await shop.post(f"/v1/operations/{made['id']}/continue")

    assert parse_qs(page.query)["consent"] == [made["partner_references"]["thames_id"]]
    assert (answer.status, answer.body["state"], answer.body["status"]) == (200, "succeeded", "active")


async def test_an_operator_settles_doubt_with_reason_and_evidence(house: House, shop: Caller) -> None:
    house.riverbank.faults.arm(Point.TAMPER, "POST payments", times=9)
    made = (await shop.act("/v1/payments", payment())).body
    word = {"state": "failed", "reason": "not on the statement", "evidence": "statement 2026-03-02"}
    path = f"/v1/operations/{made['id']}/settle"

    settled = await house.caller("operator").send("POST", path, json=word)
    again = await house.caller("operator").send("POST", path, json=word)

    assert (settled.status, settled.body["state"]) == (200, "failed")
    assert (again.status, again.kind) == (409, "nothing_to_settle")
    records = (await shop.get(f"/v1/operations/{made['id']}/timeline")).body["records"]
    act = next(one["record"] for one in records if one["kind"] == "act")
    assert (act["actor"].partition("/")[0], act["evidence"]) == ("operator", "statement 2026-03-02")


async def test_nobody_else_settles_and_nobody_without_evidence(house: House, shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment("5.17"))).body
    path, word = f"/v1/operations/{made['id']}/settle", {"state": "succeeded", "reason": "seen", "evidence": "mail"}

    answers = [await house.caller(name).send("POST", path, json=word) for name in ("shop", "auditor")]
    bare = await house.caller("operator").send("POST", path, json={**word, "evidence": " "})

    assert [answer.status for answer in answers] == [403, 403]
    assert (bare.status, bare.body["errors"][0]["path"]) == (422, "evidence")
    assert (await shop.get(f"/v1/payments/{made['id']}")).body["state"] == "processing"


async def test_a_refresh_of_what_has_ended_leaves_no_further_question(shop: Caller, house: House) -> None:
    made = (await shop.act("/v1/payments", payment("5.13"))).body["operation"]

    answer = await shop.post(f"/v1/payments/{made['id']}/refresh")

    assert (answer.status, answer.body["state"]) == (200, "failed")
    assert await house.gateway.store.next_due() is None


async def test_there_is_no_step_where_nobody_is_waited_for(shop: Caller) -> None:
    made = (await shop.act("/v1/payments", payment())).body

    answer = await shop.post(f"/v1/operations/{made['id']}/continue")

    assert (answer.status, answer.kind) == (409, "no_step")
