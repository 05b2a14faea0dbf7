"""`lendgate adapter list` and `describe`: what is installed, and what it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from gateway.cli.partners import show_installed

__all__ = ["describe", "list_"]


@click.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every installed adapter, and why one cannot be used.

    Exit status 1 if one is broken.
    """
    show_installed(ctx, ["adapter", "package", "protocol", "does"], _does)


def _does(adapter: Any) -> tuple[str, str]:
    callbacks = ", callbacks" if hasattr(adapter, "acknowledge") else ""
    return adapter.version, f"{len(adapter.terms)} verbs{callbacks}"


@click.command()
@click.argument("name")
def describe(name: str) -> None:
    """Show the verbs of the adapter NAME: their terms, and what each of the partner's codes means."""
    from gateway.api.terms import terms_view
    from gateway.cli.adapter_plugin import plugin_of

    plugin = plugin_of(name)
    kind = plugin.adapters[name]
    click.echo(f"{kind.name}: {kind.title or kind.name} {kind.version} ({plugin.distribution} {plugin.version})")
    click.echo(f"settings: {', '.join(kind.settings_model.model_fields) or 'none'}")
    for verb, terms in kind.terms.items():
        click.echo(f"\n{verb}")
        _terms(terms_view(verb, terms, codes=True), "  ")


def _terms(view: Mapping[str, Any], indent: str) -> None:
    narrower, codes = view.get("by_method", {}), view.get("codes") or {}
    for member, value in view.items():
        if member in ("verb", "by_method", "codes") or value in ([], False, "none"):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else _flat(value)
        click.echo(f"{indent}{member}: {text}")
    width = max((len(code) for code in codes), default=0)
    for code, meaning in codes.items():
        click.echo(f"{indent}  {code.ljust(width)}  {meaning}")
    for method, inner in narrower.items():
        click.echo(f"{indent}by {method}")
        _terms(inner, indent + "  ")


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={inner}" for name, inner in value.items())
    return str(value)
