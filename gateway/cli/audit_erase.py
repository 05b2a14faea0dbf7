"""`lendgate audit erase | hold | release`: a person's data is made unreadable for ever, or kept from being made so."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from gateway.cli.api import API, api_options

__all__ = ["COMMANDS"]


def _about(command: Callable[..., Any]) -> Callable[..., Any]:
    """SUBJECT, `--client` and `--reason`, handed over as one `about`, and the API."""

    @functools.wraps(command)
    def with_about(subject: str, client: str, reason: str, **options: Any) -> Any:
        return command(about={"client": client, "subject": subject, "reason": reason}, **options)

    wrapped: Callable[..., Any] = api_options(with_about)
    for option in (
        click.option("--reason", required=True, help="Why. It is kept for ever: name no customer in it."),
        click.option("--client", required=True, help="The platform that knows the person by this id."),
        click.argument("subject"),
    ):
        wrapped = option(wrapped)
    return wrapped


@click.command()
@_about
def erase(api: API, about: dict[str, str]) -> None:
    """Make everything about a person unreadable, for ever. Needs an operator's key.

    SUBJECT is the platform's id for the person, or the id of an operation that names no person. States and amounts
    stay, and the log still verifies. Copies of the key store in backups have to be destroyed by you.
    """
    done = api.post("/v1/audit/erasures", about)
    click.echo(f"{done['operations']} operations can be read by nobody any more; {done['keys']} keys were destroyed.")
    if done["left"]:
        click.echo(f"{done['left']} values were written before there were keys and can still be read.", err=True)
    click.echo(f"On record as {done['record']}. Destroy backups of the key store that are older than this.")


@click.command()
@_about
def hold(api: API, about: dict[str, str]) -> None:
    """Put a person under legal hold: nothing about them is erased until it is released. Needs an operator's key."""
    click.echo(f"Held. On record as {api.post('/v1/audit/holds', about)['record']}.")


@click.command()
@_about
def release(api: API, about: dict[str, str]) -> None:
    """End a legal hold. Needs an operator's key."""
    click.echo(f"Released. On record as {api.post('/v1/audit/holds/release', about)['record']}.")


COMMANDS = (erase, hold, release)
