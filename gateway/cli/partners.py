"""`lendgate partners`: what is installed, and why something of it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from gateway.cli.group import table

__all__ = ["partners", "show_installed"]


@click.command()
@click.option("--verbs", is_flag=True, help="List what each adapter does.")
@click.pass_context
def partners(ctx: click.Context, verbs: bool) -> None:
    """List the installed plugins and their adapters.

    Imports every plugin that is installed, also those that no configuration allows. Exit status 1 if one is broken.
    """

    def says(adapter: Any) -> tuple[str, str]:
        protocol = " ".join(part for part in (adapter.title or adapter.name, adapter.version) if part)
        return protocol, ", ".join(adapter.terms) if verbs else f"works, {len(adapter.terms)} verbs"

    show_installed(ctx, ["partner", "package", "protocol", "verbs" if verbs else "state"], says)


def show_installed(ctx: click.Context, columns: list[str], says: Callable[[Any], tuple[str, str]]) -> None:
    """One row for each installed adapter, `says` fills the last two columns. Exit status 1 if a plugin is broken."""
    from gateway.adapters.registry import discover

    found = sorted(discover().plugins.values(), key=lambda plugin: plugin.name)
    if not found:
        click.echo("No plugin is installed. From a source folder: pip install -e plugins/<partner>")
        return
    rows = []
    for plugin in found:
        package = f"{plugin.distribution} {plugin.version}"
        if plugin.broken:
            rows.append([plugin.name, package, "", f"broken: {plugin.broken}"])
        rows += [[adapter.name, package, *says(adapter)] for adapter in plugin.adapters.values()]
    table(columns, rows)
    if any(plugin.broken for plugin in found):
        ctx.exit(1)
