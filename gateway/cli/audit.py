"""`lendgate audit …`: proof, for somebody who trusts nobody, that the records are what was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli.group import config_option

if TYPE_CHECKING:
    from gateway.audit.verify import Report

__all__ = ["audit"]

SHOWN = 20


@click.group()
def audit() -> None:
    """Verify the records of every request, answer, change and human act."""


database_option = click.option(
    "--database",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A database file, such as a copy: then no configuration is read, and sealed parts stay closed.",
)


@audit.command()
@config_option
@database_option
def intents(config_path: Path, database: Path | None) -> None:
    """List every request that was about to leave, and what was observed of it: a JSON object a line."""
    import json

    from gateway.service.offline import intents as read

    for intent in read(database or _opened(config_path)[0]):
        click.echo(json.dumps(intent, ensure_ascii=False))


@audit.command()
@config_option
@database_option
@click.pass_context
def verify(ctx: click.Context, config_path: Path, database: Path | None) -> None:
    """Verify every record against every other. Exit status 1 if anything is wrong.

    Reads only, also while a gateway runs on the same file.
    """
    from gateway.service.offline import verify_database

    secret: bytes | None = None
    if database is None:
        database, secret = _opened(config_path)
    report = verify_database(database, secret)
    _print(report, database, secret is not None)
    if not report.passed:
        ctx.exit(1)


def _opened(config_path: Path) -> tuple[Path, bytes]:
    """The database and the secret that a configuration names."""
    from gateway.service.load import load

    configuration = load(config_path)
    return configuration.database, configuration.gateway.secret()


def _print(report: Report, database: Path, with_keys: bool) -> None:
    click.echo(
        f"{database}: {report.records} records in {report.chains} chains of {report.processes} processes: "
        "positions, hashes, canonical form, columns, numbering, links, counters and answered intents"
        f"{', and the sealed parts' if with_keys else ' (sealed parts were not opened)'}"
    )
    if report.unopened:
        click.echo(f"{report.unopened} sealed parts could not be opened: their key is not held (any more)")
    if report.unanswered:
        listed = ", ".join(report.unanswered[:SHOWN])
        click.echo(
            f"{len(report.unanswered)} requests have no recorded outcome (in flight, or cut by a crash): {listed}"
        )
    for finding in report.findings[:SHOWN]:
        place = f"position {finding.position}" if finding.position is not None else f"chain {finding.chain}"
        click.echo(f"{finding.fault.value.upper()} at {place} (step {finding.step}): {finding.detail}", err=True)
    if report.faults > SHOWN:
        click.echo(f"… and {report.faults - SHOWN} more", err=True)
    if report.passed:
        click.echo("Nothing is wrong. Only a checkpoint kept outside shows whether the newest records were cut off.")
    else:
        click.echo(f"{report.faults} faults. Keep this file as evidence, and compare it with your backups.", err=True)
