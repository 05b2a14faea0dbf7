"""`lendgate check-config`: everything that is wrong with a configuration, before a start depends on it."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.group import config_option

__all__ = ["check_config"]


@click.command("check-config")
@config_option
@click.option("--fields", is_flag=True, help="Print every key that may be configured, as Markdown.")
@click.pass_context
def check_config(ctx: click.Context, config_path: Path, fields: bool) -> None:
    """Say everything that is wrong with a configuration.

    Opens no database and no socket. Exit status 1 if a connection would not work, 2 if the gateway would not start.
    """
    if fields:
        from gateway.service.fields import as_markdown

        click.echo(as_markdown(), nl=False)
        return
    from gateway.service.connect import examine
    from gateway.service.load import load
    from gateway.service.stores import place_of

    configuration = load(config_path)
    broken = examine(configuration)
    section = configuration.gateway
    click.echo(f"{config_path} is complete: {section.mode}, {place_of(configuration)}, {section.url()}")
    click.echo(f"clients: {', '.join(f'{n} ({c.role})' for n, c in configuration.clients.items()) or 'none'}")
    for name in configuration.connections:
        click.echo(f"connection {name}: {broken.get(name, 'works')}")
    if broken:
        click.echo("The gateway would start without the connections that do not work.", err=True)
        ctx.exit(1)
