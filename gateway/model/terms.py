"""Terms: what a caller or the core must know about a verb, and no method body should hide.

They stand beside the verb as a decorator (`adapters.terms`), are served by `/v1/partners`, and are enforced before
anything leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from pydantic import BaseModel

from gateway.model.states import Meaning

__all__ = [
    "ByKey",
    "ByParent",
    "ByPartnerId",
    "RHYTHM",
    "Inquiry",
    "Key",
    "KeyForm",
    "Natural",
    "NoKey",
    "Price",
    "Proof",
    "Remembered",
    "Replay",
    "Terms",
    "hours",
    "minutes",
    "seconds",
]


def seconds(count: float) -> timedelta:
    """A duration; terms read better with `seconds(30)`."""
    return timedelta(seconds=count)


def minutes(count: float) -> timedelta:
    """A duration; terms read better with `minutes(30)`."""
    return timedelta(minutes=count)


def hours(count: float) -> timedelta:
    """A duration; terms read better with `hours(24)`."""
    return timedelta(hours=count)


@dataclass(frozen=True, slots=True)
class KeyForm:
    """Which keys a partner takes: 16 to 64 characters of base32 (A-Z, 2-7), or of digits."""

    length: int = 32
    alphabet: Literal["base32", "digits"] = "base32"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The partner executes a key once for as long as it remembers it. `life` None: for ever."""

    life: timedelta | None = None
    form: KeyForm = KeyForm()


@dataclass(frozen=True, slots=True)
class Natural:
    """The partner knows the act by a business field of the model (a dotted path), for ever."""

    path: str


@dataclass(frozen=True, slots=True)
class NoKey:
    """The partner executes each request anew: never send twice. The key is still derived, for its records and ours."""

    form: KeyForm = KeyForm()


Key = Remembered | Natural | NoKey


@dataclass(frozen=True, slots=True)
class ByKey:
    """The partner can be asked by the key under which it was asked to act."""


@dataclass(frozen=True, slots=True)
class ByPartnerId:
    """The partner can be asked by its own id, once it is known: its name among the partner's references."""

    name: str


@dataclass(frozen=True, slots=True)
class ByParent:
    """The fate shows in something else, such as a consent that was consumed."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Running the verb again, with the same bytes and inside the key's life, tells what became of the first run."""


RHYTHM: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds between inquiries where a partner says nothing of its own."""

Inquiry = ByKey | ByPartnerId | ByParent | Replay


class Proof(StrEnum):
    """What counts as proof that a message is the partner's."""

    SIGNATURE = "signature"
    CHANNEL = "channel"  # the authenticated TLS peer; a status of 500 or more proves nothing then


@dataclass(frozen=True, slots=True)
class Price:
    """What one call costs."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Terms:
    """Terms of one verb.

    `codes` maps the partner's codes to what they mean, `statuses` maps them to the status of what stands afterwards.
    """

    codes: Mapping[str, Meaning] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    methods: frozenset[str] = frozenset()
    currencies: frozenset[str] = frozenset()
    at_least: Decimal | None = None
    at_most: Decimal | None = None
    required: tuple[str, ...] = ()  # dotted paths of fields that the partner needs
    remittance_length: int | None = None  # characters of remittance text that reach the other side
    key: Key = NoKey()
    inquiry: tuple[Inquiry, ...] = ()
    settle_window: timedelta = timedelta(minutes=30)
    rhythm: tuple[float, ...] = RHYTHM  # seconds between inquiries; the last repeats
    watch: tuple[float, ...] = ()  # seconds after success at which to ask again: for partners whose money can come back
    options: type[BaseModel] | None = None
    proof: Proof = Proof.SIGNATURE
    price: Price | None = None
    footprint: Literal["none", "soft", "hard"] = "none"
    consent: bool = False  # a consent must be named
    by_method: Mapping[str, Terms] = field(default_factory=dict)
    source: str = ""  # section of the protocol

    def meaning(self, code: str | None) -> Meaning:
        """What `code` says; a code that is not listed says nothing."""
        return Meaning.UNDECLARED if code is None else self.codes.get(code, Meaning.UNDECLARED)

    def for_method(self, method: str | None) -> Terms:
        """The narrower terms of one method, where there are any."""
        return self.by_method.get(method or "", self)
