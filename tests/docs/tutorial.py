"""Does what a page of the guide says: runs its commands and makes its changes, literally, in the order of the page."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CHANGE = re.compile(
    r"^In `([^`]+)`, replace( each)?\n\n```\w*\n(.*?)^```\n\nwith\n\n```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Command:
    """One command line, and lines whose beginnings must occur in what it prints, in order."""

    line: str
    prints: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A text that stands in a file (once, unless `every`) and what takes its place."""

    path: str
    every: bool
    before: str
    after: str


def steps(page: str) -> list[Command | Change]:
    """Every command and change of a page, in order."""
    found: list[tuple[int, Command | Change]] = []
    for block in CONSOLE.finditer(page):
        first, *rest = block[1].splitlines()
        found.append((block.start(), Command(first.removeprefix("$ "), tuple(line for line in rest if line))))
    for block in CHANGE.finditer(page):
        found.append((block.start(), Change(block[1], bool(block[2]), block[3][:-1], block[4][:-1])))
    return [step for _, step in sorted(found, key=lambda pair: pair[0])]


@dataclass
class Reader:
    """Somebody who follows the page in `folder`, with the programs of `environment`."""

    folder: Path
    environment: dict[str, str]
    status: int = 0  # of the last command

    def follow(self, page: str) -> list[str]:
        """Take every step; what the commands printed. Raises `AssertionError` where the page is wrong."""
        return [said for step in steps(page) if (said := self._take(step)) is not None]

    def _take(self, step: Command | Change) -> str | None:
        if isinstance(step, Change):
            path = self.folder / step.path
            text = path.read_text(encoding="utf-8")
            assert text.count(step.before) == 1 or (step.every and step.before in text), f"{step.path}: {step.before}"
            path.write_text(text.replace(step.before, step.after), encoding="utf-8")
            return None
        place = self.folder.parent / f"{self.folder.name}.place"
        result = subprocess.run(
            ["bash", "-c", f"trap 'pwd > {place}' EXIT\n{step.line}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        self.folder, self.status = Path(place.read_text().strip()), result.returncode
        self._expect(step, result.stdout)
        return result.stdout

    @staticmethod
    def _expect(step: Command, printed: str) -> None:
        lines = iter(printed.splitlines())
        for wanted in step.prints:
            assert any(line.startswith(wanted) for line in lines), f"{step.line}: {wanted!r} is not in\n{printed}"


def environment_of(programs: Path) -> dict[str, str]:
    """The environment of somebody who has activated the virtual environment whose `bin` is `programs`."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(programs.parent)}
