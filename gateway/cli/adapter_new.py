"""`lendgate adapter new`: writes a whole plugin distribution, which works before its author has changed a line."""

from __future__ import annotations

import re
from pathlib import Path

import click

__all__ = ["new"]

NAME = re.compile(r"[a-z][a-z0-9_]{1,19}\Z")


@click.command()
@click.argument("name")
@click.option(
    "--capabilities",
    default="payments",
    show_default=True,
    help="What the partner does, by commas: payments, transfers, credit, insurance, accounts.",
)
@click.option(
    "--scheme",
    type=click.Choice(["hmac", "rsa", "jws", "own"]),
    default="hmac",
    show_default=True,
    help="How the partner signs: HMAC over the body, RSA over sorted parameters, a detached JWS, or in its own way.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the distribution goes; by default the folder lendgate-NAME here.",
)
def new(name: str, capabilities: str, scheme: str, directory: Path | None) -> None:
    """Write a plugin for the partner NAME.

    An adapter, its messages, a simulated partner, tests, a README and a workflow. It installs and passes its tests as
    it is; what is yours to say is marked TODO, with the page of the guide that tells how.
    """
    from gateway.cli.adapter_template import Wanted, distribution

    wanted = Wanted(_named(name), _chosen(capabilities), scheme)
    folder = directory or Path(f"lendgate-{name.replace('_', '-')}")
    _require_empty(folder)
    made = distribution(wanted)
    for path, text in made.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
        click.echo(f"{place} ({len(text.splitlines())} lines)")
    todos = sum(text.count("TODO") for text in made.values())
    click.echo(f"\n{todos} places are marked TODO. It works as it is; next:")
    click.echo(f"  cd {folder} && pip install --no-build-isolation -e . && lendgate adapter check {name}")


def _named(name: str) -> str:
    if not NAME.match(name):
        raise click.BadParameter(
            f"{name!r} is no name of a partner: small letters, digits and underscores, such as river_bank",
            param_hint="NAME",
        )
    return name


def _chosen(capabilities: str) -> tuple[str, ...]:
    from gateway.cli.adapter_template import CAPABILITIES

    chosen = [word.strip() for word in capabilities.split(",") if word.strip()]
    strangers = [word for word in chosen if word not in CAPABILITIES]
    if strangers or not chosen:
        raise click.BadParameter(
            f"there is no {', '.join(strangers) or 'capability named'}; there are {', '.join(CAPABILITIES)}",
            param_hint="--capabilities",
        )
    return tuple(word for word in CAPABILITIES if word in chosen)


def _require_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} exists and is not empty; name another place with --directory")
