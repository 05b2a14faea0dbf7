"""An operation as a platform sees it: in answers, in events and in webhooks alike."""

from __future__ import annotations

from typing import Any

from gateway.model.initiations import New
from gateway.model.schema import SECRET, marked
from gateway.store.operation import Operation

__all__ = ["public", "storable"]


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
    return {name: value for name, value in shown.items() if value not in (None, {}, [])}


def storable(body: New) -> dict[str, Any]:
    """A call's body as it may rest in the store: without what is marked secret, at any depth."""
    return _without_secrets(body)


def _without_secrets(model: Any) -> dict[str, Any]:
    kept: dict[str, Any] = model.model_dump(mode="json", exclude_none=True, exclude=set(marked(type(model), SECRET)))
    for name in kept:
        value = getattr(model, name)
        if hasattr(value, "model_fields_set"):
            kept[name] = _without_secrets(value)
    return kept


def _quantities(operation: Operation) -> dict[str, Any]:
    if operation.reservable is None or operation.amount is None:
        return {}
    money = type(operation.amount)
    currency = operation.amount.currency
    return {
        "captured": _json(money.from_minor(operation.reservable, currency)),
        "refunds_reserved": _json(money.from_minor(operation.reserved, currency)),
    }


def _json(value: Any) -> Any:
    return None if value is None else value.model_dump(mode="json", exclude_none=True)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
