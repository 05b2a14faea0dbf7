"""Partners: which institutions are behind this gateway, what each does, and on which terms."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from gateway.adapters.adapter import Adapter
from gateway.adapters.registry import Plugin
from gateway.api.auth import ALL
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.problems import refused, wrong_parameter
from gateway.api.query import NoQuery
from gateway.api.resources.operations import Word
from gateway.api.shapes import PartnerList, PartnerView, Requirements
from gateway.api.terms import body_of, terms_view
from gateway.model.schema import Model
from gateway.operations.connections import Connection
from gateway.service.gateway import Gateway

__all__ = ["ROUTES"]

TAG: Final = "Partners"


class Looking(Model):
    """What to add. `balance` asks the partner; `connection` says with which credentials, where there are several."""

    codes: Annotated[bool, Field(description="Also what each of the partner's codes means")] = False
    balance: Annotated[bool, Field(description="Also our own account at the partner, asked for now")] = False
    connection: Word | None = None


class Verb(Model):
    """Which verb, and for which method."""

    verb: Annotated[Word, Field(examples=["create_payment"])]
    method: Annotated[Word | None, Field(examples=["wallet_qr"])] = None


async def list_partners(call: Inbound[None, NoQuery]) -> Answer:
    """Every partner, also those whose plugin is broken, with the cause."""
    gateway = call.gateway
    partners = [
        view for plugin in gateway.registry.plugins.values() for view in _of_plugin(gateway, plugin, codes=False)
    ]
    attached = {connection["name"] for view in partners for connection in view["connections"]}
    strays = [_broken(name, why) for name, why in gateway.connections.broken.items() if name not in attached]
    return Answer({"partners": partners, **({"unattached": strays} if strays else {})})


async def read_partner(call: Inbound[None, Looking]) -> Answer:
    """One partner."""
    view = _partner(call.gateway, call.path["partner"], call.query.codes)
    if call.query.balance:
        connection = _connection(call.gateway, view["partner"], call.query.connection)
        balance = await call.gateway.reads.partner_balance(connection, call.client.name)
        shown = next(one for one in view["connections"] if one["name"] == connection.name)
        shown["balance"] = balance.model_dump(mode="json", exclude_none=True)
    return Answer(view)


async def read_requirements(call: Inbound[None, Verb]) -> Answer:
    """What a call must carry for one verb and method."""
    name, asked = call.path["partner"], call.query
    adapter = call.gateway.registry.adapter(name)
    if adapter is None:
        raise _no_partner(call.gateway, name)
    terms = adapter.terms.get(asked.verb)
    if terms is None:
        choice = ", ".join(sorted(adapter.terms))
        raise wrong_parameter("verb", f"must be one of {choice}")
    if asked.method is not None and terms.methods and asked.method not in terms.methods | set(terms.by_method):
        raise wrong_parameter("method", f"must be one of {', '.join(sorted(terms.methods))}")
    terms = terms.for_method(asked.method)
    body = body_of(asked.verb)
    shown = {
        "partner": name,
        "terms": terms_view(asked.verb, terms, codes=True),
        "body": _schema(body),
        "options": _schema(terms.options),
    }
    return Answer({member: value for member, value in shown.items() if value is not None})


def _schema(model: type[BaseModel] | None) -> dict[str, Any] | None:
    return None if model is None else model.model_json_schema()


def _partner(gateway: Gateway, name: str, codes: bool) -> dict[str, Any]:
    for plugin in gateway.registry.plugins.values():
        for view in _of_plugin(gateway, plugin, codes):
            if view["partner"] == name:
                return view
    raise _no_partner(gateway, name)


def _no_partner(gateway: Gateway, name: str) -> Exception:
    why = gateway.registry.broken(name)
    detail = f"the partner {name[:64]!r} cannot be used: {why}" if why else f"there is no partner {name[:64]!r}"
    return refused("unknown_partner", detail)


def _of_plugin(gateway: Gateway, plugin: Plugin, codes: bool) -> list[dict[str, Any]]:
    """One view for each adapter of the plugin; a broken one says why."""
    shown = {"distribution": plugin.distribution or None, "version": plugin.version or None}
    if plugin.broken is not None:
        broken: dict[str, Any] = {
            "partner": plugin.name,
            **shown,
            "broken": plugin.broken,
            "connections": [],
            "verbs": [],
        }
        return [_without_none(broken)]
    return [_view(gateway, name, adapter, shown, codes) for name, adapter in plugin.adapters.items()]


def _view(
    gateway: Gateway, name: str, adapter: type[Adapter[Any]], shown: dict[str, Any], codes: bool
) -> dict[str, Any]:
    held = gateway.quarantine.standing()
    view = {
        "partner": name,
        "title": adapter.title or None,
        "protocol": adapter.version or None,
        **shown,
        "connections": [
            *(_working(one, held) for one in gateway.connections if one.partner == name),
            *(_broken(one, why) for one, why in gateway.connections.broken.items() if one == name),
        ],
        "verbs": [terms_view(verb, terms, codes=codes) for verb, terms in sorted(adapter.terms.items())],
    }
    return _without_none(view)


def _working(connection: Connection, held: Container[str]) -> dict[str, Any]:
    said: Any = connection.channel.describe()["breaker"]
    breakers = {verb: breaker["state"] for verb, breaker in said.items()}
    quarantined = {"quarantine": True} if connection.name in held else {}
    return {"name": connection.name, "working": True, **quarantined, **({"breakers": breakers} if breakers else {})}


def _broken(name: str, why: str) -> dict[str, Any]:
    return {"name": name, "working": False, "broken": why}


def _without_none(view: dict[str, Any]) -> dict[str, Any]:
    return {member: value for member, value in view.items() if value is not None}


def _connection(gateway: Gateway, partner: str, name: str | None) -> Connection:
    """The connection to ask with: the one that was named, or the only one. Raises `Refused`."""
    here: list[Connection] = [one for one in gateway.connections if one.partner == partner]
    if name is not None:
        here = [one for one in here if one.name == name]
    if len(here) == 1:
        return here[0]
    if not here:
        raise wrong_parameter("connection", f"{partner} has no such working connection")
    raise wrong_parameter("connection", f"is needed: one of {', '.join(sorted(one.name for one in here))}")


ROUTES: Final = (
    Route("GET", "/v1/partners", "List partners and what they do", list_partners, TAG, {200: PartnerList}, ALL),
    Route(
        "GET",
        "/v1/partners/{partner}",
        "Read one partner",
        read_partner,
        TAG,
        {200: PartnerView},
        ALL,
        query=Looking,
        problems=("unknown_partner", "unsupported_verb", "partner_no_answer"),
    ),
    Route(
        "GET",
        "/v1/partners/{partner}/requirements",
        "What a call must carry",
        read_requirements,
        TAG,
        {200: Requirements},
        ALL,
        query=Verb,
        problems=("unknown_partner",),
    ),
)
