"""What `mode = "production"` refuses: whatever belongs to a sandbox or to a developer's machine.

Rules
- Nothing here warns: each finding stops the start, and says what belongs there instead.
- Development keys are known by a file `DEVELOPMENT` in their folder or one above it, development certificates by their
  subject.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from pydantic import BaseModel, SecretStr

from gateway.adapters.registry import Plugin
from gateway.service.config import Configuration
from gateway.service.places import Path

__all__ = ["DEVELOPMENT_MARK", "refusals", "unpackaged"]

DEVELOPMENT_MARK: Final = "DEVELOPMENT"
"""The word in a development certificate's subject, and the name of the file that marks a folder of development keys."""

OTHERS_MAY_READ: Final = stat.S_IRWXO


def refusals(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    """What must not be in production, as (path, what is wrong); nothing in any other mode."""
    if configuration.gateway.mode != "production":
        return
    if not configuration.gateway.url().startswith("https://"):
        yield ("gateway", "public_url"), "must begin with https:// in production: partners and browsers come back to it"
    if configuration.sandbox.urls:
        yield ("sandbox",), "simulators have no place beside production; remove this section"
    for name, connection in configuration.connections.items():
        for index, host in enumerate(connection.hosts):
            if _is_this_machine(host):
                yield (
                    ("connections", name, "hosts", index),
                    f"{host} is this machine, so a sandbox; production calls the partner's own hosts",
                )
        for path, text in _texts(connection.model_dump(), ("connections", name)):
            if _is_development_certificate(text):
                yield path, "is a development certificate; production needs the partner's, or one that it accepts"
    if _is_development_certificate(configuration.webhooks.ca or ""):
        yield ("webhooks", "ca"), "is a development certificate; production needs that of the platforms' own authority"
    if configuration.gateway.database_url is not None:
        yield from _database(configuration.gateway.database_url.get_secret_value())
    yield from _files(configuration)


def _database(url: str) -> Iterator[tuple[Path, str]]:
    """Over a network the database must prove who it is: whoever stands in between would hold every payment."""
    parts = urlsplit(url)
    host, options = parts.hostname or "", parse_qs(parts.query)
    here = not host or host.startswith("/") or _is_this_machine(f"[{host}]" if ":" in host else host)
    if not here and options.get("sslmode") != ["verify-full"]:
        yield ("gateway", "database_url"), "must say sslmode=verify-full in production, since it goes over a network"


def _files(configuration: Configuration) -> Iterator[tuple[Path, str]]:
    for path, origin in configuration.origins.items():
        if origin.file is None:
            continue
        if any((folder / DEVELOPMENT_MARK).exists() for folder in origin.file.resolve().parents):
            yield path, f"{origin.file} stands in a folder of development keys; production needs keys of its own"
        elif _is_secret(configuration, path) and origin.file.stat().st_mode & OTHERS_MAY_READ:
            yield path, f"everybody on this machine may read {origin.file}; run `chmod 600` on it"


def _is_secret(configuration: Configuration, path: Path) -> bool:
    value: Any = configuration
    for step in path:
        value = getattr(value, str(step)) if isinstance(value, BaseModel) else value[step]
    return isinstance(value, SecretStr) or (isinstance(value, tuple) and isinstance(value[0], SecretStr))


def _is_this_machine(host: str) -> bool:
    name = host.rpartition("]")[0].strip("[") if host.startswith("[") else host.partition(":")[0]
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))


def _is_development_certificate(text: str) -> bool:
    if "-----BEGIN CERTIFICATE-----" not in text:
        return False
    try:
        certificates = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        return False  # whoever uses it says that it cannot be read
    return any(DEVELOPMENT_MARK in one.subject.rfc4514_string() for one in certificates)


def unpackaged(plugin: Plugin) -> str | None:
    """Why a plugin is not fit for production, if it is not: only what was built and installed is what was reviewed."""
    try:
        described = distribution(plugin.distribution).read_text("direct_url.json") if plugin.distribution else None
    except PackageNotFoundError:
        described = None
    if not plugin.distribution:
        return f"the plugin {plugin.name} comes from no installed package; build a wheel and install that"
    source = json.loads(described) if described else {}
    if source.get("dir_info", {}).get("editable"):
        return f"{plugin.distribution} is installed in editable form; build a wheel and install that"
    return None
