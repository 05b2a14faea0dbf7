"""Terms as JSON."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.adapters.verbs import VERBS
from gateway.api.shapes import TermsView
from gateway.api.terms import body_of, terms_view
from gateway.model.consents import NewConsent
from gateway.model.credit import NewCreditReport
from gateway.model.payments import NewCancellation, NewPayment
from gateway.model.states import SUCCEEDED
from gateway.model.terms import ByKey, ByParent, ByPartnerId, Key, Natural, NoKey, Price, Remembered, Replay, Terms


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (Remembered(timedelta(hours=1)), {"kind": "remembered", "life_seconds": 3600.0}),
        (Remembered(), {"kind": "remembered"}),
        (Natural("parcel.waybill"), {"kind": "natural", "path": "parcel.waybill"}),
        (NoKey(), {"kind": "none"}),
    ],
)
def test_how_a_partner_knows_an_act_again_is_said(key: Key, shown: dict[str, object]) -> None:
    assert terms_view("bind_policy", Terms(key=key), codes=False)["key"] == shown


def test_everything_that_matters_before_a_call_is_there() -> None:
    narrower = Terms(at_most=Decimal("5.00"))
    terms = Terms(
        codes={"OK": SUCCEEDED},
        inquiry=(ByKey(), ByPartnerId("trade_no"), ByParent(), Replay()),
        price=Price(Decimal("0.30"), "CNY"),
        footprint="soft",
        consent=True,
        required=("payer.name",),
        by_method={"payer_code": narrower},
    )

    view = TermsView.model_validate(terms_view("request_score", terms, codes=True))

    assert view.inquiry == ["by_key", "by_partner_id:trade_no", "by_parent", "replay"]
    assert (view.price is not None, view.footprint, view.consent, view.required) == (True, "soft", True, ["payer.name"])
    assert view.codes == {"OK": "succeeded"}
    assert view.by_method is not None
    assert view.by_method["payer_code"].at_most == "5.00"


def test_each_verb_that_a_call_runs_has_the_body_of_that_call() -> None:
    assert body_of("create_payment") is NewPayment
    assert body_of("create_consent") is NewConsent
    assert body_of("check_threshold") is NewCreditReport
    assert body_of("cancel_policy") is NewCancellation
    assert body_of("revoke_consent") is NewCancellation
    assert body_of("fetch_payment") is None
    assert {verb for verb in VERBS if verb.startswith(("create_", "bind_", "file_", "quote_", "capture_"))} <= {
        verb for verb in VERBS if body_of(verb) is not None
    }
