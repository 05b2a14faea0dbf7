"""An operation as a platform sees it: in answers, in events and in webhooks alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from gateway.model.initiations import New
from gateway.model.money import MINOR_UNITS
from gateway.model.schema import SECRET, marked
from gateway.store.operation import Operation

__all__ = ["announced", "public", "storable"]


def public(operation: Operation) -> dict[str, Any]:
    """JSON members of an operation; what only the gateway or an adapter needs is left out, empty members too."""
    shown: dict[str, Any] = {
        "id": operation.id,
        "kind": operation.kind,
        "mode": operation.mode,
        "partner": operation.partner,
        "connection": operation.connection,
        "state": operation.state.value,
        "status": operation.status,
        "reference": operation.reference,
        "partner_key": operation.partner_key,
        "amount": _json(operation.amount),
        "method": operation.method,
        "parent": operation.parent,
        "subject": operation.subject,
        "erased": operation.erased or None,
        "links_to": dict(operation.links_to),
        "reason": _json(operation.reason),
        "attention": [_json(item) for item in operation.attention],
        "next_action": _json(operation.next_action),
        "next_action_until": _time(operation.next_action_until),
        "next_inquiry_at": _time(operation.next_inquiry_at) if operation.open else None,
        "partner_references": dict(operation.partner_references),
        "result": dict(operation.result),
        "quantities": _quantities(operation),
        "attempts": operation.attempts,
        "metadata": dict(operation.metadata),
        "sequence": operation.sequence,
        "created_at": _time(operation.created_at),
        "updated_at": _time(operation.updated_at),
    }
    return {name: value for name, value in shown.items() if value or value == 0 or value == ""}


def announced(cursor: int, id_: str, document: str) -> dict[str, Any]:
    """An event as platforms get it, by webhook and from the feed alike."""
    return {"cursor": cursor, "id": id_, **json.loads(document)}


def storable(body: New) -> dict[str, Any]:
    """A call's body as it may rest in the store: without what is marked secret, at any depth."""
    return body.model_dump(mode="json", exclude_none=True, exclude=secrets_of(type(body)))


@cache
def secrets_of(model: type[BaseModel]) -> dict[str, Any] | None:
    """Where a model and those inside it hold what is marked secret, as pydantic's `exclude` takes it; None: nowhere."""
    found: dict[str, Any] = dict.fromkeys(marked(model, SECRET), True)
    for name, field in model.model_fields.items():
        for inner, several in _models_in(field.annotation):
            secret = secrets_of(inner)
            if secret is not None and name not in found:
                found[name] = {"__all__": secret} if several else secret
    return found or None


def _models_in(annotation: Any, several: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    """The models that an annotation names, and whether each stands in a collection."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, several
    collection = get_origin(annotation) not in (None, Annotated, Union, UnionType)
    for inner in get_args(annotation):
        yield from _models_in(inner, several or collection)


def _quantities(operation: Operation) -> dict[str, Any]:
    if operation.reservable is None or operation.amount is None:
        return {}
    currency = operation.amount.currency
    return {
        "captured": _minor(operation.reservable, currency),
        "refunds_reserved": _minor(operation.reserved, currency),
    }


def _minor(units: int, currency: str) -> dict[str, str]:
    """The JSON of `Money.from_minor`, without making one."""
    return {"amount": str(Decimal(units).scaleb(-MINOR_UNITS[currency])), "currency": currency}


def _json(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json", exclude_none=True)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
