"""Rows whose values every back end writes as they are, in the order of their fields."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

__all__ = ["as_it_is"]


def as_it_is(row: Any) -> tuple[Any, ...]:
    """The values of the fields of a dataclass, in order."""
    return tuple(getattr(row, field.name) for field in fields(row))
