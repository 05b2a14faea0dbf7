"""Every key of a configuration as a table for people, made from the models, so that it cannot say anything else."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.service.config import (
    AuditSection,
    ClientSection,
    ConnectionSection,
    GatewaySection,
    PluginsSection,
    SandboxSection,
    StoreSection,
    VaultSection,
    WebhooksSection,
)

__all__ = ["SECTIONS", "Key", "as_markdown", "keys"]

SECTIONS: Mapping[str, type[BaseModel]] = {
    "gateway": GatewaySection,
    "clients.<name>": ClientSection,
    "connections.<name>": ConnectionSection,
    "plugins": PluginsSection,
    "audit": AuditSection,
    "store": StoreSection,
    "vault": VaultSection,
    "webhooks": WebhooksSection,
    "sandbox": SandboxSection,
}


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its name below the section, its type in words, its default (None: it must be given)."""

    name: str
    type: str
    default: str | None
    description: str


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[Key]:
    """The keys of a section, those of its tables included."""
    for name, field in model.model_fields.items():
        inner = _table(field.annotation)
        if inner is not None:
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield Key(f"{prefix}{name}", _type(field.annotation), _default(field), field.description or "")


def as_markdown() -> str:
    """The tables that stand in the operators' guide."""
    return "\n".join(line for section, model in SECTIONS.items() for line in _section(section, model))


def _section(section: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"### `[{section}]`"
    yield ""
    yield " ".join((model.__doc__ or "").split())
    yield ""
    yield "| key | type | default | what it says |"
    yield "|---|---|---|---|"
    for key in keys(model):
        table = key.name.rpartition(".")[0]
        default = key.default or (f"must be given with `{table}`" if table else "must be given")
        yield f"| `{key.name}` | {key.type} | {default} | {key.description} |"
    yield ""


def _table(annotation: Any) -> type[BaseModel] | None:
    candidates = [one for one in (annotation, *get_args(annotation)) if isinstance(one, type)]
    return next((one for one in candidates if issubclass(one, BaseModel)), None)


def _default(field: FieldInfo) -> str | None:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    if value is None or value in ({}, ()):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), [one for one in get_args(annotation) if one is not type(None)]
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return _type(arguments[0])
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"table of {_type(arguments[1])}" if arguments[1] is not Any else "table"
    if origin is Annotated:
        # Where several may stand, one may stand without brackets.
        inner, one_is_enough = arguments[0], any(isinstance(mark, BeforeValidator) for mark in arguments[1:])
        return f"{_type(get_args(inner)[0])}, or a list" if one_is_enough else _type(inner)
    names: dict[Any, str] = {
        str: "text",
        bool: "true or false",
        int: "number",
        float: "number",
        Path: "path",
        SecretStr: "reference",
    }
    return names[annotation]
