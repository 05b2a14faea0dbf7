"""Canonical forms: one value, one string of bytes, so that both sides sign and hash the same.

Rules
- Nothing here signs. A partner whose string is built otherwise builds it in its own plugin.
- What has no single canonical form (floats, large integers, lone surrogates) is refused, never rounded.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final

__all__ = ["LARGEST_INTEGER", "canonical_json", "canonical_pairs"]

LARGEST_INTEGER: Final = 2**53 - 1  # RFC 7493 section 2.2: what every JSON implementation can hold


def canonical_pairs(params: Mapping[str, str], *, exclude: Collection[str] = ()) -> str:
    """`k=v&k=v` of the non-empty parameters, sorted by the bytes of their names, values raw (not URL-encoded)."""
    names = sorted((name for name, value in params.items() if value and name not in exclude), key=str.encode)
    return "&".join(f"{name}={params[name]}" for name in names)


def canonical_json(value: object) -> bytes:
    """JSON with sorted members and no spaces, in UTF-8: RFC 8785 for values that hold no fractions.

    Takes str, int, bool, None, lists, tuples, and mappings with names of type str. Raises `TypeError` for any other
    type and `ValueError` for an integer beyond ±(2^53 - 1) or text that is no Unicode.
    """
    if _plain(value):
        return _SORTING.encode(value).encode()
    return _ENCODER.encode(_ordered(value)).encode()


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False)
_SORTING: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, sort_keys=True)
"""Sorts by code points, which is the order of UTF-16 code units too as long as all names are ASCII."""


def _plain(value: object) -> bool:
    """Whether `value` is made of the commonest types alone, with names in ASCII: then the encoder may sort them."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return -LARGEST_INTEGER <= value <= LARGEST_INTEGER  # type: ignore[operator]  # it is an integer
    if kind is dict:
        for name, member in value.items():  # type: ignore[attr-defined]  # it is a dictionary
            if type(name) is not str or not name.isascii() or not (type(member) is str or _plain(member)):
                return False
        return True
    return False


def _ordered(value: object) -> object:
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            raise ValueError("an integer beyond 2^53 - 1 has no canonical form; write it as a string")
        return value
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value, key=_utf16)}
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form; write it as a string")


def _utf16(name: object) -> bytes:
    """RFC 8785 section 3.2.3 sorts names by their UTF-16 code units."""
    if not isinstance(name, str):
        raise TypeError(f"a member's name is a string, not {type(name).__name__}")
    return name.encode("utf-16-be")
