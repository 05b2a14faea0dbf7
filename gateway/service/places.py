"""Where each key of a TOML text stands, so that an error can name the line.

`tomllib` keeps no positions. This scanner runs over text that `tomllib` has accepted already, so it reads only as much
of the grammar (TOML 1.0) as it needs to tell keys from values, and never judges.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

__all__ = ["Path", "Places", "dotted"]

Path = tuple[str | int, ...]
"""A key's way down: `("connections", "riverbank", "hosts", 0)`."""

SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
BARE_VALUE: Final = re.compile(r"[^,\]}\n#]*")
STRINGS: Final = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        r'"""(?:\\.|(?!""").)*"{3,5}',
        r"'''(?:(?!''').)*'{3,5}",
        r'"((?:\\.|[^"\\])*)"',
        r"'([^']*)'",
    )
)


def dotted(path: Sequence[str | int]) -> str:
    """`connections.riverbank.hosts[0]`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Places:
    """The lines of one file; `line` answers with the nearest key above where the key itself is missing."""

    def __init__(self, name: str = "configuration", text: str = "") -> None:
        self.name = name
        self.digest = hashlib.sha256(text.encode()).hexdigest()  # of the text, references unresolved
        self._lines = _Scanner(text).lines if text else {}

    def line(self, path: Path) -> int | None:
        """The line of the key, or of the table in which it is missing; None where the value came from no file."""
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return None

    def say(self, path: Path, what: str) -> str:
        """`lendgate.toml:12: connections.riverbank.hosts: what is wrong`."""
        line = self.line(path)
        place = f"{self.name}:{line}" if line is not None else self.name
        return f"{place}: {dotted(path)}: {what}" if path else f"{place}: {what}"


class _Scanner:
    """One pass over the text; `lines` maps each key's path to its line, counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._arrays: dict[Path, int] = {}  # arrays of tables: how many tables each has so far
        self.lines: dict[Path, int] = {}
        table: Path = ()
        self._skip_space()
        while self._at < len(text):
            if self._sees("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip_space()

    def _sees(self, token: str) -> bool:
        return self._text.startswith(token, self._at)

    def _skip(self, token: str) -> bool:
        found = self._sees(token)
        self._at += len(token) if found else 0
        return found

    def _skip_space(self) -> None:
        self._take(SPACE)

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _note(self, path: Path, at: int) -> None:
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], self._text.count("\n", 0, at) + 1)

    def _header(self) -> Path:
        at = self._at
        is_array = self._skip("[[") or not self._skip("[")
        path: Path = ()
        keys = self._key()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            if is_array and number == len(keys):
                self._arrays[path] = self._arrays.get(path, 0) + 1
            if path in self._arrays:
                path = (*path, self._arrays[path] - 1)
        self._skip("]]" if is_array else "]")
        self._note(path, at)
        return path

    def _pair(self, table: Path) -> None:
        at = self._at
        path = (*table, *self._key())
        self._note(path, at)
        self._skip_space()
        self._skip("=")
        self._value(path)

    def _key(self) -> list[str]:
        """The parts of a key, dotted or quoted."""
        keys: list[str] = []
        while True:
            self._skip_space()
            bare = self._take(BARE_KEY)
            keys.append(bare[0] if bare else self._string()[1] or "")
            self._skip_space()
            if not self._skip("."):
                return keys

    def _string(self) -> re.Match[str]:
        for pattern in STRINGS:
            found = self._take(pattern)
            if found is not None:
                return found
        raise AssertionError("the text was not accepted by tomllib")

    def _value(self, path: Path) -> None:
        self._skip_space()
        if self._sees('"') or self._sees("'"):
            self._string()
        elif self._skip("["):
            self._array(path)
        elif self._skip("{"):
            self._inline_table(path)
        else:
            self._take(BARE_VALUE)

    def _array(self, path: Path) -> None:
        self._skip_space()
        index = 0
        while not self._skip("]"):
            self._note((*path, index), self._at)
            self._value((*path, index))
            index += 1
            self._skip_space()
            self._skip(",")
            self._skip_space()

    def _inline_table(self, path: Path) -> None:
        self._skip_space()
        while not self._skip("}"):
            self._pair(path)
            self._skip_space()
            self._skip(",")
            self._skip_space()
