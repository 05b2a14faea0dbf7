"""Writes values as TOML 1.0: the standard library only reads it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["as_toml"]


def as_toml(values: Mapping[str, Any]) -> str:
    """`values` as TOML, a table for each mapping. Takes text, numbers, truth values, lists and mappings."""
    return "\n".join(_lines(values, ())).strip("\n") + "\n"


def _lines(values: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    own = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    if path and (own or not values):
        yield f"[{'.'.join(_key(step) for step in path)}]"
    for name, value in own.items():
        yield f"{_key(name)} = {_value(value)}"
    if own or not values:
        yield ""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _lines(value, (*path, name))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for the delete character, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(name)} = {_value(one)}' for name, one in value.items())} }}"
    raise TypeError(f"TOML has no form for {type(value).__name__}")
