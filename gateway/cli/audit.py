"""`lendgate audit …`: proof, for somebody who trusts nobody, that the records are what was written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.cli import audit_erase, audit_read, audit_take
from gateway.cli.group import config_option

if TYPE_CHECKING:
    from gateway.audit.checkpoint import Checkpoint
    from gateway.audit.note import VerifierKey
    from gateway.audit.tlog_verify import LogReport
    from gateway.audit.verify import Report
    from gateway.service.config import Configuration

__all__ = ["audit"]

SHOWN = 20

existing_file = click.Path(path_type=Path, exists=True, dir_okay=False)
existing_folder = click.Path(path_type=Path, exists=True, file_okay=False)
since_option = click.option(
    "--since", type=existing_file, help="A checkpoint of this log that was kept outside (see `audit checkpoint`)."
)
witness_option = click.option(
    "--witness", "witnesses", multiple=True, help="The key of a witness that must have cosigned; may be repeated."
)
operation_option = click.option(
    "--operation", help="Verify also that this operation's records are whole: 1 to n, and nothing after."
)


@click.group()
def audit() -> None:
    """Prove what was asked, sent, answered and decided."""


for command in (*audit_read.COMMANDS, *audit_take.COMMANDS, *audit_erase.COMMANDS):
    audit.add_command(command)


@audit.command()
@config_option
@since_option
@operation_option
@click.pass_context
def verify(ctx: click.Context, config_path: Path, since: Path | None, operation: str | None) -> None:
    """Verify every record of the store, the transparency log, and that both say the same.

    Exit status 1 if anything is wrong. Reads only, also while a gateway runs on the same files.
    """
    from gateway.audit.checkpoint import CHECKPOINT
    from gateway.service.log import log_signer, log_witnesses
    from gateway.service.offline import left_out, verify_records
    from gateway.service.stores import place_of

    configuration = _configuration(config_path)
    passed = _tell(verify_records(configuration), place_of(configuration))
    if (configuration.log_directory / CHECKPOINT).exists():
        known, quorum = log_witnesses(configuration)
        log = _verified(configuration.log_directory, log_signer(configuration).key, since, known, quorum)
        difference = left_out(configuration, _checkpoint(log)) if log.size else None
        passed = _tell_log(log, configuration.log_directory) and difference is None and passed
        click.echo(difference or "The store's records are those that the log took.", err=difference is not None)
        passed = _tell_chain(configuration.log_directory, log, operation) and passed
    else:
        # Where several processes share a database, the log is on the machine of the one that publishes it.
        passed = passed and not configuration.audit.publish
        click.echo(f"MISSING: there is no log in {configuration.log_directory}", err=True)
    click.echo("Everything verifies." if passed else "FAULTS WERE FOUND: keep these files as evidence.", err=not passed)
    ctx.exit(0 if passed else 1)


@audit.command("verify-log")
@click.argument("directory", type=existing_folder)
@click.option("--key", required=True, help="The log's verifier key, `name+id+key`, as `audit checkpoint` tells it.")
@since_option
@witness_option
@operation_option
@click.pass_context
def verify_log(
    ctx: click.Context,
    directory: Path,
    key: str,
    since: Path | None,
    witnesses: tuple[str, ...],
    operation: str | None,
) -> None:
    """Verify a copy of a transparency log by its key alone: for an auditor, without configuration or database."""
    from gateway.audit.note import VerifierKey

    known = [VerifierKey.parse(witness) for witness in witnesses]
    log = _verified(directory, VerifierKey.parse(key), since, known, len(known))
    passed = _tell_log(log, directory)
    passed = _tell_chain(directory, log, operation) and passed
    ctx.exit(0 if passed else 1)


@audit.command()
@config_option
def checkpoint(config_path: Path) -> None:
    """Print the log's newest signed checkpoint: keep it where nobody who runs the gateway can change it.

    `audit verify --since FILE` proves later that the log still begins with everything that this one stands for.
    """
    from gateway.audit.checkpoint import CHECKPOINT
    from gateway.model.problems import ConfigurationError
    from gateway.service.log import log_signer

    configuration = _configuration(config_path)
    place = configuration.log_directory / CHECKPOINT
    if not place.exists():
        raise ConfigurationError(f"there is no log in {configuration.log_directory} yet; has the gateway run?")
    click.echo(f"verifier key: {log_signer(configuration).key}", err=True)
    click.echo(place.read_bytes(), nl=False)


@audit.command()
@config_option
def intents(config_path: Path) -> None:
    """List every request that was about to leave, and what was observed of it: a JSON object a line."""
    import json

    from gateway.service.offline import intents as read

    for intent in read(_configuration(config_path)):
        click.echo(json.dumps(intent, ensure_ascii=False))


def _configuration(config_path: Path) -> Configuration:
    from gateway.service.load import load

    return load(config_path)


def _verified(
    directory: Path, key: VerifierKey, since: Path | None, witnesses: Sequence[VerifierKey], quorum: int
) -> LogReport:
    from gateway.audit.directory import FileReader
    from gateway.audit.tlog_verify import verify_log

    saved = since.read_bytes() if since else None
    return verify_log(FileReader(directory), key, since=saved, witnesses=witnesses, quorum=quorum)


def _checkpoint(log: LogReport) -> Checkpoint:
    from gateway.audit.checkpoint import Checkpoint

    return Checkpoint(log.origin, log.size, log.root)


def _tell(report: Report, place: str) -> bool:
    """What was verified about the store, and whether nothing was found."""
    click.echo(
        f"{place}: {report.records} records in {report.chains} chains of {report.processes} processes: positions, "
        "hashes, canonical form, columns, numbering, links, counters, answered intents and sealed parts"
    )
    if report.unopened:
        click.echo(f"{report.unopened} sealed parts could not be opened: their key is not held (any more)")
    if report.unanswered:
        listed = ", ".join(report.unanswered[:SHOWN])
        click.echo(
            f"{len(report.unanswered)} requests have no recorded outcome (under way, or cut by a crash): {listed}"
        )
    for finding in report.findings[:SHOWN]:
        place = f"position {finding.position}" if finding.position is not None else f"chain {finding.chain}"
        click.echo(f"{finding.fault.value.upper()} at {place} (step {finding.step}): {finding.detail}", err=True)
    _tell_rest(report.faults)
    return report.passed


def _tell_log(report: LogReport, directory: Path) -> bool:
    """What was verified about the log, and whether nothing was found."""
    click.echo(
        f"{directory}: the log {report.origin}, {report.entries} of {report.size} entries: signature, entries, tiles "
        f"and root {report.root.hex()}"
    )
    for finding in report.findings[:SHOWN]:
        click.echo(str(finding), err=True)
    _tell_rest(report.faults)
    for remark in report.remarks:
        click.echo(remark)
    return report.passed


def _tell_chain(directory: Path, log: LogReport, operation: str | None) -> bool:
    """What was verified about one operation, and whether nothing was found; True if none was asked for."""
    if operation is None:
        return True
    from gateway.audit.completeness import examine_chain
    from gateway.audit.directory import FileReader, read_minimum
    from gateway.audit.reading import first_kept

    read = FileReader(directory)
    report = examine_chain(read, log.size, operation, first_kept(read_minimum(read)))
    for finding in report.findings:
        click.echo(str(finding), err=True)
    if report.passed:
        click.echo(
            f"{operation}: records 1 to {len(report.records)}, each linked to the one before, and none after, in the "
            f"entries {report.first} to {report.size - 1}"
        )
    if report.unanswered:
        click.echo(f"{operation}: without an outcome (under way, or cut by a crash): {', '.join(report.unanswered)}")
    return report.passed


def _tell_rest(faults: int) -> None:
    if faults > SHOWN:
        click.echo(f"… and {faults - SHOWN} more", err=True)
