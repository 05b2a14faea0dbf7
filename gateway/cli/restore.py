"""`lendgate restore SRC`: puts a backup back. The gateway then starts in quarantine."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.group import config_option

__all__ = ["restore"]


@click.command()
@click.argument("src", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--replace", is_flag=True, help="Also over a newer store, or another one; it is put aside.")
@config_option
def restore(src: Path, replace: bool, config_path: Path) -> None:
    """Put the backup in SRC back. The gateway must be stopped; it then starts in quarantine.

    In quarantine each new act is asked about at the partner before it is sent, because the lost store may have sent it
    already.
    """
    from gateway.model.clock import SystemClock
    from gateway.service.backup import restore as put_back
    from gateway.service.load import load

    for sentence in put_back(load(config_path), src, SystemClock().now(), replace=replace):
        click.echo(sentence)
    click.echo("Start the gateway: it is in quarantine until you have said `lendgate quarantine clear --reason …`.")
