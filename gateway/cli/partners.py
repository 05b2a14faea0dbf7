"""`lendgate partners`: what is installed, and why something of it cannot be used."""

from __future__ import annotations

import click

from gateway.cli.group import table

__all__ = ["partners"]


@click.command()
@click.option("--verbs", is_flag=True, help="List what each adapter does.")
@click.pass_context
def partners(ctx: click.Context, verbs: bool) -> None:
    """List the installed plugins and their adapters.

    Imports every plugin that is installed, also those that no configuration allows. Exit status 1 if one is broken.
    """
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
        for adapter in plugin.adapters.values():
            protocol = " ".join(part for part in (adapter.title or adapter.name, adapter.version) if part)
            does = ", ".join(adapter.terms) if verbs else f"works, {len(adapter.terms)} verbs"
            rows.append([adapter.name, package, protocol, does])
    table(["partner", "package", "protocol", "verbs" if verbs else "state"], rows)
    if any(plugin.broken for plugin in found):
        ctx.exit(1)
