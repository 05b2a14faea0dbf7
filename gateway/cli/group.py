"""How commands end when something is wrong: a sentence that says what to do, an exit status, and no traceback.

Exit statuses: 0 done; 1 something was found wrong, or it failed; 2 the command line or the configuration is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

__all__ = ["Commands", "config_option", "table"]


class Commands(click.Group):
    """A group whose commands may raise `GatewayError`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        from gateway.model.problems import ConfigurationError, GatewayError

        try:
            return super().invoke(ctx)
        except ConfigurationError as wrong:
            click.echo(str(wrong), err=True)
            ctx.exit(2)
        except GatewayError as wrong:
            click.echo(str(wrong), err=True)
            ctx.exit(1)
        except OSError as wrong:
            if wrong.filename is None:
                raise
            click.echo(f"{wrong.filename}: {(wrong.strerror or type(wrong).__name__).lower()}", err=True)
            ctx.exit(1)


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--config`, the same for every command that reads one."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=Path("lendgate.toml"),
        show_default=True,
        envvar="LENDGATE_CONFIG",
        show_envvar=True,
        help="The configuration.",
    )(command)


def table(columns: list[str], rows: list[list[str]]) -> None:
    """Print a table: drawn on a terminal, plain and uncut where another program reads."""
    if not sys.stdout.isatty():
        _plain([columns, *rows])
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(drawn)


def _plain(lines: list[list[str]]) -> None:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
