"""The Python sources of this repository as the tests of the house read them.

Rules of this module
- It parses; it runs nothing of what it reads.
- Imports count wherever they stand: in functions and under TYPE_CHECKING too.
- Templates are left out: they become sources only when a command has filled them in.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Source:
    """One Python file: its place in the repository, its dotted name and its text."""

    place: str
    module: str
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.place)

    @property
    def length(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def imports(self) -> tuple[tuple[int, str], ...]:
        """Line and dotted name of each module that is imported, relative imports resolved."""
        found: list[tuple[int, str]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = self._base(node)
                for alias in node.names:
                    name = f"{base}.{alias.name}"
                    found.append((node.lineno, name if name in known_modules() else base))
        return tuple(found)

    def _base(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self.place.endswith("__init__.py")
        parts = self.module.split(".")
        parent = parts[: len(parts) - node.level + is_package]
        return ".".join([*parent, node.module] if node.module else parent)

    def complain(self, what: str, line: int = 1) -> str:
        return f"{self.place}:{line}: {what}"


def read(path: Path) -> Source:
    place = path.relative_to(ROOT)
    # A plugin's package, and its tests, are named from the plugin's own folder on.
    parts = place.with_suffix("").parts[2:] if place.parts[0] == "plugins" else place.with_suffix("").parts
    module = ".".join(parts).removesuffix(".__init__")
    return Source(place.as_posix(), module, path.read_text(encoding="utf-8"))


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(read(path) for path in paths if "templates" not in path.parts)


@cache
def known_modules() -> frozenset[str]:
    return frozenset(source.module for source in sources("gateway", "plugins"))


def core() -> tuple[Source, ...]:
    return sources("gateway")


def plugin_code() -> tuple[Source, ...]:
    return tuple(source for source in sources("plugins") if source.module.startswith("lendgate_"))


def every_source() -> tuple[Source, ...]:
    return (*sources("gateway", "plugins", "tests", "bench", "examples"), read(ROOT / "run.py"))


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


Rule = Callable[[Iterable[Source]], Iterator[str]]


def judge(rule: Rule, files: Iterable[Source]) -> None:
    """Fail with one complaint a line, each with its place."""
    complaints = list(rule(files))
    assert not complaints, "\n" + "\n".join(complaints)
