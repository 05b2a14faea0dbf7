"""Every call of the API and every verb of every installed partner, against the running sandbox.

Rules
- What there is to do is read from the running gateway: its OpenAPI document, and /v1/partners for who does what.
- A call or verb that stands in no journey and in no table of refusals fails a test, so that a new one needs a case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gateway.adapters.verbs import VERBS
from gateway.api.examples import EXAMPLES
from tests.end_to_end import (
    bodies,
    journeys_to_the_gateway,  # noqa: F401 - its journeys stand in JOURNEYS once it is read
)
from tests.end_to_end.journeys import JOURNEYS, parcel_policy, quoted_policy, verbs_of
from tests.end_to_end.sandbox_house import SandboxHouse

# -- what is refused because a partner does not do it ------------------------------------------------------------------

REPORTS = {"check_threshold": "threshold_check", "request_score": "score", "request_report": "report"}

CREATING: dict[str, tuple[str, dict[str, Any]]] = {
    "create_payment": ("POST /v1/payments", {}),
    "create_transfer": ("POST /v1/transfers", {}),
    **{verb: ("POST /v1/credit-reports", {"product": product}) for verb, product in REPORTS.items()},
    "quote_policy": ("POST /v1/insurance/quotes", {}),
    "bind_policy": ("POST /v1/insurance/policies", {}),
    "create_consent": ("POST /v1/consents", {}),
}
"""Verbs that a call begins by itself: the call, and what of its example must be another."""

FOLLOWING = {
    "capture_payment": ("POST /v1/payments/{id}/capture", "create_payment"),
    "cancel_payment": ("POST /v1/payments/{id}/cancel", "create_payment"),
    "create_refund": ("POST /v1/payments/{id}/refunds", "create_payment"),
    "cancel_transfer": ("POST /v1/transfers/{id}/cancel", "create_transfer"),
    "cancel_policy": ("POST /v1/insurance/policies/{id}/cancel", "bind_policy"),
    "file_claim": ("POST /v1/insurance/policies/{id}/claims", "bind_policy"),
    "revoke_consent": ("POST /v1/consents/{id}/revoke", "create_consent"),
}
"""Verbs that follow what another verb began: where that does not exist, there is nothing to follow."""

READING = {
    "list_accounts": "create_consent",
    "fetch_balances": "create_consent",
    "fetch_transactions": "create_consent",
    "fetch_partner_balance": "",
}
"""Verbs that only read, and what they are read under."""

BEHIND = {
    *(f"fetch_{what}" for what in ("payment", "refund", "transfer", "report", "policy", "claim", "consent", "keys")),
    *(f"continue_{what}" for what in ("payment", "transfer", "consent")),
}
"""Verbs that no call begins: the gateway runs them when it needs them."""

NEVER = {
    "GET /v1/callbacks/{partner}/{token}": "no installed partner calls back by GET",
    "PUT /v1/callbacks/{partner}/{token}": "no installed partner calls back by PUT",
    "GET /v1/audit/minimum_index": "nothing of the log was pruned",
}
"""Calls that answer no 2xx here, each with its reason."""

REFUSED = {"POST /v1/quarantine/clear": "this store was never put back; a journey sees it refused"}
"""The same, for calls that are there and have nothing to do."""


def parent_at(house: SandboxHouse, partner: str, began: str) -> str:
    """Something at this partner that could be followed up."""
    makers: dict[tuple[str, str], Callable[[], Any]] = {
        ("alipay", "create_payment"): lambda: house.act("/v1/payments", bodies.scanned_payment()),
        ("alipay", "create_transfer"): lambda: house.act("/v1/transfers", bodies.wallet_transfer()),
        ("openbanking_uk", "create_transfer"): lambda: house.act("/v1/transfers", bodies.bank_transfer()),
        ("openbanking_uk", "create_consent"): lambda: house.act("/v1/consents", bodies.consent()),
        ("zhongan", "bind_policy"): lambda: quoted_policy(house),
        ("wechat_freight", "bind_policy"): lambda: parcel_policy(house),
    }
    assert (partner, began) in makers, f"say here how {partner} comes to what {began} begins"
    return str(makers[partner, began]()["id"])


def attempted(house: SandboxHouse, partner: str, call: str, change: dict[str, Any], **parts: str) -> Any:
    """The answer to the call's own example, sent to this partner."""
    body = {**EXAMPLES[call], "connection": partner, **change}
    body.pop("reference")
    answer = house.attempt(call.removeprefix("POST "), body, **parts)
    return {"status_code": answer.status_code, **answer.json()}


def is_unsupported(answer: Any, verb: str) -> bool:
    said = (answer["status_code"], answer["type"], answer["outcome"], answer.get("verb"))
    return said == (422, "/problems/unsupported_verb", "not_sent", verb)


# -- the tests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_reaches_what_it_names(sandbox: SandboxHouse, name: str) -> None:
    planned = JOURNEYS[name]
    answers, calls = sandbox.genuine(), sandbox.succeeded()

    planned.run(sandbox)

    more = Counter(sandbox.genuine()) - Counter(answers)
    assert {verb for verb in planned.verbs if not more[planned.partner, verb]} == set()
    assert planned.calls - (Counter(sandbox.succeeded()) - Counter(calls)).keys() == set()


def test_every_verb_of_every_partner_stands_in_a_journey(sandbox: SandboxHouse) -> None:
    partners = sandbox.get("/v1/partners")["partners"]

    offered = {(one["partner"], verb) for one in partners for verb in verbs_of(one)}
    assert offered == {(one.partner, verb) for one in JOURNEYS.values() for verb in one.verbs}
    assert [one for one in partners if one.get("broken") or not all(c["working"] for c in one["connections"])] == []


def test_every_verb_that_there_is_has_its_place_in_a_table() -> None:
    assert set(VERBS) == CREATING.keys() | FOLLOWING.keys() | READING.keys() | BEHIND


def test_every_call_of_the_document_succeeds_somewhere_or_is_refused_everywhere(sandbox: SandboxHouse) -> None:
    document = sandbox.get("/openapi.json")
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    offered = {verb for one in sandbox.get("/v1/partners")["partners"] for verb in verbs_of(one)}

    refused = {call for verb, (call, _) in (CREATING | FOLLOWING).items() if verb not in offered}
    succeeding = {call for one in JOURNEYS.values() for call in one.calls}
    assert described == succeeding | refused | NEVER.keys() | REFUSED.keys()


@pytest.mark.parametrize("verb", CREATING)
def test_what_a_partner_does_not_begin_is_refused(sandbox: SandboxHouse, verb: str) -> None:
    partners = sandbox.get("/v1/partners")["partners"]
    call, change = CREATING[verb]

    for partner in partners:
        if verb not in verbs_of(partner):
            answer = attempted(sandbox, partner["partner"], call, change)
            assert is_unsupported(answer, verb), answer


@pytest.mark.parametrize("verb", FOLLOWING)
def test_what_a_partner_does_not_follow_up_is_refused(sandbox: SandboxHouse, verb: str) -> None:
    partners = sandbox.get("/v1/partners")["partners"]
    call, began = FOLLOWING[verb]

    for partner in partners:
        if verb not in verbs_of(partner) and began in verbs_of(partner):
            parent = parent_at(sandbox, partner["partner"], began)
            answer = attempted(sandbox, partner["partner"], call, {}, id=parent)
            assert is_unsupported(answer, verb), answer


@pytest.mark.parametrize("verb", READING)
def test_what_a_partner_does_not_show_is_refused(sandbox: SandboxHouse, verb: str) -> None:
    without = [one for one in sandbox.get("/v1/partners")["partners"] if verb not in verbs_of(one)]

    if verb == "fetch_partner_balance":
        for partner in without:
            asked = {"balance": "true"}
            answer = sandbox.send("GET", "/v1/partners/{partner}", partner=partner["partner"], params=asked)
            assert is_unsupported({"status_code": answer.status_code, **answer.json()}, verb), answer.text
    else:  # a consent of a partner without accounts is what would have to be tried here
        assert [one["partner"] for one in without if READING[verb] in verbs_of(one)] == []


@pytest.mark.parametrize("call", NEVER)
def test_what_nobody_has_here_is_not_found(sandbox: SandboxHouse, call: str) -> None:
    method, _, template = call.partition(" ")

    answer = sandbox.client.request(method, template.format(partner="alipay", token="nobody-knows-this"))

    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not_found")
