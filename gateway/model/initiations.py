"""What is common to every act that a platform asks for, and to every question about one.

`New…` models are the bodies of API calls. `…Initiation` adds what the core fills in (the partner's key, the handoff,
the moment of the first try), so that an adapter draws no randomness and reads no clock, and a replay gives the same
bytes. `…Inquiry` is what the core knows about an act of which it asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, StringConstraints

from gateway.model.message import Handoff, Returned
from gateway.model.money import Money
from gateway.model.parties import Subject
from gateway.model.problems import AdapterError
from gateway.model.schema import Instant, Metadata, Model, Reference

__all__ = ["Continuation", "Initiation", "Inquiry", "Known", "Links", "Memory", "New"]

Links = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,31}$")],
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
    ],
    Field(json_schema_extra={"additionalProperties": False}),  # other names are refused, and the schema says so
]
"""The platform's own objects: `{"loan": "LN-1001", "instalment": "1"}`."""


class New(Model):
    """What every body of a call that acts may carry."""

    connection: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
    reference: Reference
    links_to: Annotated[Links, Field(max_length=8)] = {}
    despite: Annotated[tuple[str, ...], Field(max_length=20)] = ()  # siblings that the caller knows about
    subject: Subject | None = None
    partner_options: dict[str, dict[str, Any]] = {}
    metadata: Annotated[Metadata, Field(max_length=40)] = {}


class Memory(Model):
    """What only an adapter needs to know again at the next step or inquiry. Kept sealed with the operation."""


T = TypeVar("T", bound=Memory)


class Known(Model):
    """What the core knows about an act, for whoever must speak about it again."""

    partner_key: str
    partner_references: Mapping[str, str] = {}
    amount: Money | None = None
    method: str | None = None
    requested_at: Instant
    memory: Memory | None = None

    def remembered(self, kind: type[T]) -> T:
        """The memory as `kind`. Raises `AdapterError` if the verb left none, or another."""
        if not isinstance(self.memory, kind):
            raise AdapterError(
                f"no {kind.__name__} was remembered for {self.partner_key}: return it as the fact's memory"
            )
        return self.memory


class Inquiry(Known):
    """A question about an act. A follow-up (refund, claim) names its parent too."""

    parent: Known | None = None


class Initiation(New):
    """What an adapter gets for an act: the body of the call, and what the core filled in."""

    partner_key: str
    requested_at: Instant
    handoff: Handoff
    parent: Known | None = None
    options: Mapping[str, Any] = {}  # the part of `partner_options` for this partner, checked against the terms


I = TypeVar("I", bound=Initiation)  # noqa: E741 - the letter stands for Initiation
R = TypeVar("R", bound=Memory)


@dataclass(frozen=True, slots=True)
class Continuation(Generic[I, R]):
    """A further step: the initiation, what the earlier step remembered, and what came back since."""

    initiation: I
    memory: R
    returned: Returned | None
    partner_references: Mapping[str, str]
