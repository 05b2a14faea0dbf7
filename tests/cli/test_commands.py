"""Every command explains itself, and ends with a sentence instead of a traceback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import Result

from gateway.cli import main
from gateway.cli.reference import as_markdown
from tests.cli.conftest import Run
from tests.sources import ROOT

HEAVY = ("aiohttp", "rich", "apsw", "prometheus_client")


def every_command(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield words
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*words, name))
        else:
            yield (*words, name)


@pytest.mark.parametrize("words", [*every_command(main)], ids=" ".join)
def test_each_has_help_with_every_option_explained(words: tuple[str, ...], run: Run) -> None:
    result = run(*words, "--help")

    assert result.exit_code == 0
    command: click.Command = main
    for word in words:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert command.help
    unexplained = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert [name for name in unexplained if name != "mode"] == []


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys; from gateway.cli import main; print([m for m in {HEAVY!r} if m in sys.modules])"

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_the_guide_shows_the_help_of_every_command() -> None:
    guide = ROOT / "docs" / "operators" / "commands.md"

    assert guide.read_text(encoding="utf-8").endswith(as_markdown(main)), (
        f"put the output of `python -m gateway.cli.reference` behind `## Every command` in {guide.name}"
    )


def said(result: Result) -> str:
    return f"{result.output}{result.stderr}"


@pytest.mark.parametrize(
    "words",
    [
        ("serve",),
        ("check-config",),
        ("audit", "verify"),
        ("audit", "intents"),
        ("operations", "list"),
        ("operations", "show", "pay_1"),
    ],
    ids=" ".join,
)
def test_without_a_configuration_each_says_what_to_do(words: tuple[str, ...], run: Run) -> None:
    result = run(*words)

    assert result.exit_code == 2
    assert "lendgate.toml" in said(result)
    assert "--config" in said(result) or "--url" in said(result)
    assert "Traceback" not in said(result)
