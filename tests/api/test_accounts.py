"""Accounts under a consent: what may be read, with what purpose, and by which cursor."""

from __future__ import annotations

import json

import pytest

from gateway.api.shapes import AccountPage, BalancePage, TransactionPage
from tests.api.house import Caller, House, consent

PURPOSE = "affordability"


@pytest.fixture
async def active(shop: Caller) -> str:
    """The id of an active consent."""
    made = (await shop.act("/v1/consents", consent())).body
    return str((await shop.post(f"/v1/operations/{made['id']}/continue")).body["id"])


async def test_accounts_balances_and_transactions_are_read(shop: Caller, active: str) -> None:
    accounts = await shop.get("/v1/accounts", consent=active, purpose=PURPOSE)
    balances = await shop.get("/v1/accounts/A1/balances", consent=active, purpose=PURPOSE)
    query = {"from": "2026-02-01T00:00:00Z", "to": "2026-03-01T00:00:00+01:00"}
    transactions = await shop.get("/v1/accounts/A1/transactions", consent=active, purpose=PURPOSE, **query)

    assert AccountPage.model_validate(accounts.body).accounts[0].id == "A1"
    assert balances.body["balances"][0]["amount"] == {"amount": "120.50", "currency": "GBP"}
    BalancePage.model_validate(balances.body)
    page = TransactionPage.model_validate(transactions.body)
    assert (page.transactions[0].id, page.available_from is not None) == ("T1", True)


async def test_a_read_is_recorded_with_its_consent_and_purpose(shop: Caller, house: House, active: str) -> None:
    await shop.get("/v1/accounts", consent=active, purpose=PURPOSE)

    leaves = [json.loads(entry.leaf) for entry in await house.gateway.store.entries()]

    read = next(leaf for leaf in leaves if leaf.get("verb") == "list_accounts")
    assert (read["kind"], read["consent"], read["purpose"]) == ("intent", active, PURPOSE)


async def test_a_read_without_a_purpose_is_refused(shop: Caller, house: House, active: str) -> None:
    before = house.sent()

    answer = await shop.get("/v1/accounts", consent=active)

    assert (answer.status, answer.body["errors"]) == (422, [{"path": "purpose", "detail": "is needed"}])
    assert house.sent() == before


async def test_a_consent_that_is_not_active_opens_nothing(shop: Caller) -> None:
    made = (await shop.act("/v1/consents", consent())).body

    pending = await shop.get("/v1/accounts", consent=made["id"], purpose=PURPOSE)
    nothing = await shop.get("/v1/accounts", consent="con_none", purpose=PURPOSE)

    assert (pending.status, pending.kind) == (422, "consent_not_active")
    assert (nothing.status, nothing.kind) == (422, "invalid_fields")


async def test_a_consent_that_the_person_withdrew_at_the_bank_opens_nothing_more(
    shop: Caller, house: House, active: str
) -> None:
    house.thames.consents["TC1"] = "REVOKED"

    refreshed = await shop.post(f"/v1/consents/{active}/refresh")
    read = await shop.get("/v1/accounts", consent=active, purpose=PURPOSE)

    assert (refreshed.body["state"], refreshed.body["status"]) == ("succeeded", "revoked")
    assert (read.status, read.kind) == (422, "consent_not_active")


async def test_a_consent_of_another_client_opens_nothing(house: House, active: str) -> None:
    answer = await house.caller("other_shop").get("/v1/accounts", consent=active, purpose=PURPOSE)

    assert answer.status == 422


async def test_a_cursor_leads_to_the_next_page(shop: Caller, house: House, active: str) -> None:
    where = {"consent": active, "purpose": PURPOSE}
    first = await shop.get("/v1/accounts/A1/transactions", **where)

    second = await shop.get("/v1/accounts/A1/transactions", cursor=first.body["next_cursor"], **where)

    assert [entry["id"] for entry in second.body["transactions"]] == ["T2"]
    assert "next_cursor" not in second.body
    assert house.thames.url not in first.text


async def test_a_cursor_opens_nothing_but_what_it_was_given_for(house: House, shop: Caller, active: str) -> None:
    where = {"consent": active, "purpose": PURPOSE}
    cursor = (await shop.get("/v1/accounts/A1/transactions", **where)).body["next_cursor"]
    middle = len(cursor) // 2
    forged = cursor[:middle] + ("A" if cursor[middle] != "A" else "B") + cursor[middle + 1 :]
    other = (await shop.act("/v1/consents", consent())).body["id"]
    await shop.post(f"/v1/operations/{other}/continue")

    answers = [
        await shop.get("/v1/accounts/A1/transactions", cursor=forged, **where),
        await shop.get("/v1/accounts/A2/transactions", cursor=cursor, **where),
        await shop.get("/v1/accounts/A1/balances", cursor=cursor, **where),
        await shop.get("/v1/accounts/A1/transactions", cursor=cursor, consent=other, purpose=PURPOSE),
        await shop.get("/v1/accounts/A1/transactions", cursor="aHR0cDovL2V2aWwuZXhhbXBsZQ", **where),
        await shop.get("/v1/accounts/A1/transactions", cursor="a", **where),
    ]

    assert {(answer.status, answer.body["errors"][0]["path"]) for answer in answers} == {(422, "cursor")}


async def test_a_bank_that_does_not_answer_is_a_problem_that_may_be_asked_again(
    shop: Caller, house: House, active: str
) -> None:
    await house.banks["thames"].stop()

    answer = await shop.get("/v1/accounts", consent=active, purpose=PURPOSE)

    assert (answer.status, answer.kind, answer.body["retry"]) == (502, "partner_no_answer", "after")
    assert answer.headers["Retry-After"] == "5"
