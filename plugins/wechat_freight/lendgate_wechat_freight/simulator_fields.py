"""Reads the members of a JSON body as strictly as the platform documents them, and refuses with its numbers.

Rules
- A member that is missing, null or empty text is refused with 2, one of the wrong type with 47001.
- Nothing is converted: text is text, a uint32 is a JSON integer (never `true`, never a string of digits).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["ADDRESS_MEMBERS", "Refused", "address", "integer", "optional_integer", "optional_text", "text"]

LARGEST_UINT32: Final = 2**32 - 1
ADDRESS_MEMBERS: Final = ("province", "city", "county", "address")


class Refused(Exception):
    """The platform says no: `errcode` and the part of `errmsg` before its diagnostics."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errcode, errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


def text(body: Mapping[str, Any], name: str, *, missing: int = 2) -> str:
    """The mandatory text member `name`; refused with `missing` when it is absent or empty."""
    value = body.get(name)
    if value is None or value == "":
        raise Refused(missing, f"missing {name}")
    if not isinstance(value, str):
        raise Refused(47001, f"{name} is not text")
    return value


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    """The optional text member `name`; empty text is the same as absence."""
    return None if body.get(name) in (None, "") else text(body, name)


def integer(body: Mapping[str, Any], name: str) -> int:
    """The mandatory uint32 member `name`."""
    value = body.get(name)
    if value is None:
        raise Refused(2, f"missing {name}")
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_UINT32:
        raise Refused(47001, f"{name} is not a uint32")
    return value


def optional_integer(body: Mapping[str, Any], name: str) -> int | None:
    """The optional uint32 member `name`."""
    return None if body.get(name) is None else integer(body, name)


def address(body: Mapping[str, Any], name: str) -> dict[str, str]:
    """A mandatory address: province, city, county and address, all text."""
    value = body.get(name)
    if not isinstance(value, Mapping):
        raise Refused(2, f"missing {name}")
    return {member: text(value, member) for member in ADDRESS_MEMBERS}
