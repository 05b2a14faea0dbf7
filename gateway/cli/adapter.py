"""`lendgate adapter …`: for whoever writes an adapter, or wants to know what one does and how far it can be trusted."""

from __future__ import annotations

import click

from gateway.cli.adapter_check import check
from gateway.cli.adapter_list import describe, list_
from gateway.cli.adapter_new import new
from gateway.cli.adapter_try import try_

__all__ = ["adapter"]


@click.group()
def adapter() -> None:
    """Write, try, see and check adapters."""


for command in (new, try_, check, list_, describe):
    adapter.add_command(command)
