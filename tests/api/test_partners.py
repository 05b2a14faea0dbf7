"""Partners: what each does, on which terms, and why one cannot be used."""

from __future__ import annotations

from gateway.api.shapes import PartnerList, PartnerView, Requirements
from tests.api.house import Caller, House, payment


async def test_every_partner_is_listed_also_a_broken_one_with_its_cause(shop: Caller) -> None:
    listed = PartnerList.model_validate((await shop.get("/v1/partners")).body)

    assert [partner.partner for partner in listed.partners] == ["riverbank", "thames", "severn"]
    assert listed.partners[2].broken == "ImportError: no module named severn"
    assert listed.unattached is not None
    assert (listed.unattached[0].name, listed.unattached[0].working) == ("severn", False)


async def test_a_partner_says_what_it_does_and_on_which_terms(shop: Caller) -> None:
    partner = PartnerView.model_validate((await shop.get("/v1/partners/riverbank")).body)

    (terms,) = [one for one in partner.verbs if one.verb == "create_payment"]
    assert (terms.methods, terms.currencies, terms.at_most) == (["payer_code", "wallet_qr"], ["CNY"], "50000.00")
    assert (terms.key.kind, terms.key.life_seconds) == ("remembered", 24 * 3600)
    assert (terms.inquiry, terms.settle_window_seconds, terms.proof) == (["by_key"], 1800, "signature")
    assert terms.codes is None


async def test_codes_are_shown_on_request(shop: Caller) -> None:
    partner = (await shop.get("/v1/partners/riverbank", codes="true")).body

    (terms,) = [one for one in partner["verbs"] if one["verb"] == "fetch_payment"]
    assert terms["codes"]["NONE"] == "not_found"


async def test_a_connection_says_whether_calls_are_let_through(shop: Caller) -> None:
    await shop.act("/v1/payments", payment())

    (connection,) = (await shop.get("/v1/partners/riverbank")).body["connections"]

    assert (connection["working"], connection["breakers"]) == (True, {"create_payment": "closed"})


async def test_our_balance_at_a_partner_is_asked_for(shop: Caller) -> None:
    (connection,) = (await shop.get("/v1/partners/thames", balance="true")).body["connections"]

    assert connection["balance"]["available"] == {"amount": "5000.00", "currency": "GBP"}


async def test_a_partner_without_that_verb_says_so(shop: Caller, house: House) -> None:
    answer = await shop.get("/v1/partners/riverbank", balance="true")

    assert (answer.status, answer.kind) == (422, "unsupported_verb")
    assert house.sent() == []


async def test_requirements_carry_the_schemas_of_body_and_options(shop: Caller) -> None:
    query = {"verb": "create_payment", "method": "wallet_qr"}

    needed = Requirements.model_validate((await shop.get("/v1/partners/riverbank/requirements", **query)).body)

    assert needed.body is not None
    assert {"connection", "reference", "amount", "method", "description"} == set(needed.body["required"])
    assert needed.terms.codes is not None


async def test_what_does_not_exist_is_named(shop: Caller) -> None:
    unknown = await shop.get("/v1/partners/danube")
    broken = await shop.get("/v1/partners/severn/requirements", verb="create_payment")
    verb = await shop.get("/v1/partners/thames/requirements", verb="create_payment")
    method = await shop.get("/v1/partners/riverbank/requirements", verb="create_payment", method="cheque")

    assert (unknown.status, unknown.kind) == (404, "unknown_partner")
    assert (broken.status, "ImportError" in broken.body["detail"]) == (404, True)
    assert (verb.status, verb.body["errors"][0]["path"]) == (422, "verb")
    assert (method.status, method.body["errors"][0]["path"]) == (422, "method")


async def test_operators_and_auditors_may_look_too(house: House) -> None:
    for role in ("operator", "auditor"):
        assert (await house.caller(role).get("/v1/partners/thames")).status == 200
