"""`lendgate webhooks …`: where platforms are told, what they were not told, and how they get it after all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from gateway.cli.api import API, api_options
from gateway.cli.group import table

__all__ = ["webhooks"]

PLACE = "/v1/webhook-endpoints"


@click.group()
def webhooks() -> None:
    """Look at notifications through the API of a running gateway."""


@webhooks.command("list")
@api_options
@click.option("--client", help="Only the endpoints of this client.")
def list_(api: API, client: str | None) -> None:
    """List the endpoints, with how many deliveries are dead."""
    found = _endpoints(api, client)
    if not found:
        click.echo("There are none.")
        return
    rows = [[one["id"], one["client"], _state(one), one["url"], _kinds(one), _count(api, one)] for one in found]
    table(["id", "client", "state", "url", "events", "dead"], rows)


@webhooks.command()
@click.argument("endpoint", required=False)
@api_options
def dead(api: API, endpoint: str | None) -> None:
    """List deliveries that were given up after the last try, of one ENDPOINT or of all."""
    ids = [endpoint] if endpoint else [one["id"] for one in _endpoints(api, None)]
    rows = [_row(id_, one) for id_ in ids for one in _dead(api, id_)]
    if not rows:
        click.echo("None is dead.")
        return
    table(["endpoint", "event", "type", "operation", "tries", "last answer", "since"], rows)


@webhooks.command()
@click.argument("endpoint")
@click.argument("event", required=False)
@click.option("--all-dead", is_flag=True, help="Everything that was given up, instead of one EVENT.")
@api_options
def redeliver(api: API, endpoint: str, event: str | None, all_dead: bool) -> None:
    """Deliver an EVENT to an ENDPOINT now. The act is on record under your key."""
    if (event is None) is not all_dead:
        raise click.UsageError("name an EVENT, or give --all-dead")
    # The whole list first: what is asked for leaves it.
    events = [event] if event else [one["event"] for one in [*_dead(api, endpoint)]]
    for one in events:
        api.post(f"{PLACE}/{endpoint}/deliveries/{one}/redeliver", {})
        click.echo(f"{one} is sent again.")
    if not events:
        click.echo("None is dead.")


def _endpoints(api: API, client: str | None) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = api.get(PLACE, {"client": client} if client else None)["endpoints"]
    return found


def _dead(api: API, endpoint: str) -> Iterator[Mapping[str, Any]]:
    cursor: dict[str, str] = {}
    while True:
        page = api.get(f"{PLACE}/{endpoint}/deliveries", {"state": "dead", "limit": "200", **cursor})
        yield from page["deliveries"]
        if "next_cursor" not in page:
            return
        cursor = {"cursor": str(page["next_cursor"])}


def _count(api: API, endpoint: Mapping[str, Any]) -> str:
    return str(sum(1 for _ in _dead(api, endpoint["id"])))


def _state(endpoint: Mapping[str, Any]) -> str:
    return "active" if endpoint["active"] else "gone (410)"


def _kinds(endpoint: Mapping[str, Any]) -> str:
    return ", ".join(endpoint["kinds"]) or "all"


def _row(endpoint: str, one: Mapping[str, Any]) -> list[str]:
    told = (one["event"], one["type"], one["operation"], str(one["attempts"]))
    return [endpoint, *told, one.get("last_detail", ""), one["updated_at"]]
