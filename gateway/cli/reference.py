"""The help of every command as one page, made from the commands, so that it cannot say anything else.

`python -m gateway.cli.reference` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

import click

__all__ = ["as_markdown"]

WIDTH = 100


def as_markdown(main: click.Group) -> str:
    """The page's generated part."""
    return "\n".join(f"### `{name}`\n\n```text\n{text}\n```\n" for name, text in _pages(main, "lendgate", None))


def _pages(command: click.Command, name: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent, max_content_width=WIDTH)
    context.terminal_width = WIDTH
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            yield from _pages(command.commands[inner], f"{name} {inner}", context)


if __name__ == "__main__":
    from gateway.cli import main

    click.echo(as_markdown(main), nl=False)
