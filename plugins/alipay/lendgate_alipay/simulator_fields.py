"""Reads the members of a `biz_content` as strictly as the interface pages document them.

Rules
- A member that the page does not name is refused: unknown members can turn a repeated refund into a second one.
- Amounts are text in yuan with exactly two decimals; a number in fen has none and is refused.
- A text that begins with `SIM_` asks for a business refusal: `SIM_TOTAL_FEE_EXCEED` gives that code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["Fields", "Refused", "magic", "unknown"]

AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,8})\.[0-9]{2}\Z")
KEY: Final = re.compile(r"[A-Za-z0-9_]{1,64}\Z")
MAGIC: Final = re.compile(r"SIM_([A-Z_]+)\Z")
WITHOUT_REFUSAL: Final = frozenset({"UNKNOWN", "LATE"})
"""Magic words that change the way of an answer and refuse nothing."""


class Refused(Exception):
    """The institution says no: `code`, `sub_code` and `sub_msg` of the reply."""

    def __init__(self, code: str, sub_code: str, sub_msg: str = "", *, signed: bool = True) -> None:
        super().__init__(code, sub_code, sub_msg)
        self.code = code
        self.sub_code = sub_code
        self.sub_msg = sub_msg
        self.signed = signed


def magic(text: str | None) -> str | None:
    """The word after `SIM_`, if `text` is such a one."""
    match = MAGIC.match(text or "")
    return match.group(1) if match else None


def unknown() -> Refused:
    """The gateway's answer where nobody can tell what happened."""
    return Refused("20000", "isp.unknow-error", "系统繁忙")


class Fields:
    """The members of one call; `prefix` stands before the codes of its product (`ACQ.` for trades)."""

    def __init__(self, members: Mapping[str, Any], allowed: Iterable[str], prefix: str) -> None:
        self.prefix = prefix
        self._members = members
        strangers = sorted(set(members) - set(allowed))
        if strangers:
            raise self.invalid(f"unknown members: {', '.join(strangers)}")

    def refuse(self, sub_code: str, sub_msg: str = "") -> Refused:
        """A business refusal with this product's prefix."""
        return Refused("40004", f"{self.prefix}{sub_code}", sub_msg or sub_code)

    def invalid(self, sub_msg: str) -> Refused:
        return self.refuse("INVALID_PARAMETER", sub_msg)

    def text(self, name: str, longest: int) -> str:
        """A mandatory text."""
        value = self.optional(name, longest)
        if value is None:
            raise self.invalid(f"{name} is missing")
        return value

    def optional(self, name: str, longest: int) -> str | None:
        """A text; absent, null and empty are the same."""
        value = self._members.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > longest:
            raise self.invalid(f"{name} is not a text of at most {longest} characters")
        return value

    def key(self, name: str) -> str:
        """A mandatory number of the merchant's: letters, digits and underscore."""
        value = self.text(name, 64)
        if not KEY.match(value):
            raise self.invalid(f"{name} holds characters other than letters, digits and _")
        return value

    def one_of(self, name: str, *values: str) -> str:
        value = self.text(name, 64)
        if value not in values:
            raise self.invalid(f"{name} must be one of {', '.join(values)}")
        return value

    def amount(self, name: str, least: str, most: str) -> Decimal:
        """A mandatory amount in yuan."""
        value = self._members.get(name)
        if not isinstance(value, str) or not AMOUNT.match(value):
            raise self.invalid(f"{name} is not an amount in yuan with two decimals")
        if not Decimal(least) <= Decimal(value) <= Decimal(most):
            raise self.invalid(f"{name} must lie between {least} and {most}")
        return Decimal(value)

    def within(self, name: str, allowed: Iterable[str]) -> Fields:
        """A mandatory object inside this one."""
        value = self._members.get(name)
        if not isinstance(value, Mapping):
            raise self.invalid(f"{name} is not an object")
        return Fields(value, allowed, self.prefix)

    def raw(self, name: str) -> Any:
        return self._members.get(name)

    def refuse_by_magic(self, *texts: str | None) -> None:
        """Refuse as a magic text asks for."""
        for text in texts:
            word = magic(text)
            if word is not None and word not in WITHOUT_REFUSAL:
                raise self.refuse(word)
