"""Questions as the core would put them to a verb: a valid one for each, of which a test changes what it is about.

    payment = question("create_payment", amount={"amount": "0.29", "currency": "CNY"})

Rules
- What the core draws (key, handoff, moment) is the same in every run; `number` gives another one.
- A body is that of the API's call (`body_of`); the terms of an adapter, where given, choose a method and a currency.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.adapters.verbs import VERBS
from gateway.model.accounts import AccountQuery, TransactionQuery
from gateway.model.initiations import Inquiry, Known
from gateway.model.message import Handoff
from gateway.model.problems import AdapterError
from gateway.model.schema import Model
from gateway.model.terms import Terms
from gateway.operations.kinds import KINDS, KindOf

__all__ = ["body_of", "follows", "question"]

MOMENT: Final = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
MONEY: Final = {"amount": "12.30", "currency": "CNY"}
PERSON: Final = {
    "name": "Robin Sample",
    "identifiers": [{"scheme": "national_id", "value": "310101199001011234", "country": "CN"}],
    "phone": "13800138000",
    "birth_date": "1990-01-01",
    "partner_user_id": "2088000000000001",
}
REPORT: Final = {"person": PERSON, "purpose": "credit_application", "permission": {"channel": "app"}}
QUOTE: Final = {
    "product": "credit_life",
    "insured": PERSON,
    "beneficiary": {"name": "A Lender"},
    "sum_insured": {"amount": "1200.00", "currency": "CNY"},
    "starts_at": "2026-01-02T00:00:00Z",
    "ends_at": "2026-04-02T00:00:00Z",
}
BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "create_payment": {"amount": MONEY, "method": {"type": "wallet_qr"}, "description": "a coat"},
    "create_refund": {"amount": {"amount": "2.00", "currency": "CNY"}},
    "capture_payment": {"amount": MONEY},
    "create_transfer": {
        "amount": MONEY,
        "creditor": {
            "name": "A Seller of Coats",
            "account": {"scheme": "bank_card", "identification": "6222000000000000"},
        },
    },
    "check_threshold": {"product": "threshold_check", "threshold": 600, **REPORT},
    "request_score": {"product": "score", **REPORT},
    "request_report": {"product": "report", **REPORT},
    "quote_policy": QUOTE,
    "bind_policy": {"product": "credit_life", "insured": PERSON},
    "file_claim": {"event": "return"},
    "create_consent": {"type": "account_access", "scopes": ["accounts", "balances", "transactions"]},
}
"""A valid body of each call that takes one, without connection and reference. Every value is made up."""

FOLLOWS: Final[Mapping[str, str]] = {
    "create_refund": "create_payment",
    "capture_payment": "create_payment",
    "cancel_payment": "create_payment",
    "cancel_transfer": "create_transfer",
    "cancel_policy": "bind_policy",
    "file_claim": "bind_policy",
    "revoke_consent": "create_consent",
    "bind_policy": "quote_policy",
    "fetch_refund": "create_refund",
    "fetch_claim": "file_claim",
}


def follows(verb: str) -> str | None:
    """The verb whose operation must stand before this one can begin."""
    return FOLLOWS.get(verb)


def body_of(verb: str, terms: Terms | None = None, **fields: Any) -> dict[str, Any]:
    """A valid body for a verb that begins something, `fields` in place of what it holds.

    With `terms` the method and the currency are ones that they name.
    """
    body = {**BODIES.get(verb, {})}
    if terms is not None and terms.methods and "method" in body and body["method"]["type"] not in terms.methods:
        body["method"] = {"type": sorted(terms.methods)[0]}
    if terms is not None and terms.currencies:
        for name in ("amount", "sum_insured"):
            if name in body and body[name]["currency"] not in terms.currencies:
                body[name] = {**body[name], "currency": sorted(terms.currencies)[0]}
    return {**body, **fields}


def question(verb: str, *, number: int = 1, parent: Mapping[str, Any] | None = None, **fields: Any) -> Any:
    """What the core would ask the verb: an initiation, an inquiry, or a query under a consent.

    `fields` stand in place of the example's; `parent` holds fields of the `Known` that it follows. Raises
    `AdapterError` for a verb that takes no such question, and pydantic's `ValidationError` for wrong fields.
    """
    if verb not in VERBS:
        raise AdapterError(f"there is no verb {verb!r}; there are {', '.join(VERBS)}")
    if verb in ("list_accounts", "fetch_balances", "fetch_transactions"):
        query = TransactionQuery if verb == "fetch_transactions" else AccountQuery
        return query.model_validate({"consent": _known(number), **fields})
    kind = _kind(verb)
    if verb.startswith("fetch_"):
        return _asked(kind.inquiry, verb, number, parent, fields)
    return _begun(kind, verb, number, parent, fields)


def _kind(verb: str) -> KindOf:
    for kind in KINDS.values():
        if verb in (str(kind.create), str(kind.fetch)):
            return kind
    if verb in ("check_threshold", "request_score", "request_report"):
        return KINDS["credit_report"]
    if verb in FOLLOWS:
        return KINDS["capture" if verb == "capture_payment" else "cancellation"]
    raise AdapterError(f"{verb} goes on from an earlier step; make its question by hand")


def _asked(
    model: type[Inquiry], verb: str, number: int, parent: Mapping[str, Any] | None, fields: Mapping[str, Any]
) -> Inquiry:
    known: dict[str, Any] = _known(number).model_dump()
    if verb in FOLLOWS or parent is not None:
        known["parent"] = {**_known(number + 1).model_dump(), **(parent or {})}
    return model.model_validate({**known, **fields})


def _begun(kind: KindOf, verb: str, number: int, parent: Mapping[str, Any] | None, fields: Mapping[str, Any]) -> Model:
    given: dict[str, Any] = {
        "connection": "partner",
        "reference": f"LN-{number:04d}",
        "partner_key": _key(number),
        "requested_at": MOMENT,
        "handoff": _handoff(number),
        **body_of(verb),
    }
    if (verb in FOLLOWS and verb != "bind_policy") or parent is not None:
        given["parent"] = {**_known(number + 1).model_dump(), **(parent or {})}
    model = _policy_cancellation(verb) or kind.initiation
    return model.model_validate({**given, **fields})


def _policy_cancellation(verb: str) -> type[Model] | None:
    from gateway.model.consents import ConsentRevocation
    from gateway.model.insurance import PolicyCancellation

    found: dict[str, type[Model]] = {"cancel_policy": PolicyCancellation, "revoke_consent": ConsentRevocation}
    return found.get(verb)


def _known(number: int) -> Known:
    return Known(partner_key=_key(number), requested_at=MOMENT)


def _key(number: int) -> str:
    """32 characters of base32, as the core derives them."""
    letters, text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", ""
    while number:
        number, place = divmod(number, 32)
        text = letters[place] + text
    return text.rjust(32, "A")


def _handoff(number: int) -> Handoff:
    return Handoff(
        state=f"state-{number:04d}".ljust(43, "x"),
        nonce=f"nonce-{number:04d}".ljust(43, "x"),
        code_verifier="v" * 43,
        return_url="https://gateway.example/v1/returns/partner",
        callback_url="https://gateway.example/v1/callbacks/partner/token",
    )
