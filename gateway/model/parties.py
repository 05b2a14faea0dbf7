"""Who takes part: persons, organisations, and the bank accounts they hold (ISO 20022 names)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway.model.schema import PERSONAL, Line, Model, Name

__all__ = ["AccountIdentification", "Address", "Identifier", "Organisation", "Party", "Subject"]

Subject = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:\-]{1,64}$")]
"""The platform's stable id for a person: what a person's keys and rights hang on."""


class Identifier(Model):
    """An identity document or number of a person."""

    scheme: Literal["national_id", "passport", "partner_user_id", "company_number"]
    value: Annotated[str, StringConstraints(min_length=1, max_length=64), PERSONAL]
    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")] | None = None


class Address(Model):
    """A postal address."""

    country: Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
    province: Annotated[Line, PERSONAL] | None = None
    city: Annotated[Line, PERSONAL] | None = None
    district: Annotated[Line, PERSONAL] | None = None
    street: Annotated[Line, PERSONAL] | None = None
    postal_code: Annotated[Line, PERSONAL] | None = None


class Party(Model):
    """A person (or organisation) as far as a call needs it."""

    name: Annotated[Name, PERSONAL] | None = None
    identifiers: Annotated[tuple[Identifier, ...], Field(max_length=8)] = ()
    phone: Annotated[str, StringConstraints(pattern=r"^\+?[0-9 \-]{5,20}$"), PERSONAL] | None = None
    email: Annotated[str, StringConstraints(pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$"), PERSONAL] | None = None
    birth_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), PERSONAL] | None = None
    partner_user_id: Annotated[str, StringConstraints(min_length=1, max_length=128), PERSONAL] | None = None
    address: Address | None = None

    def identifier(self, scheme: str) -> str | None:
        """The value of the first identifier of that scheme."""
        return next((found.value for found in self.identifiers if found.scheme == scheme), None)


class Organisation(Model):
    """A company, such as the lender who benefits from a policy."""

    name: Name
    number: Line | None = None


class AccountIdentification(Model):
    """A bank account, or an account at a wallet."""

    scheme: Literal["sort_code_account_number", "iban", "wallet_user_id", "wallet_login", "bank_card"]
    identification: Annotated[str, StringConstraints(min_length=1, max_length=64), PERSONAL]
    name: Annotated[Name, PERSONAL] | None = None
    agent: Line | None = None  # the bank, where the scheme does not say it
