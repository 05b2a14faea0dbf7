"""The bank's payments: consents, repeats, states, and what moves money exactly once."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

VERSIONS = {
    "v4.0": {"consent": ("AWAU", "AUTH", "COND", "RJCT"), "way": ["RCVD", "ACSP", "ACSC"], "rejected": "RJCT"},
    "v3.1": {
        "consent": ("AwaitingAuthorisation", "Authorised", "Consumed", "Rejected"),
        "way": ["Pending", "AcceptedSettlementInProcess", "AcceptedSettlementCompleted"],
        "rejected": "Rejected",
    },
}


@pytest.fixture(params=VERSIONS)
def said(request: pytest.FixtureRequest, tpp: Any) -> Any:
    """The words of one version, which the third party speaks from here on."""
    tpp.version = request.param
    return VERSIONS[request.param]


async def test_a_payment_goes_from_consent_to_settlement(tpp: Any, said: Any) -> None:
    consent = await tpp.payment_consent()
    place = f"domestic-payment-consents/{consent.body['Data']['ConsentId']}"
    returned = await tpp.authorise(consent.body["Data"]["ConsentId"])
    authorised = await tpp.call("GET", place)
    token = (await tpp.exchange(returned)).body["access_token"]
    body = tpp.consent_body()
    body["Data"]["ConsentId"] = consent.body["Data"]["ConsentId"]
    payment = await tpp.pay(body, token)
    consumed = await tpp.call("GET", place)
    later = [await tpp.call("GET", f"domestic-payments/{payment.body['Data']['DomesticPaymentId']}") for _ in range(3)]

    assert (consent.status, payment.status) == (201, 201)
    assert (consent.status_said, authorised.status_said, consumed.status_said) == said["consent"][:3]
    assert [payment.status_said, *(heard.status_said for heard in later)] == [*said["way"], said["way"][-1]]
    assert consent.body["Risk"] == body["Risk"]
    assert "Risk" not in payment.body
    assert tpp.bank.ledger.count("transfer") == Counter({("transfer", "key-payment"): 1})
    assert str(tpp.bank.ledger.total("transfer", "GBP")) == "250.00"


async def test_a_repeat_gives_the_same_payment_as_it_stands_now(tpp: Any, said: Any) -> None:
    body, token = await tpp.authorised_payment()
    first = await tpp.pay(body, token)
    await tpp.people("settle")

    again = await tpp.pay(body, token)

    assert again.status == 201
    assert again.body["Data"]["DomesticPaymentId"] == first.body["Data"]["DomesticPaymentId"]
    assert again.status_said == said["way"][1]
    assert tpp.bank.ledger.count("transfer") == Counter({("transfer", "key-payment"): 1})


async def test_another_body_under_the_same_key_changes_nothing(tpp: Any) -> None:
    first = await tpp.payment_consent()

    refused = await tpp.payment_consent(amount="251.00")
    await tpp.people("rules", changed_body_gives_first=True)
    lenient = await tpp.payment_consent(amount="252.00")

    assert (refused.status, refused.code, refused.body["Errors"][0]["Path"]) == (400, "U002", "x-idempotency-key")
    assert lenient.status == 201
    assert lenient.body["Data"]["ConsentId"] == first.body["Data"]["ConsentId"]
    assert lenient.body["Data"]["Initiation"]["InstructedAmount"]["Amount"] == "250.00"


async def test_a_key_is_forgotten_after_a_day(tpp: Any) -> None:
    first = await tpp.payment_consent()
    tpp.clock.advance(timedelta(hours=24))
    tpp.tokens.clear()

    again = await tpp.payment_consent()

    assert again.body["Data"]["ConsentId"] != first.body["Data"]["ConsentId"]


@pytest.mark.parametrize(("key", "code"), [(None, "U007"), ("k" * 41, "U006")])
async def test_the_idempotency_key_is_required_and_short(tpp: Any, key: str | None, code: str) -> None:
    heard = await tpp.payment_consent(key=key)

    assert (heard.status, heard.code) == (400, code)


async def test_a_consent_pays_once_whatever_the_key(tpp: Any, said: Any) -> None:
    body, token = await tpp.authorised_payment()
    await tpp.pay(body, token)

    second = await tpp.pay(body, token, key="another-key")

    assert (second.status, second.code) == (400, code_of(tpp, "U009", "Resource.InvalidConsentStatus"))
    assert len(tpp.bank.ledger.effects) == 1


@pytest.mark.parametrize("part", ["Initiation", "Risk"])
async def test_a_payment_must_be_the_one_that_was_consented_to(tpp: Any, part: str) -> None:
    body, token = await tpp.authorised_payment()
    if part == "Risk":
        body["Risk"]["PaymentContextCode"] = "TransferToSelf"
    else:
        body["Data"]["Initiation"]["InstructedAmount"]["Amount"] = "250.01"

    heard = await tpp.pay(body, token)

    assert (heard.status, heard.code) == (400, "U008")
    assert tpp.bank.ledger.effects == []


async def test_a_token_pays_only_under_its_own_consent(tpp: Any) -> None:
    _, foreign = await tpp.authorised_payment(key="one")
    consent = (await tpp.payment_consent(key="two")).body["Data"]["ConsentId"]
    body = tpp.consent_body()
    body["Data"]["ConsentId"] = consent

    heard = await tpp.pay(body, foreign)

    assert (heard.status, heard.code) == (403, "U008")
    assert tpp.bank.ledger.effects == []


async def test_a_refused_consent_is_rejected_and_stays_so(tpp: Any, said: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]

    returned = await tpp.authorise(consent, approve=False)
    heard = await tpp.call("GET", f"domestic-payment-consents/{consent}")

    assert returned == {"error": "access_denied", "error_description": "the person refused", "state": "af0ifjsldkj"}
    assert heard.status_said == said["consent"][3]
    assert ("StatusReason" in heard.body["Data"]) == (tpp.version == "v4.0")


@pytest.mark.parametrize(
    ("magic", "first", "then", "moved"),
    [
        ({"amount": "10.14"}, "RJCT", ["RJCT"], 0),
        ({"amount": "25000.01"}, "RJCT", ["RJCT"], 0),
        ({"amount": "10.13"}, "RCVD", ["ACSP", "RJCT"], 0),
        ({"name": "SIM HELD B Orrower"}, "RCVD", ["PDNG", "PDNG"], 0),
        ({"name": "SIM BLOCKED B Orrower"}, "RCVD", ["BLCK", "BLCK"], 0),
    ],
)
async def test_magic_values_decide_what_becomes_of_a_payment(
    tpp: Any, magic: Any, first: str, then: list[str], moved: int
) -> None:
    body, token = await tpp.authorised_payment(**magic)

    payment = await tpp.pay(body, token)
    later = [await tpp.call("GET", f"domestic-payments/{payment.body['Data']['DomesticPaymentId']}") for _ in then]

    assert payment.status_said == first
    assert [heard.status_said for heard in later] == then
    assert len(tpp.bank.ledger.effects) == moved


async def test_a_held_payment_moves_money_when_the_bank_lets_it_go(tpp: Any) -> None:
    body, token = await tpp.authorised_payment(name="SIM HELD B Orrower")
    payment = (await tpp.pay(body, token)).body["Data"]["DomesticPaymentId"]
    await tpp.people("settle")

    answer = await tpp.people("settle", payment_id=payment)

    assert answer == {"moved": [payment]}
    assert len(tpp.bank.ledger.effects) == 1


async def test_an_internal_error_may_hide_a_payment_that_was_made(tpp: Any) -> None:
    body, token = await tpp.authorised_payment(name="SIM ERROR")

    heard = await tpp.pay(body, token)

    assert (heard.status, heard.code) == (500, "U000")
    assert len(tpp.bank.ledger.effects) == 1


async def test_after_the_cut_off_time_nothing_is_paid(tpp: Any) -> None:
    body, token = await tpp.authorised_payment(name="SIM CUTOFF")

    heard = await tpp.pay(body, token)

    assert (heard.status, heard.code) == (400, "U012")
    assert tpp.bank.ledger.effects == []


async def test_funds_are_confirmed_only_under_the_authorised_consent(tpp: Any, said: Any) -> None:
    body, token = await tpp.authorised_payment()
    place = f"domestic-payment-consents/{body['Data']['ConsentId']}/funds-confirmation"

    confirmed = await tpp.call("GET", place, token=token)
    own = await tpp.call("GET", place)
    await tpp.pay(body, token)
    spent = await tpp.call("GET", place, token=token)

    assert confirmed.body["Data"]["FundsAvailableResult"]["FundsAvailable"] is True
    assert (own.status, own.raw) == (403, b"")
    assert spent.code == code_of(tpp, "U009", "Resource.InvalidConsentStatus")


def _set(body: Any, path: str, value: Any) -> Any:
    *way, last = path.split(".")
    here = body
    for name in way:
        here = here[name]
    if value is None:
        del here[last]
    else:
        here[last] = value
    return body


INITIATION = "Data.Initiation"
WRONG_BODIES = [
    (f"{INITIATION}.EndToEndIdentification", None, "U004", "Field.Missing"),
    (f"{INITIATION}.Surprise", "x", "U005", "Field.Unexpected"),
    (f"{INITIATION}.InstructedAmount.Amount", 250, "U002", "Field.Invalid"),
    (f"{INITIATION}.InstructedAmount.Amount", "250.005", "U002", "Field.Invalid"),
    (f"{INITIATION}.InstructedAmount.Amount", "-1.00", "U002", "Field.Invalid"),
    (f"{INITIATION}.InstructedAmount.Currency", "EUR", "U023", "Unsupported.Currency"),
    (f"{INITIATION}.CreditorAccount.Identification", "2032541234567", "U021", "Unsupported.AccountIdentifier"),
    (f"{INITIATION}.CreditorAccount.SchemeName", "UK.OBIE.Shell", "U027", "Unsupported.Scheme"),
    (f"{INITIATION}.CreditorAccount.Name", None, "U004", "Field.Missing"),
    (f"{INITIATION}.LocalInstrument", "UK.OBIE.Pigeon", "U026", "Unsupported.LocalInstrument"),
    ("Data.Authorisation", {"AuthorisationType": "Any", "CompletionDateTime": "soon"}, "U003", "Field.InvalidDate"),
    ("Risk", None, "U004", "Field.Missing"),
    ("Risk.PaymentContextCode", "Gift", "U002", "Field.Invalid"),
]


@pytest.mark.parametrize(("path", "value", "v4", "v3"), WRONG_BODIES)
async def test_a_wrong_body_is_refused_by_the_code_of_the_version(
    tpp: Any, said: Any, path: str, value: Any, v4: str, v3: str
) -> None:
    body = _set(tpp.consent_body(), path, value)

    heard = await tpp.call("POST", "domestic-payment-consents", body=body, key="k")

    assert (heard.status, heard.code) == (400, code_of(tpp, v4, v3))
    assert heard.body["Errors"][0]["Path"].startswith(path)


@pytest.mark.parametrize(
    ("member", "v3", "v4"),
    [
        ("RemittanceInformation", {"Unstructured": "loan", "Reference": "LN-1"}, {"Unstructured": ["loan"]}),
        ("Risk", {"ContractPresentInidicator": True}, {"ContractPresentIndicator": True}),
    ],
)
async def test_the_versions_differ_in_shape(tpp: Any, said: Any, member: str, v3: Any, v4: Any) -> None:
    own, other = (v4, v3) if tpp.version == "v4.0" else (v3, v4)
    path = "Risk" if member == "Risk" else f"{INITIATION}.{member}"

    good = await tpp.call("POST", "domestic-payment-consents", body=_set(tpp.consent_body(), path, own), key="good")
    bad = await tpp.call("POST", "domestic-payment-consents", body=_set(tpp.consent_body(), path, other), key="bad")

    assert (good.status, bad.status) == (201, 400)


async def test_all_that_is_wrong_is_said_at_once(tpp: Any) -> None:
    body = _set(_set(tpp.consent_body(), f"{INITIATION}.EndToEndIdentification", None), "Risk.Mood", "good")

    heard = await tpp.call("POST", "domestic-payment-consents", body=body, key="k")

    assert [error["ErrorCode"] for error in heard.body["Errors"]] == ["U004", "U005"]


@pytest.mark.parametrize("path", ["domestic-payment-consents/no", "domestic-payments/no"])
async def test_an_unknown_id_is_a_400_not_a_404(tpp: Any, said: Any, path: str) -> None:
    heard = await tpp.call("GET", path)

    assert (heard.status, heard.code) == (400, code_of(tpp, "U011", "Resource.NotFound"))


async def test_a_consent_is_known_only_under_the_version_that_made_it(tpp: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]
    tpp.version = "v3.1"

    heard = await tpp.call("GET", f"domestic-payment-consents/{consent}")

    assert (heard.status, heard.code) == (400, "UK.OBIE.Resource.NotFound")


async def test_the_interaction_id_comes_back_on_every_answer(tpp: Any) -> None:
    mine = "93bac548-d2de-4546-b106-880a5018460d"

    good = await tpp.call("GET", "accounts", headers={"x-fapi-interaction-id": mine})
    bad = await tpp.call("GET", "domestic-payments/no", headers={"x-fapi-interaction-id": mine})
    made = await tpp.call("GET", "domestic-payments/no", headers={"x-fapi-interaction-id": ""})
    wrong = await tpp.call("GET", "domestic-payments/no", headers={"x-fapi-interaction-id": "12"})

    assert good.headers["x-fapi-interaction-id"] == bad.headers["x-fapi-interaction-id"] == mine
    assert len(made.headers["x-fapi-interaction-id"]) == 36
    assert (wrong.status, wrong.code) == (400, "U006")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Accept": "text/html"}, 406), ({"Content-Type": "text/plain"}, 415)],
)
async def test_other_media_types_are_refused(tpp: Any, headers: Any, status: int) -> None:
    heard = await tpp.call("POST", "domestic-payment-consents", body=tpp.consent_body(), key="k", headers=headers)

    assert (heard.status, heard.raw) == (status, b"")


async def test_operations_have_the_names_of_the_resources(tpp: Any) -> None:
    body, token = await tpp.authorised_payment()
    payment = (await tpp.pay(body, token)).body["Data"]["DomesticPaymentId"]
    await tpp.call("GET", f"domestic-payments/{payment}/payment-details")

    assert [arrival.operation for arrival in tpp.bank.ledger.arrivals] == [
        "POST /token",
        "POST domestic-payment-consents",
        "POST /token",
        "POST domestic-payments",
        "GET domestic-payments/{id}/payment-details",
    ]


def code_of(tpp: Any, v4: str, v3: str) -> str:
    return v4 if tpp.version == "v4.0" else f"UK.OBIE.{v3}"
