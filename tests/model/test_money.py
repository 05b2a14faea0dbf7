"""Money is decimal text with a currency, exact both ways, and nothing else is taken for it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.model.money import MINOR_UNITS, Money


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("128.00", "CNY", 12800), ("128", "CNY", 12800), ("0.1", "GBP", 10), ("500", "JPY", 500), ("1.234", "BHD", 1234)],
)
def test_the_smallest_unit_follows_the_currency(amount: str, currency: str, minor: int) -> None:
    assert Money.of(amount, currency).minor() == minor


@pytest.mark.parametrize(
    "amount", [1.5, 1, True, None, "-1.00", "1e3", "NaN", "Infinity", "", " 1", "1,5", "0x10", "١٢"]
)
def test_what_is_no_decimal_text_is_refused(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": amount, "currency": "CNY"})


@pytest.mark.parametrize(("amount", "currency"), [("1.001", "CNY"), ("1.5", "JPY"), ("9999999999999999", "CNY")])
def test_more_digits_than_the_currency_has_are_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValidationError):
        Money.of(amount, currency)


@pytest.mark.parametrize("currency", ["cny", "XXX", "", "RMB", 156])
def test_only_iso_4217_codes_are_currencies(currency: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount": "1.00", "currency": currency})


@given(st.integers(min_value=0, max_value=10**14), st.sampled_from(sorted(MINOR_UNITS)))
def test_minor_units_and_json_lose_nothing(units: int, currency: str) -> None:
    money = Money.from_minor(units, currency)

    assert money.minor() == units
    assert Money.model_validate_json(money.model_dump_json()) == money
    assert isinstance(money.amount, Decimal)


def test_units_of_an_unknown_currency_are_no_money() -> None:
    with pytest.raises(ValueError, match="no currency"):
        Money.from_minor(100, "XYZ")
