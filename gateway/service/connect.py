"""Makes a connection of its section: adapter, settings and keys; or says why it cannot work.

Rules
- Whatever is wrong with one connection stays with it: its name and the cause are kept, and the others go on.
- Nothing here opens a socket or a file, so that a configuration can be examined before a start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from gateway.adapters.adapter import Adapter, Settings
from gateway.adapters.registry import Registry, discover
from gateway.crypto.keys import KeyRing
from gateway.model.problems import ConfigurationError
from gateway.service.config import Configuration, ConnectionSection
from gateway.service.production import unpackaged
from gateway.service.watchdog import leave_out_blockers
from gateway.wire.transport import TLS

__all__ = ["Prepared", "examine", "prepare", "refuse_unpackaged"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A connection that can be opened."""

    name: str
    section: ConnectionSection
    adapter: Adapter[Any]
    keys: KeyRing
    tls: TLS


def examine(configuration: Configuration) -> Mapping[str, str]:
    """The connections that would not work, with the cause. Raises `ConfigurationError` where nothing would start."""
    registry = discover(configuration.allowed_plugins)
    leave_out_blockers(registry, configuration.blockers)
    refuse_unpackaged(configuration, registry)
    return prepare(configuration, registry)[1]


def prepare(configuration: Configuration, registry: Registry) -> tuple[dict[str, Prepared], dict[str, str]]:
    """The connections that work, by name, and why the others do not."""
    working: dict[str, Prepared] = {}
    broken: dict[str, str] = {}
    for name, section in configuration.connections.items():
        try:
            working[name] = _prepared(configuration, registry, name, section)
        except ConfigurationError as wrong:
            broken[name] = str(wrong)
    return working, broken


def refuse_unpackaged(configuration: Configuration, registry: Registry) -> None:
    """In production every plugin comes from a built package. Raises `ConfigurationError` naming those that do not."""
    if configuration.gateway.mode != "production":
        return
    working = [plugin for plugin in registry.plugins.values() if plugin.broken is None]
    refused = [why for why in map(unpackaged, working) if why is not None]
    if refused:
        raise ConfigurationError("\n".join(configuration.places.say(("plugins", "allow"), why) for why in refused))


def _prepared(configuration: Configuration, registry: Registry, name: str, section: ConnectionSection) -> Prepared:
    kind = registry.adapter(section.partner)
    place = configuration.places
    if kind is None:
        why = registry.broken(section.partner) or (
            f"no plugin that is allowed here has an adapter {section.partner!r}; see `lendgate partners`"
        )
        raise ConfigurationError(place.say(("connections", name, "partner"), why))
    settings = _settings(configuration, name, section, kind)
    try:
        adapter = kind(settings)
    except Exception as failure:
        # An adapter that cannot be made, whatever it raised, is its own connection's trouble.
        why = f"the adapter {section.partner} cannot be made with these settings ({type(failure).__name__}: {failure})"
        raise ConfigurationError(place.say(("connections", name, "settings"), why)) from failure
    here = place.say(("connections", name), "").removesuffix(": ")
    tls = section.tls
    way = TLS(tls.ca, tls.certificate, tls.key.get_secret_value() if tls.key else None)
    way.context(here)
    return Prepared(name, section, adapter, _keys(section, here), way)


def _settings(
    configuration: Configuration, name: str, section: ConnectionSection, kind: type[Adapter[Any]]
) -> Settings:
    try:
        return kind.settings_model.model_validate(section.settings)
    except ValidationError as wrong:
        errors = wrong.errors(include_url=False, include_input=False)
    said = []
    for error in errors:
        path = ("connections", name, "settings", *error["loc"])
        what = {"missing": "is missing; add it", "extra_forbidden": _known(kind.settings_model)}
        said.append(
            configuration.places.say(path, what.get(error["type"]) or error["msg"].removeprefix("Value error, "))
        )
    raise ConfigurationError("\n".join(said))


def _known(settings: type[Settings]) -> str:
    return f"there is no such setting; there are {', '.join(settings.model_fields) or 'none'}"


def _keys(section: ConnectionSection, place: str) -> KeyRing:
    own = section.signing_key
    return KeyRing.load(
        place,
        key_id=own.id if own else "",
        private_key=own.private.get_secret_value() if own else None,
        partner_keys=section.partner_keys,
        secrets={name: [one.get_secret_value().encode() for one in values] for name, values in section.secrets.items()},
        legacy=section.legacy,
    )
