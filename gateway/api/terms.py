"""Terms as JSON: what an adapter declares beside its verbs, for whoever wants to know before calling."""

from __future__ import annotations

from typing import Any

from gateway.model.credit import NewCreditReport
from gateway.model.initiations import New
from gateway.model.payments import NewCancellation
from gateway.model.terms import ByKey, ByParent, ByPartnerId, Inquiry, Key, Natural, Remembered, Terms
from gateway.operations.kinds import KINDS

__all__ = ["body_of", "terms_view"]


def terms_view(verb: str, terms: Terms, *, codes: bool) -> dict[str, Any]:
    """Terms of one verb; members that say nothing are left out. `codes` adds what the partner's codes mean."""
    view: dict[str, Any] = {
        "verb": verb,
        "methods": sorted(terms.methods),
        "currencies": sorted(terms.currencies),
        "at_least": _text(terms.at_least),
        "at_most": _text(terms.at_most),
        "required": list(terms.required),
        "remittance_length": terms.remittance_length,
        "key": _key(terms.key),
        "inquiry": [_inquiry(form) for form in terms.inquiry],
        "settle_window_seconds": terms.settle_window.total_seconds(),
        "footprint": terms.footprint,
        "price": None if terms.price is None else {"amount": str(terms.price.amount), "currency": terms.price.currency},
        "consent": terms.consent,
        "proof": terms.proof.value,
        "source": terms.source or None,
        "codes": {code: meaning.value for code, meaning in sorted(terms.codes.items())} if codes else None,
        "by_method": {method: terms_view(verb, narrower, codes=codes) for method, narrower in terms.by_method.items()}
        or None,
    }
    return {member: value for member, value in view.items() if value is not None}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _key(key: Key) -> dict[str, Any]:
    match key:
        case Remembered(life=None):
            return {"kind": "remembered"}
        case Remembered(life=life) if life is not None:
            return {"kind": "remembered", "life_seconds": life.total_seconds()}
        case Natural(path):
            return {"kind": "natural", "path": path}
    return {"kind": "none"}


def _inquiry(form: Inquiry) -> str:
    match form:
        case ByKey():
            return "by_key"
        case ByPartnerId(name):
            return f"by_partner_id:{name}"
        case ByParent():
            return "by_parent"
    return "replay"


def body_of(verb: str) -> type[New] | None:
    """The model of the body of the call that runs this verb; None for verbs that no call names."""
    for kind in KINDS.values():
        if kind.create is not None and kind.create.name == verb:
            return kind.new
    if verb in ("check_threshold", "request_score", "request_report"):
        return NewCreditReport
    if verb.startswith("cancel_") or verb == "revoke_consent":
        return NewCancellation
    return None
