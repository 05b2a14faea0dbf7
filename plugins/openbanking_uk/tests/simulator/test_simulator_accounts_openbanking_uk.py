"""The bank's account information: permissions, windows, pages, and consents that end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

ALL = (
    "ReadAccountsDetail",
    "ReadBalances",
    "ReadTransactionsDetail",
    "ReadTransactionsCredits",
    "ReadTransactionsDebits",
)


@pytest.mark.parametrize(
    "permissions",
    [
        [],
        ["ReadBalances"],
        ["ReadAccountsBasic", "ReadMinds"],
        ["ReadAccountsBasic", "ReadTransactionsDetail"],
        ["ReadAccountsBasic", "ReadTransactionsCredits"],
    ],
)
async def test_permissions_that_make_no_sense_are_refused(tpp: Any, permissions: list[str]) -> None:
    body = {"Data": {"Permissions": permissions}, "Risk": {}}

    heard = await tpp.call("POST", "account-access-consents", body=body)

    assert heard.status == 400


@pytest.mark.parametrize(
    "data",
    [
        {"ExpirationDateTime": "2025-12-31T00:00:00+00:00"},
        {"ExpirationDateTime": "2026-12-31T00:00:00"},
        {"TransactionFromDateTime": "2026-01-02T00:00:00+00:00", "TransactionToDateTime": "2026-01-01T00:00:00+00:00"},
    ],
)
async def test_dates_that_make_no_sense_are_refused(tpp: Any, data: Any) -> None:
    body = {"Data": {"Permissions": ["ReadAccountsBasic"], **data}, "Risk": {}}

    heard = await tpp.call("POST", "account-access-consents", body=body)

    assert (heard.status, heard.code) == (400, "U003")


async def test_account_requests_are_not_signed(tpp: Any) -> None:
    body = {"Data": {"Permissions": list(ALL)}, "Risk": {}}

    heard = await tpp.call("POST", "account-access-consents", body=body, headers={"x-jws-signature": "a..b"})
    plain = await tpp.call("POST", "account-access-consents", body=body)

    assert (heard.status, heard.code) == (400, "U020")
    assert "x-jws-signature" not in plain.headers


@pytest.mark.parametrize(
    ("version", "status", "account"),
    [
        ("v4.0", "AWAU", {"AccountCategory": "Personal", "AccountTypeCode": "CACC"}),
        ("v3.1", "AwaitingAuthorisation", {"AccountType": "Personal", "AccountSubType": "CurrentAccount"}),
    ],
)
async def test_accounts_come_in_the_words_of_the_version(tpp: Any, version: str, status: str, account: Any) -> None:
    tpp.version = version
    body = {"Data": {"Permissions": list(ALL)}, "Risk": {}}

    consent = await tpp.call("POST", "account-access-consents", body=body)
    _, answer = await tpp.account_token(*ALL)
    accounts = await tpp.call("GET", "accounts", token=answer["access_token"])

    assert consent.status_said == status
    first = accounts.body["Data"]["Account"][0]
    assert {name: first[name] for name in account} == account
    assert first["Account"][0]["Identification"] == "20325412345678"
    assert len(accounts.body["Data"]["Account"]) == 3


async def test_basic_permissions_leave_details_out(tpp: Any) -> None:
    _, answer = await tpp.account_token("ReadAccountsBasic", "ReadTransactionsBasic", "ReadTransactionsCredits")
    token = answer["access_token"]

    accounts = await tpp.call("GET", "accounts/acc-1", token=token)
    transactions = await tpp.call("GET", "accounts/acc-1/transactions", token=token)
    balances = await tpp.call("GET", "balances", token=token)

    assert "Account" not in accounts.body["Data"]["Account"][0]
    entries = transactions.body["Data"]["Transaction"]
    assert {entry["CreditDebitIndicator"] for entry in entries} == {"Credit"}
    assert all("TransactionInformation" not in entry for entry in entries)
    assert balances.status == 403


@pytest.mark.parametrize(("permissions", "number"), [((), "xxxxxxxxxxxx1234"), (("ReadPAN",), "4000000000001234")])
async def test_a_card_number_is_masked_without_permission(tpp: Any, permissions: Any, number: str) -> None:
    _, answer = await tpp.account_token("ReadAccountsDetail", *permissions)

    heard = await tpp.call("GET", "accounts/acc-3", token=answer["access_token"])

    assert heard.body["Data"]["Account"][0]["Account"][0]["Identification"] == number


async def test_an_overdrawn_balance_is_an_unsigned_amount_on_the_debit_side(tpp: Any) -> None:
    _, answer = await tpp.account_token(*ALL)

    heard = await tpp.call("GET", "accounts/acc-3/balances", token=answer["access_token"])

    balance = heard.body["Data"]["Balance"][0]
    assert (balance["Amount"]["Amount"], balance["CreditDebitIndicator"], balance["Type"]) == (
        "310.45",
        "Debit",
        "ITAV",
    )


async def test_pages_are_followed_by_opaque_links(tpp: Any) -> None:
    _, answer = await tpp.account_token(*ALL)
    token, path, pages = answer["access_token"], "accounts/acc-1/transactions", []

    for _ in range(5):
        pages.append((await tpp.call("GET", path, token=token)).body)
        path = pages[-1]["Links"].get("Next")
        if path is None:
            break

    ids = [entry["TransactionId"] for page in pages for entry in page["Data"]["Transaction"]]
    assert [len(page["Data"]["Transaction"]) for page in pages] == [25, 18]
    assert len(set(ids)) == len(ids)
    assert {page["Meta"]["TotalPages"] for page in pages} == {2}
    assert "page=2" not in pages[0]["Links"]["Next"]


async def test_a_page_link_is_good_for_its_consent_only(tpp: Any) -> None:
    _, mine = await tpp.account_token(*ALL)
    _, other = await tpp.account_token(*ALL)
    link = (await tpp.call("GET", "accounts/acc-1/transactions", token=mine["access_token"])).body["Links"]["Next"]

    heard = await tpp.call("GET", link, token=other["access_token"])

    assert (heard.status, heard.code) == (400, "U002")


async def test_the_window_of_the_consent_narrows_the_question_silently(tpp: Any) -> None:
    _, answer = await tpp.account_token(*ALL, TransactionFromDateTime="2025-12-01T00:00:00+00:00")
    query = "fromBookingDateTime=2025-10-01T00:00:00%2B05:00&toBookingDateTime=2025-12-29T00:00:00"

    heard = await tpp.call("GET", f"accounts/acc-1/transactions?{query}", token=answer["access_token"])

    booked = [entry["BookingDateTime"] for entry in heard.body["Data"]["Transaction"]]
    assert booked
    assert min(booked) >= "2025-12-01"
    assert max(booked) <= "2025-12-29T00:00:00+00:00"


async def test_a_foreign_account_is_forbidden(tpp: Any) -> None:
    _, answer = await tpp.account_token(*ALL)

    heard = await tpp.call("GET", "accounts/acc-9/balances", token=answer["access_token"])

    assert (heard.status, heard.raw) == (403, b"")


async def test_a_refresh_token_lives_as_long_as_the_consent(tpp: Any) -> None:
    consent, answer = await tpp.account_token(*ALL)
    grant = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    tpp.clock.advance(timedelta(hours=2))

    renewed = await tpp.token(grant)
    read = await tpp.call("GET", "accounts", token=renewed.body["access_token"])
    await tpp.people("withdraw", consent_id=consent)
    after = await tpp.call("GET", "accounts", token=renewed.body["access_token"])

    assert (renewed.status, read.status, after.status) == (200, 200, 403)
    assert (await tpp.token(grant)).body["error"] == "invalid_grant"


@pytest.mark.parametrize(("version", "status"), [("v4.0", "CANC"), ("v3.1", "Revoked")])
async def test_a_consent_withdrawn_at_the_bank_says_so(tpp: Any, version: str, status: str) -> None:
    tpp.version = version
    consent, _ = await tpp.account_token(*ALL)

    await tpp.people("withdraw", consent_id=consent)

    assert (await tpp.call("GET", f"account-access-consents/{consent}")).status_said == status


@pytest.mark.parametrize(("version", "status"), [("v4.0", "EXPD"), ("v3.1", "Authorised")])
async def test_a_consent_ends_at_its_time(tpp: Any, version: str, status: str) -> None:
    tpp.version = version
    consent, answer = await tpp.account_token(*ALL, ExpirationDateTime="2026-01-01T02:00:00+00:00")
    tpp.clock.advance(timedelta(minutes=30))
    tpp.tokens.clear()

    read = await tpp.call("GET", "accounts", token=answer["access_token"])

    assert read.status == 403
    assert (await tpp.call("GET", f"account-access-consents/{consent}")).status_said == status


async def test_a_deleted_consent_is_gone_and_its_tokens_too(tpp: Any) -> None:
    consent, answer = await tpp.account_token(*ALL)

    deleted = await tpp.call("DELETE", f"account-access-consents/{consent}")

    assert (deleted.status, deleted.raw) == (204, b"")
    assert (await tpp.call("GET", f"account-access-consents/{consent}")).code == "U011"
    assert (await tpp.call("DELETE", f"account-access-consents/{consent}")).code == "U011"
    assert (await tpp.call("GET", "accounts", token=answer["access_token"])).status == 401


async def test_each_authorised_consent_is_in_the_ledger_once(tpp: Any) -> None:
    consent, _ = await tpp.account_token(*ALL)

    assert tpp.bank.ledger.count() == {("consent", consent): 1}
