"""Puts together what a verb is called with: initiations, inquiries, continuations, and the operation itself.

Everything comes from the call's body and the stored operation, so that a replay after a restart gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from gateway.adapters.adapter import Adapter
from gateway.crypto.partner_keys import derive_partner_key
from gateway.model.initiations import Continuation, Initiation, Inquiry, Known, Memory, New
from gateway.model.insurance import NewPolicy, NewQuote, Offer, PolicyBinding
from gateway.model.message import Handoff, Returned
from gateway.model.money import Money
from gateway.model.problems import AdapterError, FieldError, Invalid
from gateway.model.terms import KeyForm, Natural, Terms
from gateway.operations.kinds import KindOf
from gateway.operations.requirements import at, options_of
from gateway.store.operation import Operation

__all__ = [
    "amount_of",
    "continuation",
    "fingerprint",
    "handoff_of",
    "initiation",
    "inquiry",
    "known",
    "options",
    "partner_key",
]


SORTED: Final = json.JSONEncoder(sort_keys=True)


def fingerprint(route: str, body: New) -> str:
    """SHA-256 over the route and every field of the body: what "the same call" means.

    The order of an object's members says nothing (RFC 8259 section 4), nor whether a default is written out.
    """
    said = SORTED.encode(body.model_dump(mode="json", exclude_defaults=True))
    return hashlib.sha256(f"{route}\n{said}".encode()).hexdigest()


def partner_key(secret: bytes, client: str, connection: str, kind: KindOf, body: New, terms: Terms) -> str:
    """The key under which the partner sees the act: derived, or the business field that the partner goes by."""
    if isinstance(terms.key, Natural):
        value = at(body, terms.key.path)
        if value is None:
            raise Invalid(
                f"{terms.key.path} is needed by this partner", fields=[FieldError(terms.key.path, "is needed")]
            )
        return str(value)
    form: KeyForm = terms.key.form
    return derive_partner_key(secret, client, connection, kind.name, body.reference, form)


def amount_of(body: New, chosen: Offer | None) -> Money | None:
    """What moves: the body's amount, or the premium of the chosen offer."""
    amount = getattr(body, "amount", None)
    if isinstance(amount, Money):
        return amount
    return chosen.premium if chosen is not None else None


def initiation(
    model: type[Initiation],
    body: New,
    operation: Operation,
    *,
    parent: Known | None,
    options: Mapping[str, Any],
    quoted: tuple[NewQuote, Offer] | None = None,
) -> Initiation:
    """The initiation of a fresh call; the body is already validated, so nothing is checked twice."""
    fields: dict[str, Any] = {name: getattr(body, name) for name in type(body).model_fields}
    if issubclass(model, PolicyBinding) and quoted is not None:
        fields |= {"quoted": quoted[0], "chosen": quoted[1]}
    fields |= {
        "partner_key": operation.partner_key,
        "requested_at": operation.created_at,
        "handoff": handoff_of(operation),
        "parent": parent,
        "options": options,
    }
    return _blank(model).model_copy(update=fields)


@cache
def _blank(model: type[Initiation]) -> Initiation:
    """One that holds the defaults alone: a copy of it, filled in, costs a fifth of a construction."""
    return model.model_construct()


def options(operation: Operation, adapter: Adapter[Any]) -> Mapping[str, Any]:
    """The options of its call once more, as they were checked when it began."""
    terms = adapter.terms[operation.verb].for_method(operation.method)
    given = operation.body.get("partner_options", {}).get(operation.partner, {})
    return options_of(terms, given, operation.partner)[0]


def handoff_of(operation: Operation) -> Handoff:
    """What was drawn for the operation's way through a browser."""
    return Handoff(**(operation.handoff or {}))


def stored(handoff: Handoff) -> Mapping[str, str]:
    """A handoff as it rests with the operation."""
    return {
        "state": handoff.state,
        "nonce": handoff.nonce,
        "code_verifier": handoff.code_verifier,
        "return_url": handoff.return_url,
        "callback_url": handoff.callback_url,
    }


def known(operation: Operation, adapter: Adapter[Any]) -> Known:
    """What the core knows about an act."""
    return Known(**_known(operation, adapter))


def inquiry(kind: KindOf, operation: Operation, adapter: Adapter[Any], parent: Operation | None) -> Inquiry:
    """The question about an operation."""
    return kind.inquiry(**_known(operation, adapter), parent=known(parent, adapter) if parent else None)


def continuation(
    question: Initiation, operation: Operation, adapter: Adapter[Any], returned: Returned | None
) -> Continuation[Any, Any]:
    """The next step. Raises `AdapterError` if the step before remembered nothing."""
    memory = _memory(operation, adapter)
    if memory is None:
        raise AdapterError(f"{adapter.name}: the step before left no memory to go on from")
    return Continuation(question, memory, returned, operation.partner_references)


def quoted(quote: Operation, body: NewPolicy) -> tuple[NewQuote, Offer]:
    """The request and the chosen offer of a quote. Raises `Invalid` if there is no such offer."""
    offers = quote.result.get("offers", [])
    if body.offer >= len(offers):
        detail = f"the quote has {len(offers)} offers"
        raise Invalid(detail, fields=[FieldError("offer", detail)])
    return NewQuote.model_validate(quote.body), Offer.model_validate(offers[body.offer])


def expired(offer: Offer, now: datetime) -> bool:
    """Whether an offer stands no longer."""
    return offer.expires_at is not None and offer.expires_at <= now


def _known(operation: Operation, adapter: Adapter[Any]) -> dict[str, Any]:
    return {
        "partner_key": operation.partner_key,
        "partner_references": operation.partner_references,
        "amount": operation.amount,
        "method": operation.method,
        "requested_at": operation.created_at,
        "memory": _memory(operation, adapter),
    }


def _memory(operation: Operation, adapter: Adapter[Any]) -> Memory | None:
    if operation.memory is None:
        return None
    model = adapter.memories.get(operation.memory["name"])
    if model is None:
        raise AdapterError(
            f"{adapter.name} no longer knows the memory {operation.memory['name']} of {operation.id};"
            " keep old memory classes until no operation needs them"
        )
    return model.model_validate(operation.memory["value"])
