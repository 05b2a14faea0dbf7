"""Payments: money in. With captures, cancellations and refunds as follow-ups."""

from __future__ import annotations

from typing import Final

from gateway.api.acts import creating, following, reading, refreshing
from gateway.api.answers import found
from gateway.api.auth import ALL
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.query import NoQuery
from gateway.api.shapes import OperationView
from gateway.model.money import Money
from gateway.model.payments import NewCancellation, NewCapture, NewPayment, NewRefund
from gateway.model.states import State
from gateway.operations.view import public
from gateway.store.operation import Operation

__all__ = ["ROUTES"]

TAG: Final = "Payments"

MOST_REFUNDS: Final = 200


async def read_payment(call: Inbound[None, NoQuery]) -> Answer:
    """A payment with its newest refunds, and the sum of all that succeeded."""
    payment = await found(call, "payment")
    children = await _refunds(call, payment)
    view = public(payment)
    if children:
        view["refunds"] = [public(child) for child in children[:MOST_REFUNDS]]
    refunded = _refunded(payment, children)
    if refunded is not None:
        view["quantities"] = {**view.get("quantities", {}), "refunded": refunded.model_dump(mode="json")}
    return Answer(view)


async def _refunds(call: Inbound[None, NoQuery], payment: Operation) -> list[Operation]:
    """All of them, newest first: a sum over some would be a wrong sum."""
    found: list[Operation] = []
    while True:
        page = await call.gateway.store.operations(
            client=payment.client,
            kind="refund",
            parent=payment.id,
            before=found[-1].id if found else None,
            limit=MOST_REFUNDS,
        )
        found += page
        if len(page) < MOST_REFUNDS:
            return found


def _refunded(payment: Operation, refunds: list[Operation]) -> Money | None:
    """The sum of the refunds that succeeded; None for a payment that was never captured."""
    if payment.amount is None or payment.reservable is None:
        return None
    units = sum(
        refund.amount.minor() for refund in refunds if refund.state is State.SUCCEEDED and refund.amount is not None
    )
    return Money.from_minor(units, payment.amount.currency)


ROUTES: Final = (
    creating(
        "/v1/payments",
        "payment",
        NewPayment,
        TAG,
        "Collect money from a payer",
        description="Most methods answer with `requires_action`: show the payer the QR code or page in `next_action`.",
    ),
    Route("GET", "/v1/payments/{id}", "Read a payment", read_payment, TAG, {200: OperationView}, ALL),
    following("/v1/payments/{id}/capture", "capture", ("payment",), NewCapture, TAG, "Take an authorised payment"),
    following(
        "/v1/payments/{id}/cancel",
        "cancellation",
        ("payment",),
        NewCancellation,
        TAG,
        "Close an unpaid payment, or void an authorised one",
    ),
    following(
        "/v1/payments/{id}/refunds",
        "refund",
        ("payment",),
        NewRefund,
        TAG,
        "Give a payment back, in whole or in part",
        description="The amount is reserved on the payment before anything is sent, so refunds never exceed it.",
        more=("amount_not_available",),
    ),
    refreshing("/v1/payments/{id}/refresh", "payment", TAG),
    reading("/v1/refunds/{id}", "refund", TAG, "Read a refund"),
    refreshing("/v1/refunds/{id}/refresh", "refund", TAG),
)
