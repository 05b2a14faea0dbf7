"""`lendgate audit search | prove | sample | stats | calls-without-consent`: what a log says, by its files alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.audit_source import LogSource, instant_option, log_options
from gateway.cli.group import table

if TYPE_CHECKING:
    from gateway.audit.reading import Search
    from gateway.audit.statistics import Statistics

__all__ = ["COMMANDS"]

SHOWN = 20


@click.command()
@click.option("--operation", "chain", help="The operation's id.")
@click.option("--kind", help="intent, outcome, callback, change, refusal, act or system.")
@click.option("--client", help="The platform's name.")
@click.option("--partner", help="The institution's name.")
@click.option("--connection", help="The connection's name.")
@click.option("--verb", help="What was asked of the institution, such as create_payment.")
@click.option("--state", help="The state that an operation came to.")
@click.option("--reference", help="The platform's own reference; looked up in the store, so it needs --config.")
@instant_option("--from", "Not before this moment")
@instant_option("--to", "Before this moment")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="The most lines.")
@log_options
def search(log: LogSource, limit: int, reference: str | None, **asked: Any) -> None:
    """Find records: a JSON object a line, with the index in the log and the leaf as it was written.

    Reads every entry of the log. Nothing is verified here: `audit verify` does that.
    """
    from gateway.audit.reading import Search
    from gateway.audit.reading import search as find

    log.say()
    asked |= {name: _utc(asked[name]) for name in ("begin", "end")}
    shown = 0
    for wanted in _each(log, Search(**asked), reference):
        for one in find(log.read, log.size, wanted, log.first):
            if shown == limit:
                click.echo(f"There are more than {limit}: narrow the search, or raise --limit.", err=True)
                return
            click.echo(json.dumps({"index": one.index, "record": one.members}, ensure_ascii=False))
            shown += 1
    click.echo(f"{shown} records.", err=True)


@click.command()
@click.argument("record")
@click.option(
    "--leaf", "leaf_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the leaf's bytes too."
)
@log_options
def prove(log: LogSource, record: str, leaf_file: Path | None) -> None:
    """Print the proof that a record is in the log (C2SP tlog-proof), with the checkpoint that it leads to.

    Anybody verifies it offline from the leaf's bytes and the log's key, also with other tools.
    """
    from gateway.audit.proof import prove as proof_of
    from gateway.audit.proof import verify_proof
    from gateway.audit.reading import leaf_of
    from gateway.model.problems import NotFound

    found = leaf_of(log.read, log.size, record, log.first)
    if found is None:
        raise NotFound(f"the log has no record {record} among its {log.size} entries; a new one is there in a second")
    proof = proof_of(log.read, found.index)
    verify_proof(proof, found.leaf, log.key)
    if leaf_file is not None:
        leaf_file.write_bytes(found.leaf)
    click.echo(proof.format(), nl=False)
    click.echo(f"{record} is entry {found.index} of {log.size}; the proof verifies.", err=True)


@click.command()
@click.option("--seed", required=True, help="Any text; an auditor chooses it, best after the checkpoint was fixed.")
@click.option("--count", type=click.IntRange(1), default=25, show_default=True, help="How many.")
@click.option("--kind", help="Draw from the records of this kind only, such as intent.")
@log_options
def sample(log: LogSource, seed: str, count: int, kind: str | None) -> None:
    """Draw records by a rule that anybody can repeat, and prove each: a JSON object a line.

    The same log, checkpoint, seed and count give the same picks; docs/auditors states the rule.
    """
    from gateway.audit.proof import prove as proof_of
    from gateway.audit.proof import verify_proof
    from gateway.audit.reading import Search
    from gateway.audit.reading import search as find
    from gateway.audit.sample import pick

    log.say()
    population = [one.index for one in find(log.read, log.size, Search(kind=kind), log.first)]
    for place in pick(log.checkpoint, seed, count, len(population)):
        index = population[place]
        one = next(find(log.read, log.size, Search(), index))
        verify_proof(proof_of(log.read, index, log.note), one.leaf, log.key)
        click.echo(json.dumps({"index": index, "record": one.members}, ensure_ascii=False))
    click.echo(f"Drawn from {len(population)} records; each is proven to be in the log.", err=True)


@click.command()
@log_options
def stats(log: LogSource) -> None:
    """Count what the log holds: kinds, days, partners, what was observed, and whether each process is without a gap."""
    from gateway.audit.statistics import statistics

    log.say()
    _tell(statistics(log.read, log.size, log.first))


@click.command("calls-without-consent")
@log_options
@click.pass_context
def calls_without_consent(ctx: click.Context, log: LogSource) -> None:
    """List every call that asked about a person and names no consent or no purpose. It has to be empty.

    The log is verified first, so that an empty list is an answer about every entry. Exit status 1 if any is listed.
    """
    from gateway.audit.statistics import data_calls, without_consent
    from gateway.audit.tlog_verify import verify_log

    report = verify_log(log.read, log.key)
    for finding in report.findings[:SHOWN]:
        click.echo(str(finding), err=True)
    calls, lacking = 0, 0
    for call in data_calls(log.read, log.size, log.first):
        calls += 1
        why = without_consent(call)
        if why is not None:
            lacking += 1
            click.echo(f"entry {call.index}: {call.id}, {call.members['verb']} at {call.members['partner']}: it {why}")
    for remark in report.remarks:
        click.echo(remark, err=True)
    whole = "every entry verified" if report.passed else "FAULTS WERE FOUND: keep these files as evidence"
    click.echo(f"{calls} data calls in {log.size} entries, {lacking} without consent or purpose; {whole}.", err=True)
    ctx.exit(0 if report.passed and not lacking else 1)


def _each(log: LogSource, wanted: Search, reference: str | None) -> Iterable[Search]:
    """The search itself, or one for each operation that the store has under a reference."""
    from dataclasses import replace

    from gateway.model.problems import ConfigurationError

    if reference is None:
        return [wanted]
    if log.configuration is None:
        raise ConfigurationError("references are known to the store alone: use --config instead of --log")
    from gateway.service.stores import operations_under

    found = operations_under(log.configuration, reference)
    return [replace(wanted, chain=id) for id in found if wanted.chain in (None, id)]


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _tell(counted: Statistics) -> None:
    click.echo(f"from {counted.first_at} to {counted.last_at}; {counted.operations} operations")
    click.echo(f"{counted.unanswered} intents have no outcome (under way, or cut by a crash)")
    click.echo(f"{counted.data_calls} calls asked about a person; `audit calls-without-consent` judges them")
    for name in ("kinds", "states", "observed", "partners", "days"):
        counts = sorted(getattr(counted, name).items())
        click.echo()
        table([name, "records"], [[what, str(number)] for what, number in counts])
    click.echo()
    rows = [
        [name, run.first, run.last, str(run.records), str(run.missing), "stopped" if run.stopped else "no stop"]
        for name, run in counted.runs.items()
    ]
    table(["process", "first record", "last record", "records", "missing", "end"], rows)


COMMANDS = (search, prove, sample, stats, calls_without_consent)
