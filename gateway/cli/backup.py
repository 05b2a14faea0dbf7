"""`lendgate backup DEST`: a copy of the store that can be put back, also while the gateway runs."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.group import config_option

__all__ = ["backup"]


@click.command()
@click.argument("dest", type=click.Path(path_type=Path))
@config_option
def backup(dest: Path, config_path: Path) -> None:
    """Back the store up into the new folder DEST, also while the gateway runs, and verify the copy.

    Neither the installation secret nor any private key is in it: keep those in a safe of their own. Without the
    installation secret nobody can read what is sealed in a backup.
    """
    from gateway.model.clock import SystemClock
    from gateway.service.backup import back_up
    from gateway.service.load import load

    made = back_up(load(config_path), dest, SystemClock().now())
    click.echo(f"{dest} holds the store up to record {made.number}, verified. Keep a copy on another machine.")
