"""Terms enforced: whether a call's body is something that the partner takes, before anything leaves.

Every field that is wrong is named at once, with its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.model.initiations import New
from gateway.model.money import Money
from gateway.model.problems import FieldError, Invalid
from gateway.model.terms import Terms

__all__ = ["at", "check", "options_of"]


def at(value: Any, path: str) -> Any:
    """The field at a dotted path, or None where the way ends."""
    for name in path.split("."):
        if isinstance(value, BaseModel):
            value = getattr(value, name, None)
        else:
            value = value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
        if value is None:
            return None
    return value


def check(terms: Terms, body: New, partner: str) -> Mapping[str, Any]:
    """The checked options for `partner`. Raises `Invalid` naming every field that the partner does not take."""
    wrong = [*_amount(terms, body), *_method(terms, body), *_required(terms, body), *_texts(terms, body)]
    strangers = sorted(set(body.partner_options) - {partner})
    wrong.extend(FieldError(f"partner_options.{name}", f"this call goes to {partner}") for name in strangers)
    options, wrong_options = options_of(terms, body.partner_options.get(partner, {}), partner)
    wrong.extend(wrong_options)
    if wrong:
        raise Invalid(f"{partner} does not take this: {wrong[0].path} {wrong[0].detail}", fields=wrong)
    return options


def options_of(terms: Terms, given: Mapping[str, Any], partner: str) -> tuple[Mapping[str, Any], list[FieldError]]:
    """The options as the adapter's model writes them, and what is wrong with them."""
    path = f"partner_options.{partner}"
    if terms.options is None:
        return {}, [FieldError(f"{path}.{name}", "is not an option of this verb") for name in given]
    try:
        return terms.options.model_validate(given).model_dump(mode="json"), []
    except ValidationError as errors:
        return {}, [
            FieldError(".".join([path, *(str(step) for step in error["loc"])]), error["msg"])
            for error in errors.errors()
        ]


def _amount(terms: Terms, body: New) -> Iterator[FieldError]:
    amount = getattr(body, "amount", None)
    if not isinstance(amount, Money):
        return
    if amount.amount <= 0:
        yield FieldError("amount.amount", "must be more than zero")
    if terms.currencies and amount.currency not in terms.currencies:
        yield FieldError("amount.currency", f"must be one of {', '.join(sorted(terms.currencies))}")
        return
    if terms.at_least is not None and amount.amount < terms.at_least:
        yield FieldError("amount.amount", f"must be at least {terms.at_least}")
    if terms.at_most is not None and amount.amount > terms.at_most:
        yield FieldError("amount.amount", f"must be at most {terms.at_most}")


def _method(terms: Terms, body: New) -> Iterator[FieldError]:
    method = at(body, "method.type")
    if method is not None and terms.methods and method not in terms.methods:
        yield FieldError("method.type", f"must be one of {', '.join(sorted(terms.methods))}")
    if method == "payer_code" and at(body, "method.code") is None:
        yield FieldError("method.code", "is needed with payer_code: what the payer shows to be scanned")


def _required(terms: Terms, body: New) -> Iterator[FieldError]:
    for path in terms.required:
        if at(body, path) in (None, (), ""):
            yield FieldError(path, "is needed by this partner")
    if terms.consent and at(body, "permission.consent") is None:
        yield FieldError("permission.consent", "is needed by this partner: the id of an active consent")


def _texts(terms: Terms, body: New) -> Iterator[FieldError]:
    text = getattr(body, "remittance", None)
    if text and terms.remittance_length is not None and len(text) > terms.remittance_length:
        yield FieldError("remittance", f"must have at most {terms.remittance_length} characters for this partner")
