"""Reads a configuration and says everything that is wrong with it at once, each with its line and its field.

In this order
  1. the text is TOML
  2. references are resolved
  3. sections and fields are what the models say
  4. secrets stand behind references
  5. the parts fit together, and production is fit for production
Steps 2 to 5 gather their findings, as far as the parts before them allow.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError

from gateway.model.problems import ConfigurationError
from gateway.service import production
from gateway.service.config import Configuration
from gateway.service.places import Path, Places
from gateway.service.references import Resolved, resolve

__all__ = ["load", "parse"]


def load(path: FilePath, environment: Mapping[str, str] | None = None) -> Configuration:
    """The configuration in the file at `path`. Raises `ConfigurationError` with one finding a line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8, which TOML must be") from None
    except OSError as wrong:
        reason = (wrong.strerror or type(wrong).__name__).lower()
        raise ConfigurationError(
            f"{path} cannot be read ({reason}); name another file with --config, or make one for a sandbox with "
            "`lendgate sandbox`"
        ) from None
    return parse(text, path.parent, name=path.name, environment=environment)


def parse(
    text: str, folder: FilePath, *, name: str = "lendgate.toml", environment: Mapping[str, str] | None = None
) -> Configuration:
    """The configuration in `text`; references and paths are relative to `folder`. Raises `ConfigurationError`."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ConfigurationError(_syntax(name, str(wrong))) from None
    places = Places(name, text)
    resolved = resolve(values, folder, environment)
    findings = dict(resolved.problems)
    try:
        configuration = Configuration.model_validate(resolved.values)
    except ValidationError as wrong:
        for path, what in _wrong_fields(wrong, resolved):
            findings.setdefault(path, what)
    else:
        configuration._folder, configuration._places = folder, places
        configuration._origins = resolved.origins
        for path, what in (
            *_open_secrets(configuration),
            *_misfits(configuration),
            *production.refusals(configuration),
        ):
            findings.setdefault(path, what)
        if not findings:
            return configuration
    raise ConfigurationError("\n".join(_in_order(findings, places)))


def _in_order(findings: Mapping[Path, str], places: Places) -> list[str]:
    ordered = sorted(findings.items(), key=lambda finding: (places.line(finding[0]) or 0, str(finding[0])))
    return [places.say(path, what) for path, what in ordered]


def _syntax(name: str, message: str) -> str:
    """`tomllib` tells line and column in its message only."""
    found = re.fullmatch(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", message)
    if found is None or found["line"] is None:
        return f"{name}: the file is no TOML: {message}"
    return f"{name}:{found['line']}: the file is no TOML: {found['what']} (column {found['column']})"


# 3. Sections and fields


def _wrong_fields(wrong: ValidationError, resolved: Resolved) -> Iterator[tuple[Path, str]]:
    errors = wrong.errors(include_url=False, include_input=False)
    for error in errors:
        path = _as_written(error["loc"], resolved.values)
        if error["type"] == "too_short" and any(other["loc"][:-1] == error["loc"] for other in errors):
            continue  # it is short of the items that are wrong
        if any(path[: len(unresolved)] == unresolved for unresolved in resolved.problems):
            continue  # its reference led nowhere, and that is said already
        if path[-1] == "[key]":
            path = path[:-1]
        if error["type"] == "missing":
            yield path, "is missing; add it"
        elif error["type"] == "extra_forbidden":
            yield path, f"there is no such key{_instead(path)}"
        else:
            yield path, error["msg"].removeprefix("Value error, ")


def _as_written(location: Path, values: Mapping[str, Any]) -> Path:
    """Without the number that a single value got where several may stand."""
    if location and isinstance(location[-1], int):
        here: Any = values
        for step in location[:-1]:
            here = here[step]
        if isinstance(here, str):
            return location[:-1]
    return location


def _instead(path: Path) -> str:
    """What was probably meant, or what there is."""
    model = _model_at(path[:-1])
    names = sorted(model.model_fields) if model else []
    close = difflib.get_close_matches(str(path[-1]), names, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; there are {', '.join(names)}" if names else ""


def _model_at(path: Path) -> type[BaseModel] | None:
    here: Any = Configuration
    for step in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(step))
            here = field.annotation if field else None
        else:  # a dictionary by name
            here = getattr(here, "__args__", (None,))[-1]
        if type(None) in getattr(here, "__args__", ()):
            here = here.__args__[0]
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


# 4. Secrets


def _open_secrets(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    for path in _secrets(configuration, ()):
        if path not in configuration.origins and path[:-1] not in configuration.origins:
            yield path, "a secret must not stand in this file; write `env:NAME` or `file:path` instead"


def _secrets(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, SecretStr):
        yield path
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), (*path, name))
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, (*path, name))
    elif isinstance(value, tuple):
        for index, inner in enumerate(value):
            yield from _secrets(inner, (*path, index))


# 5. The parts together


def _misfits(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    owners: dict[str, str] = {}
    for name, client in configuration.clients.items():
        for hash in client.hashes():
            if hash in owners:
                yield ("clients", name), f"has the same key as {owners[hash]}; every client needs a key of its own"
            owners.setdefault(hash, name)
    prefix = f"lg_{configuration.gateway.mode}_"
    for name, client in configuration.clients.items():
        if not all(key.get_secret_value().startswith(prefix) for key in client.key or ()):
            mode = f" --mode {configuration.gateway.mode}"
            what = f"API keys begin with {prefix} here; make one with `lendgate keys new-client{mode}`"
            yield ("clients", name, "key"), what
