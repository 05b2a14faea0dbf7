"""Records as the floors above write them, with only what a test cares about spelled out."""

from __future__ import annotations

import hashlib
from typing import Any

from gateway.audit.journal import Journal
from gateway.model.message import Request
from gateway.store.interface import Draft, Recorded, Store

SECRET = "6222020200112233"
REQUEST = Request.post(f"https://bank.example:8443/pay/orders?token={SECRET}&name=%E5%BC%A0", {"card": SECRET})


def sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def an_intent(journal: Journal, chain: str = "pay_1", request: Request = REQUEST, **fields: Any) -> Draft:
    return journal.intent(
        **{
            "chain": chain,
            "client": "shop",
            "connection": "riverbank-main",
            "partner": "riverbank",
            "operation": chain,
            "verb": "create_payment",
            "attempt": 1,
            "request": request,
            "digest": sha256(request.method.encode() + request.target.encode() + request.body),
            "content": sha256(request.body),
            "sealed_body": request.body,
            "scheme": "riverbank-hmac",
            "key_id": "k1",
            "effect": True,
            **fields,
        }
    )


def an_outcome(journal: Journal, intent: Draft, **fields: Any) -> Draft:
    return journal.outcome(
        **{
            "intent": intent,
            "observed": "GENUINE",
            "status": 200,
            "code": "PAID",
            "verdict": "proven",
            "reply_bytes": b'{"code":"PAID","holder":"' + SECRET.encode() + b'"}',
            **fields,
        }
    )


def a_change(journal: Journal, chain: str = "pay_1", **fields: Any) -> Draft:
    return journal.change(
        **{
            "chain": chain,
            "client": "shop",
            "connection": "riverbank-main",
            "partner": "riverbank",
            "operation": chain,
            "before": "processing",
            "after": "succeeded",
            "source": "reply",
            "proof": "signature",
            "code": "PAID",
            "meaning": "succeeded",
            **fields,
        }
    )


async def a_history(store: Store, journal: Journal) -> None:
    """Eleven records: a start, then two payments side by side whose chains hold five and four, and a stop."""
    await store.commit([Recorded(journal.system(what="start"))])
    for chain in ("pay_1", "pay_2"):
        intent = an_intent(journal, chain)
        await store.commit([Recorded(intent)])
        await store.commit([Recorded(an_outcome(journal, intent)), Recorded(a_change(journal, chain))])
    again = an_intent(journal, "pay_1", verb="fetch_payment", effect=False, content=None)
    await store.commit([Recorded(again)])
    await store.commit([Recorded(an_outcome(journal, again))])
    await store.commit([Recorded(journal.act(actor="key_7", what="note", operation="pay_2", reason="asked the bank"))])
    await store.commit([Recorded(journal.system(what="stop"))])
