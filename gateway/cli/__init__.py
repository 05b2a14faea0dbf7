"""The command `lendgate`: one file a command. What a command needs it imports when it runs, so that help is quick."""

from __future__ import annotations

import click

from gateway.cli.adapter import adapter
from gateway.cli.audit import audit
from gateway.cli.backup import backup
from gateway.cli.check_config import check_config
from gateway.cli.group import Commands
from gateway.cli.keys import keys
from gateway.cli.openapi import openapi
from gateway.cli.operations import operations
from gateway.cli.partners import partners
from gateway.cli.quarantine import quarantine
from gateway.cli.restore import restore
from gateway.cli.sandbox import sandbox
from gateway.cli.serve import serve
from gateway.cli.webhooks import webhooks

__all__ = ["main"]


@click.group(cls=Commands)
@click.version_option(package_name="lendgate", message="lendgate %(version)s")
def main() -> None:
    """One API in front of every institution that a lender depends on.

    \b
    To try it on this machine:
      lendgate sandbox     simulates every partner that is installed and writes lendgate.toml
      lendgate serve       in another terminal: the gateway itself
    """


for command in (
    *(serve, sandbox, check_config, keys, partners, adapter),
    *(operations, quarantine, backup, restore, webhooks, audit, openapi),
):
    main.add_command(command)
