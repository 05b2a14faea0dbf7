"""What of a call's body may rest in the store."""

from __future__ import annotations

from typing import Annotated

from gateway.model.payments import NewPayment
from gateway.model.schema import SECRET, Model
from gateway.operations.view import secrets_of, storable


def test_the_code_that_a_payer_shows_is_stored_nowhere() -> None:
    payment = NewPayment.model_validate(
        {
            "connection": "riverbank",
            "reference": "LN-1",
            "amount": {"amount": "128.00", "currency": "CNY"},
            "method": {"type": "payer_code", "code": "28763443825664394"},
            "description": "Instalment 1 of 3",
        }
    )

    kept = storable(payment)

    assert kept["method"] == {"type": "payer_code"}
    assert kept["amount"] == {"amount": "128.00", "currency": "CNY"}


def test_secrets_are_found_at_any_depth_and_inside_lists() -> None:
    class Card(Model):
        number: str
        pin: Annotated[str, SECRET] | None = None

    class Purse(Model):
        owner: Annotated[str, SECRET]
        cards: tuple[Card, ...]
        spare: Card | None = None

    purse = Purse(owner="Li", cards=(Card(number="1", pin="0000"),), spare=Card(number="2", pin="1111"))

    assert purse.model_dump(exclude=secrets_of(Purse), exclude_none=True) == {
        "cards": ({"number": "1"},),
        "spare": {"number": "2"},
    }
