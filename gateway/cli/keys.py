"""`lendgate keys …`: API keys for clients, and what a development machine needs."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["keys"]

NAMES = "a name has up to 40 lower-case letters, digits, _ and -, and begins with a letter"


@click.group()
def keys() -> None:
    """Make keys."""


@keys.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("certs/dev"),
    show_default=True,
    help="Where they go.",
)
def dev(directory: Path) -> None:
    """Make what a gateway on this machine needs: a secret, API keys, a certificate authority.

    What is there already stays. Production refuses all of it. The keys of simulated partners are made by
    `lendgate sandbox`.
    """
    from gateway.cli.development import CLIENTS, development_keys, server_certificate

    made = development_keys(directory)
    certificate, authority = server_certificate(directory)
    click.echo(f"installation secret  {directory / 'installation-secret'}")
    for name in CLIENTS:
        click.echo(f"API key, {name:<11} {directory / 'clients' / name}{_shown(made.get(name))}")
    click.echo(f"server certificate   {certificate} (leads to {authority})")
    click.echo("Nothing of this may be committed or used in production.")


@keys.command("new-client")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["platform", "operator", "auditor"]),
    required=True,
    help="platform moves money, operator settles doubt, auditor reads the log.",
)
@click.option("--mode", type=click.Choice(["sandbox", "production"]), default="sandbox", show_default=True)
def new_client(name: str, role: str, mode: str) -> None:
    """Make an API key for the client NAME and print it, once.

    The configuration gets its SHA-256 only; the key itself goes to the client.
    """
    import hashlib
    import re

    from gateway.cli.development import new_api_key

    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise click.BadParameter(NAMES, param_hint="NAME")
    key = new_api_key(mode)
    click.echo("The key, shown this once; give it to the client and keep no copy:", err=True)
    click.echo(key)
    click.echo("\nIn lendgate.toml:", err=True)
    click.echo(f'[clients.{name}]\nrole = "{role}"\nkey_sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"')


def _shown(key: str | None) -> str:
    return f"  {key}" if key else "  (was there before)"
