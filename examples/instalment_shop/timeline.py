"""The demo's live timeline, and its list of promises that were kept or not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["Timeline"]

COLOURS = {
    "succeeded": "green",
    "processing": "cyan",
    "requires_action": "magenta",
    "unknown": "yellow",
    "failed": "red",
    "cancelled": "red",
    "returned": "red",
}


class Timeline:
    """Prints what happens as it happens."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.broken: list[str] = []
        self._began = time.monotonic()

    def heading(self, text: str) -> None:
        self.console.print()
        self.console.rule(Text(text, style="bold"), align="left")

    def say(self, who: str, what: str) -> None:
        """Something that a person or an institution does."""
        self._line(who, Text(what))

    def accident(self, what: str) -> None:
        self._line("accident", Text(what, style="yellow"))

    def operation(self, who: str, what: str, operation: dict[str, Any]) -> None:
        """An operation as it stands."""
        state = operation["state"]
        text = Text(f"{what}  ").append(state, style=f"bold {COLOURS.get(state, 'white')}")
        text.append(f"  {operation['id']}", style="dim")
        self._line(who, text)

    def promise(self, kept: bool, text: str) -> None:
        """A promise, and whether it was kept; one that was not makes the demo fail."""
        mark = Text("  kept  ", style="bold green") if kept else Text(" BROKEN ", style="bold white on red")
        self.console.print(mark, text, soft_wrap=True)
        if not kept:
            self.broken.append(text)

    def table(self, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console.print(table)

    def _line(self, who: str, what: Text) -> None:
        moment = Text(f"{time.monotonic() - self._began:6.2f} s  ", style="dim")
        self.console.print(moment.append(f"{who:<11} ", style="bold").append_text(what), soft_wrap=True)
