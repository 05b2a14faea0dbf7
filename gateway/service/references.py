"""References in a configuration: `env:NAME` and `file:path` stand for a value that is kept elsewhere.

Rules
- A reference may stand wherever a string may; paths are relative to the configuration's own folder.
- Where a secret belongs, a reference must stand: the file itself then holds nothing that must be kept from a reader.
- Messages name the reference, never what was behind it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from gateway.service.places import Path

__all__ = ["Origin", "Resolved", "resolve"]

LARGEST_FILE_BYTES: Final = 1024 * 1024
"""Far more than any key, certificate bundle or secret has."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: `file` is set for `file:` references."""

    reference: str
    file: FilePath | None = None


@dataclass(slots=True)
class Resolved:
    """Values with every reference replaced; where they came from; and what could not be found."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, Origin] = field(default_factory=dict)
    problems: dict[Path, str] = field(default_factory=dict)


def resolve(values: Mapping[str, Any], folder: FilePath, environment: Mapping[str, str] | None = None) -> Resolved:
    """Replace every reference in `values`. What cannot be resolved is in `problems`, under its path."""
    resolved = Resolved()
    reader = _Reader(folder, os.environ if environment is None else environment, resolved)
    resolved.values = {name: reader.read(value, (name,)) for name, value in values.items()}
    return resolved


class _Reader:
    def __init__(self, folder: FilePath, environment: Mapping[str, str], resolved: Resolved) -> None:
        self._folder = folder
        self._environment = environment
        self._resolved = resolved

    def read(self, value: Any, path: Path) -> Any:
        """`value` with every reference replaced, at any depth."""
        if isinstance(value, Mapping):
            return {name: self.read(inner, (*path, name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.read(inner, (*path, index)) for index, inner in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(("env:", "file:")):
            return value
        try:
            if value.startswith("env:"):
                return self._variable(value, path)
            return self._file(value, path)
        except _Unresolved as wrong:
            self._resolved.problems[path] = str(wrong)
            return value

    def _variable(self, reference: str, path: Path) -> str:
        name = reference.removeprefix("env:")
        self._resolved.origins[path] = Origin(reference)
        value = self._environment.get(name)
        if value is None:
            raise _Unresolved(f"the environment variable {name} is not set; set it before the gateway starts")
        if not value.strip():
            raise _Unresolved(f"the environment variable {name} is empty; give it a value")
        return value

    def _file(self, reference: str, path: Path) -> str:
        place = self._folder / FilePath(reference.removeprefix("file:")).expanduser()
        self._resolved.origins[path] = Origin(reference, place)
        try:
            if place.stat().st_size > LARGEST_FILE_BYTES:
                raise _Unresolved(f"{place} has more than {LARGEST_FILE_BYTES} bytes; is it the right file?")
            text = place.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise _Unresolved(f"{place} is no text; write keys as PEM and secrets as base64 or hexadecimal") from None
        except OSError as wrong:
            reason = (wrong.strerror or type(wrong).__name__).lower()
            raise _Unresolved(f"{place} cannot be read ({reason}); paths are relative to {self._folder}") from None
        if not text.strip():
            raise _Unresolved(f"{place} is empty; write the value to it")
        # Editors and `echo` end a file with a newline that belongs to no secret.
        return text.removesuffix("\n").removesuffix("\r")


class _Unresolved(Exception):
    """A reference that leads nowhere."""
