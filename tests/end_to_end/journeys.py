"""Journeys through the running sandbox: each takes calls of the API, and verbs of one partner, to a success.

A journey names the calls and verbs that succeed on its way; `test_every_operation` asks the gateway's own counters
whether they did, and whether any call or verb stands in no journey.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.end_to_end import bodies
from tests.end_to_end.sandbox_house import SandboxHouse, eventually

Run = Callable[[SandboxHouse], None]


@dataclass(frozen=True)
class Journey:
    """What a test does at one partner (or at none), and which verbs and calls succeed on the way."""

    run: Run
    partner: str
    verbs: frozenset[str]
    calls: frozenset[str]


JOURNEYS: dict[str, Journey] = {}


def journey(*calls: str, partner: str = "", verbs: str = "") -> Callable[[Run], Run]:
    def note(run: Run) -> Run:
        JOURNEYS[run.__name__] = Journey(run, partner, frozenset(verbs.split()), frozenset(calls))
        return run

    return note


# -- payments, refunds -------------------------------------------------------------------------------------------------


@journey(
    "POST /v1/payments",
    "GET /v1/payments/{id}",
    "POST /v1/payments/{id}/refresh",
    "POST /v1/payments/{id}/refunds",
    "GET /v1/refunds/{id}",
    "POST /v1/refunds/{id}/refresh",
    "POST /v1/callbacks/{partner}/{token}",
    partner="alipay",
    verbs="create_payment fetch_payment create_refund fetch_refund",
)
def a_payment_is_collected_by_qr_code_and_given_back(house: SandboxHouse) -> None:
    made = house.act("/v1/payments", bodies.qr_payment("433.00"))
    assert made["next_action"]["qr_code"]
    assert house.ask("/v1/payments/{id}/refresh", id=made["id"])["state"] == "requires_action"

    house.institutions.tell("alipay", "pay", out_trade_no=made["partner_key"])
    assert house.until(made, "succeeded")["amount"] == bodies.money("433.00")
    refund = house.act("/v1/payments/{id}/refunds", bodies.refund("33.00"), id=made["id"])

    assert house.until(refund, "succeeded")["parent"] == made["id"]
    assert house.ask("/v1/refunds/{id}/refresh", id=refund["id"])["state"] == "succeeded"
    assert house.get("/v1/refunds/{id}", id=refund["id"])["amount"] == bodies.money("33.00")
    read = house.get("/v1/payments/{id}", id=made["id"])
    assert read["quantities"]["refunded"] == bodies.money("33.00")
    notified = eventually(
        lambda: house.institutions.read("alipay", "state")["notifications"],
        lambda sent: sent and all(one["accepted"] for one in sent),
    )
    assert notified


@journey("POST /v1/payments/{id}/cancel", partner="alipay", verbs="cancel_payment")
def a_payment_under_way_is_cancelled(house: SandboxHouse) -> None:
    made = house.act("/v1/payments", bodies.qr_payment())
    house.institutions.tell("alipay", "scan", out_trade_no=made["partner_key"])

    cancelled = house.act("/v1/payments/{id}/cancel", {"connection": "alipay"}, id=made["id"])

    assert house.until(cancelled, "succeeded")["parent"] == made["id"]
    assert house.until(made, "cancelled")


# -- transfers ---------------------------------------------------------------------------------------------------------


@journey(
    "POST /v1/transfers",
    "GET /v1/transfers/{id}",
    "POST /v1/transfers/{id}/refresh",
    partner="alipay",
    verbs="create_transfer fetch_transfer",
)
def a_transfer_goes_to_a_wallet(house: SandboxHouse) -> None:
    made = house.act("/v1/transfers", bodies.wallet_transfer())

    assert house.until(made, "succeeded")
    assert house.ask("/v1/transfers/{id}/refresh", id=made["id"])["state"] == "succeeded"
    assert house.get("/v1/transfers/{id}", id=made["id"])["partner_references"]["order_id"]


@journey(
    "POST /v1/transfers",
    "GET /v1/returns/{connection}",
    "POST /v1/returns/{connection}",
    partner="openbanking_uk",
    verbs="create_transfer continue_transfer fetch_transfer",
)
def a_transfer_is_authorised_at_the_bank(house: SandboxHouse) -> None:
    made = house.act("/v1/transfers", bodies.bank_transfer())

    back = house.come_back(house.institutions.press(made["next_action"]["url"], "Approve"))
    house.until(made, "processing", "succeeded")
    for _ in range(3):
        house.ask("/v1/transfers/{id}/refresh", id=made["id"])

    assert back.status_code == 200
    assert house.until(made, "succeeded")["partner"] == "openbanking_uk"


# -- bureau ------------------------------------------------------------------------------------------------------------


@journey(
    "POST /v1/credit-reports",
    "GET /v1/credit-reports/{id}",
    "POST /v1/credit-reports/{id}/refresh",
    partner="alipay",
    verbs="check_threshold",
)
def a_score_is_held_against_a_threshold(house: SandboxHouse) -> None:
    made = house.act("/v1/credit-reports", bodies.threshold_check())

    assert made["result"]["outcome"] == "passed"
    assert house.ask("/v1/credit-reports/{id}/refresh", id=made["id"])["state"] == "succeeded"
    assert house.get("/v1/credit-reports/{id}", id=made["id"])["result"]["outcome"] == "passed"


@journey(
    "POST /v1/credit-reports",
    "GET /v1/returns/{connection}",
    "POST /v1/returns/{connection}",
    "POST /v1/operations/{id}/continue",
    partner="alipay",
    verbs="request_report fetch_report",
)
def a_person_is_recognised_and_comes_back(house: SandboxHouse) -> None:
    made = house.act("/v1/credit-reports", bodies.identity_check())
    assert house.ask("/v1/operations/{id}/continue", id=made["id"])["state"] == "requires_action"

    house.come_back(house.institutions.press(made["next_action"]["url"], "My face is recognised"))

    assert house.until(made, "succeeded")["result"]["outcome"] == "passed"


# -- consents and accounts ---------------------------------------------------------------------------------------------


@journey(
    "POST /v1/consents",
    "GET /v1/consents/{id}",
    "POST /v1/consents/{id}/refresh",
    "GET /v1/accounts",
    "GET /v1/accounts/{id}/balances",
    "GET /v1/accounts/{id}/transactions",
    "POST /v1/consents/{id}/revoke",
    "POST /v1/returns/{connection}",
    partner="openbanking_uk",
    verbs="create_consent continue_consent fetch_consent revoke_consent"
    " list_accounts fetch_balances fetch_transactions",
)
def accounts_are_read_under_a_consent_until_it_is_withdrawn(house: SandboxHouse) -> None:
    consent = active_consent(house)
    reading = {"consent": consent["id"], "purpose": "affordability"}

    accounts = house.get("/v1/accounts", params=reading)["accounts"]
    balances = house.get("/v1/accounts/{id}/balances", id="acc-1", params=reading)["balances"]
    pages = pages_of_transactions(house, reading)
    house.act("/v1/consents/{id}/revoke", {"connection": "openbanking_uk"}, id=consent["id"])
    refused = house.send("GET", "/v1/accounts", params=reading)

    assert {account["id"] for account in accounts} == {"acc-1", "acc-2", "acc-3"}
    assert {balance["type"] for balance in balances} == {"ITAV", "ITBD"}
    assert [len(page) for page in pages] == [25, 18]
    assert len({one["id"] for page in pages for one in page}) == 43
    assert house.get("/v1/consents/{id}", id=consent["id"])["status"] == "revoked"
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/consent_not_active")


def active_consent(house: SandboxHouse) -> Any:
    made = house.act("/v1/consents", bodies.consent())
    house.come_back(house.institutions.press(made["next_action"]["url"], "Approve"))
    house.until(made, "succeeded")
    consent = house.ask("/v1/consents/{id}/refresh", id=made["id"])
    assert consent["status"] == "active"
    return consent


def pages_of_transactions(house: SandboxHouse, reading: dict[str, str]) -> list[list[Any]]:
    pages: list[list[Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(10):
        page = house.get("/v1/accounts/{id}/transactions", id="acc-1", params={**reading, **cursor})
        pages.append(page["transactions"])
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    return pages


# -- insurance ---------------------------------------------------------------------------------------------------------


@journey(
    "POST /v1/insurance/quotes",
    "GET /v1/insurance/quotes/{id}",
    "POST /v1/insurance/policies",
    "GET /v1/insurance/policies/{id}",
    "POST /v1/insurance/policies/{id}/refresh",
    partner="zhongan",
    verbs="quote_policy bind_policy fetch_policy",
)
def a_credit_life_policy_is_bought_on_an_offer(house: SandboxHouse) -> None:
    quote = house.act("/v1/insurance/quotes", bodies.quote())
    offers = house.get("/v1/insurance/quotes/{id}", id=quote["id"])["result"]["offers"]

    policy = house.until(house.act("/v1/insurance/policies", bodies.quoted_policy(quote["id"])), "succeeded")

    assert offers[0]["premium"] == bodies.money("12.99")
    assert house.ask("/v1/insurance/policies/{id}/refresh", id=policy["id"])["status"] == "in_force"
    assert house.get("/v1/insurance/policies/{id}", id=policy["id"])["result"]["number"]


@journey(
    "POST /v1/insurance/policies",
    "POST /v1/insurance/policies/{id}/refresh",
    "POST /v1/insurance/policies/{id}/claims",
    "GET /v1/insurance/claims/{id}",
    "POST /v1/insurance/claims/{id}/refresh",
    partner="wechat_freight",
    verbs="bind_policy fetch_policy file_claim fetch_claim",
)
def a_parcel_is_insured_and_claimed_for(house: SandboxHouse) -> None:
    policy = house.until(parcel_policy(house), "succeeded")
    assert house.ask("/v1/insurance/policies/{id}/refresh", id=policy["id"])["status"] == "in_force"
    claim = house.act("/v1/insurance/policies/{id}/claims", bodies.return_claim(), id=policy["id"])
    house.institutions.tell("wechat_freight", "decide-claim", order_no=policy["partner_key"], paid=True)

    assert house.ask("/v1/insurance/claims/{id}/refresh", id=claim["id"])["status"] == "paid"
    assert house.get("/v1/insurance/claims/{id}", id=claim["id"])["parent"] == policy["id"]


def quoted_policy(house: SandboxHouse) -> Any:
    quote = house.act("/v1/insurance/quotes", bodies.quote())
    return house.act("/v1/insurance/policies", bodies.quoted_policy(quote["id"]))


def parcel_policy(house: SandboxHouse) -> Any:
    order = bodies.order_paid_by_wechat()
    house.institutions.tell("wechat_freight", "transactions", **order)
    return house.act("/v1/insurance/policies", bodies.parcel_policy(order))


def verbs_of(partner: dict[str, Any]) -> set[str]:
    return {terms["verb"] for terms in partner["verbs"]}
