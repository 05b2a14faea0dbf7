"""`lendgate quarantine …`: what the gateway does not trust its store about, and the operator's word that ends it."""

from __future__ import annotations

import click

from gateway.cli.api import API, api_options
from gateway.cli.group import table

__all__ = ["quarantine"]


@click.group()
def quarantine() -> None:
    """After a restore: see what is inquired and refused, and end it."""


@quarantine.command()
@api_options
def show(api: API) -> None:
    """Show which connections are in quarantine, and why."""
    found = api.get("/v1/quarantine")["connections"]
    if not found:
        click.echo("Nothing is in quarantine.")
        return
    rows = [
        [
            one["connection"],
            why["began_at"],
            why["cause"],
            why.get("lost_since", "nobody knows"),
            str(one["found"]),
            str(one["refused"]),
        ]
        for one in found
        for why in one["quarantines"]
    ]
    table(["connection", "since", "why", "lost since", "found", "refused"], rows)
    click.echo(
        "\nNew acts are inquired before they are sent. Compare what the partners did with what the platforms asked for;"
        "\nthen `lendgate quarantine clear --reason …`, for one connection with `--connection NAME`."
    )


@quarantine.command()
@click.option("--reason", required=True, help="Why it is safe to send again. It is kept for ever: name no customer.")
@click.option("--connection", help="End it for this connection only.")
@api_options
def clear(api: API, reason: str, connection: str | None) -> None:
    """End the quarantine. The act is on record under your key."""
    body = {"reason": reason, **({"connection": connection} if connection else {})}
    cleared = api.post("/v1/quarantine/clear", body)["cleared"]
    click.echo(f"Cleared on your word: {', '.join(cleared)}. New acts are sent without asking first.")
