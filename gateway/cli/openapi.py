"""`lendgate openapi`: the description of the HTTP API, for code generators."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["openapi"]


@click.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file.")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The server that it names.")
def openapi(out: Path | None, url: str) -> None:
    """Print the OpenAPI 3.1 document of the HTTP API."""
    import json

    from gateway.api.openapi import document
    from gateway.api.routes import PAGES, ROUTES

    text = json.dumps(document(ROUTES, PAGES, url), ensure_ascii=False, indent=2) + "\n"
    if out is None:
        click.echo(text, nl=False)
        return
    out.write_text(text, encoding="utf-8")
    click.echo(f"written to {out}")
