"""Money: a Decimal and an ISO 4217 currency. Never a float.

JSON carries `{"amount": "128.00", "currency": "CNY"}`. Conversion to the smallest unit (fen, cents) happens once, in an
adapter, by `minor` and `from_minor`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, model_validator
from pydantic.json_schema import WithJsonSchema

from gateway.model.schema import Model

__all__ = ["MINOR_UNITS", "Currency", "Money"]

LARGEST: Final = Decimal("999999999999999")
"""Fifteen digits before the point: more than any partner takes, and exact everywhere (ISO 20022 allows 18 in all)."""

_TWO = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP "
    "CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN "
    "MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE "
    "SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR "
    "ZMW ZWG"
)
MINOR_UNITS: Final[dict[str, int]] = {
    **dict.fromkeys(_TWO.split(), 2),
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
"""Currency code to the number of its decimal places (ISO 4217)."""


def _amount(value: Any) -> Decimal:
    """A decimal text such as "128.00"; binary fractions and exponents would lose or hide digits."""
    if isinstance(value, Decimal):
        amount = value
    elif isinstance(value, str) and value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit():
        amount = Decimal(value)
    else:
        raise ValueError('must be a decimal number written as text, such as "128.00"')
    if not amount.is_finite() or amount < 0:
        raise ValueError("must not be negative")
    if amount > LARGEST:
        raise ValueError(f"must not exceed {LARGEST}")
    return amount


def _currency(value: Any) -> str:
    if not isinstance(value, str) or value not in MINOR_UNITS:
        raise ValueError("must be an ISO 4217 currency code in capitals, such as CNY")
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_amount),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,15}(\.[0-9]{1,4})?$", "examples": ["128.00"]}),
]
Currency = Annotated[
    str,
    BeforeValidator(_currency),
    WithJsonSchema({"type": "string", "enum": sorted(MINOR_UNITS), "examples": ["CNY"]}),
]
"""An ISO 4217 alphabetic code."""


class Money(Model):
    """An amount that is not negative, with at most as many decimals as its currency has."""

    amount: Amount
    currency: Currency

    @model_validator(mode="after")
    def _decimals_fit(self) -> Money:
        places = MINOR_UNITS[self.currency]
        exponent = self.amount.as_tuple().exponent
        if isinstance(exponent, int) and -exponent > places:
            raise ValueError(f"{self.currency} has {places} decimal places")
        if exponent != -places:
            object.__setattr__(self, "amount", self.amount.quantize(Decimal(1).scaleb(-places)))
        return self

    @classmethod
    def of(cls, amount: str | Decimal, currency: str) -> Money:
        """`Money.of("128.00", "CNY")`. Raises `ValueError` (pydantic's) for anything that is no money."""
        return cls(amount=amount, currency=currency)  # type: ignore[arg-type]  # the validator takes text

    @classmethod
    def from_minor(cls, units: int, currency: str) -> Money:
        """From an amount in the currency's smallest unit: `from_minor(12800, "CNY")` is ¥128.00.

        Raises `ValueError` for a currency that is none.
        """
        if currency not in MINOR_UNITS:
            raise ValueError(f"{currency[:10]!r} is no currency of ISO 4217")
        return cls(amount=Decimal(units).scaleb(-MINOR_UNITS[currency]), currency=currency)

    def minor(self) -> int:
        """The amount in the currency's smallest unit."""
        return int(self.amount.scaleb(MINOR_UNITS[self.currency]))

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
