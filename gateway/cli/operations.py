"""`lendgate operations …`: what is in doubt, what became of this one, and a person's word where nobody else can say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.api import API, api_options
from gateway.cli.group import table

__all__ = ["operations"]


@click.group()
def operations() -> None:
    """Look at operations through the API of a running gateway."""


@operations.command("list")
@api_options
@click.option("--doubt", is_flag=True, help="Only those of which nobody knows yet whether they happened.")
@click.option("--attention", is_flag=True, help="Only those that wait for a person.")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, newest first.")
def list_(api: API, doubt: bool, attention: bool, limit: int) -> None:
    """List operations, newest first."""
    parameters = {"limit": str(limit)}
    if doubt:
        parameters["state"] = "unknown"
    if attention:
        parameters["attention"] = "true"
    found = api.get("/v1/operations", parameters)["operations"]
    if not found:
        click.echo("Nothing is in doubt." if doubt else "There are none.")
        return
    table(["id", "state", "amount", "connection", "reference", "next inquiry", "why"], [_row(one) for one in found])


@operations.command()
@click.argument("id")
@api_options
@click.option("--json", "as_json", is_flag=True, help="Print the API's own document.")
def show(api: API, id: str, as_json: bool) -> None:
    """Show one operation: what is known, what is being done, and what a person can do."""
    found = api.get(f"/v1/operations/{id}")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for name, value in found.items():
        click.echo(f"{name:<18} {_text(name, value)}")
    click.echo(f"\n{_advice(found)}")


@operations.command()
@click.argument("id")
@api_options
def timeline(api: API, id: str) -> None:
    """Show every record of one operation: what was asked, sent, answered and decided, with the hash of each."""
    records = api.get(f"/v1/operations/{id}/timeline")["records"]
    rows = [[str(one["number"]), one["at"], one["kind"], _what(one["record"]), one["hash"][:16]] for one in records]
    table(["no.", "at", "kind", "what", "hash"], rows)


@operations.command()
@click.argument("id")
@click.option("--as", "state", type=click.Choice(["succeeded", "failed"]), required=True, help="What became of it.")
@click.option("--reason", required=True, help="Why that is known. It is kept for ever: name no customer in it.")
@click.option("--evidence", required=True, help="Where the evidence lies, such as a line of the bank's statement.")
@api_options
def settle(api: API, id: str, state: str, reason: str, evidence: str) -> None:
    """Settle by hand what nobody can be asked about any more. The act is on record under your key."""
    found = api.post(f"/v1/operations/{id}/settle", {"state": state, "reason": reason, "evidence": evidence})
    click.echo(f"{found['id']} is {found['state']} now, on your word.")


def _what(record: Mapping[str, Any]) -> str:
    """What a record says, in a line."""
    names = ("verb", "attempt", "method", "url", "observed", "status", "code", "verdict", "before", "after", "source")
    parts = [f"{name} {record[name]}" for name in (*names, "what", "actor", "reason", "detail") if record.get(name)]
    return ", ".join(parts)


def _row(one: Mapping[str, Any]) -> list[str]:
    reason = one.get("reason") or {}
    marks = [str(mark.get("code")) for mark in one.get("attention", [])]
    why = "; ".join([*marks, *([str(reason.get("detail") or reason.get("code"))] if reason else [])])
    amount = _text("amount", one["amount"]) if one.get("amount") else ""
    cells = (one["id"], one["state"], amount, one["connection"], one["reference"], one.get("next_inquiry_at", ""), why)
    return [str(cell) for cell in cells]


def _text(name: str, value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() >= {"amount", "currency"}:
        return f"{value['amount']} {value['currency']}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _advice(found: Mapping[str, Any]) -> str:
    """What stands, in a sentence, and what to do."""
    if found["state"] == "unknown":
        asked = (
            f"the partner is asked again at {found['next_inquiry_at']}"
            if found.get("next_inquiry_at")
            else (f"nobody can be asked any more: `lendgate operations settle {found['id']} --as …`")
        )
        return f"It may or may not have happened; {asked}. Do not repeat it under another reference meanwhile."
    if found["state"] == "requires_action":
        return "It waits for a person; `next_action` says what they do."
    if found["state"] == "processing":
        return "It is under way."
    return "It has ended." if not found.get("attention") else "It has ended, and somebody should look at `attention`."
