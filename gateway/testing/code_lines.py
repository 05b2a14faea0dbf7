"""Where an adapter's table says what a code means: the file and the line, for whoever must change it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.adapters.adapter import Adapter
from gateway.model.states import Meaning

__all__ = ["mismatch", "place_of_code"]


def mismatch(
    adapter: type[Adapter[Any]], verb: str, code: str | None, expected: str, got: str, method: str | None = None
) -> str:
    """A state that is not the one expected: the code, both states, and the line of the table that decides."""
    if code is None:
        return f"{verb}: expected {expected}, got {got}; no code was read, see `code` in {_file(adapter)}"
    meaning = adapter.terms[verb].for_method(method).meaning(code).value
    return f"{verb}: expected {expected}, got {got}; {code!r} means {meaning} ({place_of_code(adapter, verb, code)})"


def place_of_code(adapter: type[Adapter[Any]], verb: str, code: str, method: str | None = None) -> str:
    """`file:line: text` of the entry for `code` that holds for `verb`; of the verb itself where no entry is written."""
    meaning = adapter.terms[verb].for_method(method).meaning(code)
    lines, start = inspect.getsourcelines(getattr(adapter, verb))
    entries = [entry for entry in _entries(adapter, code) if entry.meaning in (meaning.name, "")]
    if meaning is Meaning.UNDECLARED or not entries:
        return f"{_file(adapter)}:{start}: {verb}"
    beside = range(start, start + len(lines))
    own = [entry for entry in entries if entry.path.name == _file(adapter) and entry.line in beside]
    best = (own or entries)[0]
    return f"{best.path.name}:{best.line}: {best.text}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line of one table; `meaning` is the name that stands there, or nothing where it is computed."""

    path: Path
    line: int
    text: str
    meaning: str


def _entries(adapter: type[Adapter[Any]], code: str) -> Iterator[_Entry]:
    """In the adapter's own module first, then in those beside it, simulators apart."""
    own = Path(inspect.getfile(adapter))
    for path in [own, *sorted(other for other in own.parent.glob("*.py") if other != own)]:
        if path.name.startswith("simulator"):
            continue
        text = path.read_text(encoding="utf-8")
        rows = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            for key, value in zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else ():
                if isinstance(key, ast.Constant) and key.value == code:
                    yield _Entry(path, key.lineno, rows[key.lineno - 1].strip(), getattr(value, "id", ""))


def _file(adapter: type[Adapter[Any]]) -> str:
    return Path(inspect.getfile(adapter)).name
