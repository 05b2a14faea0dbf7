"""The base of every model that crosses a wall, and the marks that its fields may carry.

Rules
- Unknown fields are refused, values are frozen, and nothing is converted silently (a number is no string).
- A field that tells about a person is marked `PERSONAL`, one that must be stored nowhere is marked `SECRET`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

__all__ = ["PERSONAL", "SECRET", "Instant", "Line", "Metadata", "Model", "Name", "Reference", "marked"]


class Model(BaseModel):
    """A frozen value with named, checked fields."""

    # Validators are built at first use: importing the contract must cost little, and no program uses every model.
    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), defer_build=True, hide_input_in_errors=True
    )


class _Mark:
    """A note on a field; pydantic keeps it in the field's metadata."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


PERSONAL: Final = _Mark("PERSONAL")
SECRET: Final = _Mark("SECRET")


def marked(model: type[BaseModel], mark: Any) -> frozenset[str]:
    """The names of the fields of `model` that carry `mark`."""
    return frozenset(
        name for name, field in model.model_fields.items() if mark in field.metadata or _carries(field.annotation, mark)
    )


def _carries(annotation: Any, mark: Any) -> bool:
    """Whether the mark stands anywhere inside, as in `Annotated[str, SECRET] | None`."""
    return any(inner is mark or _carries(inner, mark) for inner in get_args(annotation))


def _printable(text: str) -> str:
    """Control characters would end a line in somebody's file format or log."""
    if not text.isprintable():
        raise ValueError("must hold printable characters only")
    return text


def _with_text(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text


Line = Annotated[str, StringConstraints(max_length=512), AfterValidator(_printable)]
"""One line of text, at most 512 characters."""

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=140), AfterValidator(_printable), AfterValidator(_with_text)
]
"""The name of a person, a thing or an organisation (ISO 20022 Max140Text)."""

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:/\-]{1,64}$")]
"""A business key that a platform chose: 1 to 64 letters, digits, and . _ : / -"""

Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,40}$")],
        Annotated[str, StringConstraints(max_length=500)],
    ],
    Field(json_schema_extra={"additionalProperties": False}),  # other names are refused, and the schema says so
]
"""What a platform wants to see again: up to 40 characters a key, 500 a value. Never sent to a partner."""


FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
LAST: Final = datetime(9999, 12, 30, tzinfo=UTC)
"""A day inside of what a datetime can hold, so that every moment can be written in every zone."""


def _utc(moment: datetime) -> datetime:
    if not FIRST <= moment <= LAST:
        raise ValueError("must lie between the years 1 and 9999 in every time zone")
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A moment; RFC 3339 with an offset outside, aware UTC inside."""
