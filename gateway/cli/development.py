"""What a development machine needs: keys that protect nothing, and a configuration for simulated partners.

Rules
- Everything lies in one folder, marked by a file `DEVELOPMENT` that production refuses.
- What was made before stays, so that a second start changes no key; files of keys are readable by their owner only.
- A configuration that somebody has written by hand is never overwritten.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.cli.toml_text import as_toml
from gateway.model.problems import ConfigurationError
from gateway.sandbox import DevelopmentCA, Onboarding
from gateway.service.production import DEVELOPMENT_MARK

__all__ = [
    "CLIENTS",
    "configuration_text",
    "development_keys",
    "new_api_key",
    "server_certificate",
    "write_configuration",
]

CLIENTS: Final = {"shop": "platform", "operator": "operator", "auditor": "auditor"}
"""A client of each role."""

FIRST_LINE: Final = "# Made by `lendgate sandbox`, which may overwrite it as long as this line stands here."


def new_api_key(mode: str) -> str:
    """`lg_sandbox_…` with 256 bits of chance."""
    return f"lg_{mode}_{secrets.token_urlsafe(32)}"


def development_keys(directory: Path) -> dict[str, str]:
    """Make the installation secret and the API keys, unless they are there. Gives the API keys made, by client."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / DEVELOPMENT_MARK).write_text("Keys for development; production refuses what stands in this folder.\n")
    _keep(directory / "installation-secret", secrets.token_hex(32))
    made: dict[str, str] = {}
    for name in CLIENTS:
        key = new_api_key("sandbox")
        if _keep(directory / "clients" / name, key):
            made[name] = key
    return made


def server_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for localhost and the authority that it leads to, for a proxy in front of the gateway."""
    authority = DevelopmentCA(directory, "gateway")
    certificate = directory / "gateway.pem"
    authority.issue(certificate, "lendgate on this machine")
    return certificate, authority.certificate_path


def configuration_text(
    directory: Path, simulated: Mapping[str, tuple[str, Onboarding]], folder: Path, port: int
) -> str:
    """A whole configuration, to be kept in `folder`, with a connection for every partner, named as the partner.

    `simulated` gives the address and the onboarding of each partner; the gateway itself will listen on `port`.
    """
    directory, folder = directory.resolve(), folder.resolve()
    clients = {name: {"role": role, "key": f"file:{directory / 'clients' / name}"} for name, role in CLIENTS.items()}
    values: dict[str, Any] = {
        "gateway": {
            "mode": "sandbox",
            "host": "127.0.0.1",
            "port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "database": "lendgate.db",
            "installation_secret": f"file:{directory / 'installation-secret'}",
        },
        "clients": clients,
        "sandbox": {"urls": {name: url for name, (url, _) in simulated.items()}},
        "connections": {name: _connection(name, onboarding) for name, (_, onboarding) in simulated.items()},
    }
    return f"{FIRST_LINE}\n# Nothing here is fit for production.\n\n{as_toml(_relative(values, folder))}"


def write_configuration(path: Path, text: str) -> None:
    """Write it. Raises `ConfigurationError` if a file stands there that was not made here."""
    try:
        standing = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        standing = FIRST_LINE
    except (OSError, UnicodeDecodeError):
        standing = ""
    if not standing.startswith(FIRST_LINE):
        raise ConfigurationError(
            f"{path} was not made by `lendgate sandbox` and stays as it is; name another file with --config-out"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whoever waits for the file finds it whole.
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def _connection(name: str, onboarding: Onboarding) -> dict[str, Any]:
    connection: dict[str, Any] = {"partner": name, "hosts": list(onboarding.hosts)}
    if onboarding.partner_roots:
        connection["partner_roots"] = list(onboarding.partner_roots)
    if onboarding.legacy:
        connection["legacy"] = True
    if onboarding.signing_key is not None:
        connection["signing_key"] = dict(zip(("id", "private"), onboarding.signing_key, strict=True))
    tables = ("settings", "partner_keys", "secrets", "tls")
    return connection | {table: dict(getattr(onboarding, table)) for table in tables if getattr(onboarding, table)}


def _relative(value: Any, folder: Path) -> Any:
    """With every `file:` reference relative to `folder`, so that the checkout may be moved."""
    if isinstance(value, Mapping):
        return {name: _relative(inner, folder) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_relative(inner, folder) for inner in value]
    if isinstance(value, str) and value.startswith("file:"):
        return f"file:{os.path.relpath(Path(value.removeprefix('file:')).resolve(), folder)}"
    return value


def _keep(path: Path, text: str) -> bool:
    """Write `text` for the owner's eyes only; False where something stands there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    return True
