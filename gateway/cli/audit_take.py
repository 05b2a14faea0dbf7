"""`lendgate audit show | export | verify-bundle | check-receipt`: what is taken away, and how it is checked there."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.api import API, api_options
from gateway.cli.audit_source import LogSource, instant_option, log_options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMMANDS"]


@click.command()
@click.argument("operation")
@click.option("--bodies", is_flag=True, help="Show what was sent and received, too; needs --reason.")
@click.option("--reason", help="Why; it is recorded under your key and kept for ever.")
@api_options
def show(api: API, operation: str, bodies: bool, reason: str | None) -> None:
    """Show an operation's records in a sentence each, with an auditor's key also what was sent and received."""
    from gateway.audit.evidence_report import sentence

    asked = {"bodies": "true", "reason": reason or ""} if bodies else {}
    for one in api.get(f"/v1/audit/operations/{operation}", asked)["records"]:
        click.echo(f"{one['number']:>3}  {one['at']}  {one['kind']}: {sentence(one['record'])}")
        click.echo(f"     {one['id']}  leaf {one['hash']}")
        for line in _content(one):
            click.echo(f"     | {line}")


@click.command()
@click.option("--operation", help="The operation whose records are enclosed.")
@instant_option("--from", "Enclose the records from this moment on")
@instant_option("--to", "and before this one")
@click.option("--bodies", is_flag=True, help="Enclose what was sent and received.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="The zip; named by what is in it.")
@click.option("--reason", required=True, help="Why; it is recorded under your key and kept for ever.")
@api_options
def export(
    api: API,
    operation: str | None,
    begin: datetime | None,
    end: datetime | None,
    bodies: bool,
    output: Path | None,
    reason: str,
) -> None:
    """Take evidence away in one file that verifies itself offline. Needs an auditor's key."""
    moments = {"from": begin, "to": end}
    asked: dict[str, Any] = {name: at.replace(tzinfo=UTC).isoformat() for name, at in moments.items() if at is not None}
    if operation is not None:
        asked["operation"] = operation
    made = api.post("/v1/audit/evidence", {**asked, "bodies": bodies, "reason": reason})
    place = output or Path(made["name"])
    place.write_bytes(base64.b64decode(made["zip"]))
    click.echo(f"{place}: {made['records']} records; SHA-256 {made['sha256']}")
    click.echo(
        f"The export is on record as {made['record']}. Verify it: lendgate audit verify-bundle {place} --key KEY"
    )


@click.command("verify-bundle")
@click.argument("bundle", type=click.Path(path_type=Path, exists=True))
@click.option("--key", "keys", multiple=True, help="The log's verifier key, from outside the bundle.")
@click.option("--witness", "witnesses", multiple=True, help="The key of a witness that must have cosigned.")
@click.pass_context
def verify_bundle(ctx: click.Context, bundle: Path, keys: tuple[str, ...], witnesses: tuple[str, ...]) -> None:
    """Verify an evidence bundle, as the `verify.py` in it does: a zip, or the folder it was unpacked into."""
    from gateway.audit.bundle_verifier import main

    named = [*(("--key", key) for key in keys), *(("--witness", key) for key in witnesses)]
    ctx.exit(main([str(bundle), *(word for pair in named for word in pair)]))


@click.command("check-receipt")
@click.argument("receipt")
@log_options
@click.pass_context
def check_receipt(ctx: click.Context, log: LogSource, receipt: str) -> None:
    """Find the record that an answer's Audit-Receipt names, or prove that the log has left it out.

    RECEIPT is the header's value. The hash tiles are enough, so a platform can copy and check them itself. Exit status
    1 if the record is not there: keep the answer, its receipt and the checkpoint, they are the evidence.
    """
    from gateway.audit.receipts import Receipt, find_leaf

    given = Receipt.parse(receipt)
    log.say()
    index = find_leaf(log.read, log.checkpoint, given.leaf)
    if index is None:
        click.echo(f"NOT THERE: the log's {log.size} entries hold no record of the hash {given.leaf.hex()}", err=True)
        click.echo(
            "If the checkpoint was published more than a second after the answer, the record was left out or changed: "
            "keep the answer with its receipt, and this checkpoint.",
            err=True,
        )
    else:
        click.echo(f"{given.record or given.leaf.hex()} is entry {index} of {log.size}.")
    ctx.exit(1 if index is None else 0)


def _content(one: Mapping[str, Any]) -> list[str]:
    if "body_unavailable" in one:
        return [f"(its content is not here: {one['body_unavailable']})"]
    return str(one.get("body", "")).splitlines()


COMMANDS = (show, export, verify_bundle, check_receipt)
