"""The adapter authors' API: what `gateway` exports is exactly what tests/api.txt says, signatures included.

A difference is a decision: write it down with `python tests/test_public_api.py --write`, and say in CHANGELOG.md what
it means for authors.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

import gateway

API = Path(__file__).with_name("api.txt")
REFRESH = "python tests/test_public_api.py --write"


class AsWritten:
    """An annotation or default, printed as the source has it and without addresses."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __repr__(self) -> str:
        if isinstance(self.value, str):
            return self.value
        return re.sub(r" at 0x[0-9a-f]+", "", inspect.formatannotation(self.value))


def written(default: object) -> str:
    """A default as text; the order of a set changes from run to run, so it is sorted."""

    def ordered(found: re.Match[str]) -> str:
        return f"frozenset({{{', '.join(sorted(found[1].split(', ')))}}})"

    return re.sub(r"frozenset\(\{([^}]*)\}\)", ordered, repr(default))


def public_api() -> list[str]:
    """One line for each exported name, and one below it for each public member that it declares itself."""
    lines: list[str] = []
    for name in sorted(gateway.__all__):
        lines += describe(name, getattr(gateway, name))
    return lines


def describe(name: str, value: Any) -> Iterator[str]:
    if inspect.isclass(value):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"class {name}({bases})"
        for member in sorted(members(value)):
            yield f"    {member}"
    elif inspect.isroutine(value):
        yield f"def {name}{signature(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def members(owner: type) -> Iterator[str]:
    if issubclass(owner, Enum):
        yield from owner.__members__
    for field, annotation in inspect.get_annotations(owner).items():
        if not field.startswith("_"):
            yield f"{field}: {AsWritten(annotation)!r}{default_of(owner, field)}"
    for name, value in vars(owner).items():
        if name.startswith("_") and name != "__init__":
            continue
        function = getattr(value, "__func__", value)
        if isinstance(value, property) and value.fget is not None:
            yield f"{name} -> {AsWritten(inspect.signature(value.fget).return_annotation)!r}"
        elif inspect.isfunction(function) and is_written(owner, function):
            yield f"{name}{signature(function)}"


def default_of(owner: type, field: str) -> str:
    """` = value` where the field may be left out; a factory is only named as one."""
    found = {**getattr(owner, "__dataclass_fields__", {}), **getattr(owner, "model_fields", {})}.get(field)
    if found is None:
        return ""
    if callable(found.default_factory):
        return " = (made for each)"
    absent = (MISSING, PydanticUndefined)
    return "" if found.default in absent else f" = {AsWritten(written(found.default))!r}"


def is_written(owner: type, function: Any) -> bool:
    """Whether people wrote it in this class: the generated `__init__` of a dataclass repeats the fields."""
    return function.__module__ == owner.__module__ and not (
        function.__name__ == "__init__" and "__dataclass_fields__" in vars(owner)
    )


def signature(function: Any) -> str:
    found = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=parameter.empty if parameter.annotation is parameter.empty else AsWritten(parameter.annotation),
            default=parameter.empty if parameter.default is parameter.empty else AsWritten(written(parameter.default)),
        )
        for parameter in found.parameters.values()
    ]
    returns = found.return_annotation
    return str(
        found.replace(
            parameters=parameters,
            return_annotation=returns if returns is found.empty else AsWritten(returns),
        )
    )


def test_every_exported_name_exists() -> None:
    assert [name for name in exported() if not hasattr(gateway, name)] == []


def test_the_api_is_what_the_list_says() -> None:
    exported()

    assert API.exists(), f"tests/api.txt is missing; write it with `{REFRESH}`"
    assert API.read_text(encoding="utf-8").splitlines() == public_api(), f"was that meant? then `{REFRESH}`"


def test_everything_exported_says_what_it_is_for() -> None:
    values = {name: getattr(gateway, name) for name in exported()}

    assert [name for name, value in values.items() if needs_words(name, value) and not says_what_for(value)] == []


def needs_words(name: str, value: Any) -> bool:
    """A constant, and what a factory has made, is explained where it stands."""
    return inspect.isclass(value) or (inspect.isroutine(value) and value.__name__ == name)


def says_what_for(value: Any) -> bool:
    """Its own docstring; a class may leave the word to its public methods, as the verbs do."""
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    if own or not inspect.isclass(value):
        return bool(own)
    methods = [member for name, member in vars(value).items() if inspect.isfunction(member) and name[0] != "_"]
    return bool(methods) and all(method.__doc__ for method in methods)


def exported() -> list[str]:
    names = list(getattr(gateway, "__all__", ()))
    if not names and not API.exists():
        pytest.skip("gateway exports nothing yet, and no list of names is kept yet")
    assert names, "tests/api.txt lists an API, but gateway exports nothing"
    return names


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {REFRESH}")
    API.write_text("\n".join(public_api()) + "\n", encoding="utf-8")
