"""`lendgate adapter check`: the conformance suite, told as a level and a list of what is to be done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gateway.testing.report import Report

__all__ = ["check"]

PAUSE_SECONDS = 0.3


@click.command()
@click.argument("name", required=False)
@click.option("--explain", metavar="ID", help="Say what one check holds an adapter to, and run nothing.")
@click.option(
    "--tests",
    type=click.Path(path_type=Path, exists=True),
    help="Where the suite is; by default the folder `tests` beside the plugin's package.",
)
@click.option("--watch", is_flag=True, help="Run again whenever a file of the plugin is saved, until Ctrl-C.")
@click.pass_context
def check(ctx: click.Context, name: str | None, explain: str | None, tests: Path | None, watch: bool) -> None:
    """Run the conformance suite of the adapter NAME and say which level it reaches.

    From draft (it loads) by bronze (right on good days) to silver (safe on bad days). Needs `lendgate[testing]` and the
    plugin's tests, which a source folder has. A TODO that is left keeps a plugin a draft. Exit status 1 if the last
    level is not reached.
    """
    from gateway.cli.adapter_plugin import folder_of, plugin_of, require_test_kit, tests_of

    require_test_kit("checking")
    if explain is not None:
        _explain(explain)
        return
    if name is None:
        raise click.UsageError("name an adapter (`lendgate adapter list`), or a check with --explain")
    plugin = plugin_of(name)
    place = tests or tests_of(plugin)
    if watch:
        _watch(name, place, [folder_of(plugin), place])
        return
    from gateway.testing.conformance.checks import LEVELS
    from gateway.testing.report import run_suite
    from gateway.testing.todos import todos

    report, left = run_suite(name, place), todos(folder_of(plugin))
    _say(report, left)
    if not report.cases:
        click.echo(report.output or "There is no test_conformance*.py there.", err=True)
    if left or report.level != list(LEVELS)[-1]:
        ctx.exit(1)


def _explain(id: str) -> None:
    from gateway.model.problems import ConfigurationError
    from gateway.testing.conformance.checks import CHECKS

    found = CHECKS.get(id.upper())
    if found is None:
        raise ConfigurationError(f"there is no check {id!r}; there are {', '.join(CHECKS)}")
    click.echo(f"{found.id} ({found.level})\n{found.sentence}\n")
    click.echo(f"why: {found.reason}\nsource: {found.source}\nwhen it is red: {found.remedy}")


def _say(report: Report, left: list[tuple[str, str]]) -> None:
    from gateway.testing.levels import Verdict

    counts = {verdict: [id for id, seen in report.verdicts.items() if seen is verdict] for verdict in Verdict}
    said = ", ".join(f"{len(ids)} {verdict.value}" for verdict, ids in counts.items() if ids)
    click.echo(f"{report.adapter}: {'draft' if left else report.level}")
    click.echo(f"{report.cases} cases in {report.seconds:.1f} s; checks: {said}")
    for id, reason in report.exemptions.items():
        click.echo(f"exempt {id}: {reason}")
    if counts[Verdict.NOT_APPLICABLE]:
        click.echo(f"not applicable: {', '.join(counts[Verdict.NOT_APPLICABLE])}")
    for red in report.reds:
        click.echo(f"red {red.check} {red.case}: {red.what}")
    for id in counts[Verdict.NOT_RUN]:
        click.echo(f"not run {id}")
    for place, text in left:
        click.echo(f"todo {place} {text}")
    if left:
        click.echo(f"Without its {len(left)} TODOs it would be {report.level}.")


# Watching


def _watch(name: str, tests: Path, places: Iterable[Path]) -> None:
    """Each run is a process of its own, so that it sees the files as they are now."""
    import subprocess

    command = [sys.executable, "-m", "gateway.cli", "adapter", "check", name, "--tests", str(tests)]
    try:
        for _ in saves(list(places), _wait):
            click.clear()
            subprocess.run(command, check=False)
            click.echo("\nSave a file to run it again; Ctrl-C ends.")
    except KeyboardInterrupt:
        click.echo("stopped")


def _wait() -> None:
    import time

    time.sleep(PAUSE_SECONDS)


def saves(places: list[Path], wait: Callable[[], None]) -> Iterable[int]:
    """Count up: once at the start, and each time that a Python file under `places` was saved, made or removed."""
    count, known = 0, _stamps(places)
    yield count
    while True:
        wait()
        now = _stamps(places)
        if now != known:
            count, known = count + 1, now
            yield count


def _stamps(places: list[Path]) -> dict[Path, tuple[int, int]]:
    found = {}
    for place in places:
        for path in [place] if place.is_file() else place.rglob("*.py"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue  # an editor is just replacing it
            found[path] = (stat.st_mtime_ns, stat.st_size)
    return found
