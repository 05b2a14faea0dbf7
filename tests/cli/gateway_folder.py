"""A folder with a configuration for the simulated Riverbank, as `lendgate sandbox` writes it."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.development import configuration_text, development_keys, write_configuration
from gateway.sandbox import Running
from tests.riverbank_simulator import RiverbankSimulator

__all__ = ["key_of", "prepare"]


def prepare(folder: Path, bank: Running[RiverbankSimulator], port: int) -> Path:
    """Write keys and `lendgate.toml`; gives the configuration's place."""
    development_keys(folder / "dev")
    simulated = {"riverbank": (bank.url, bank.onboarding)}
    write_configuration(folder / "lendgate.toml", configuration_text(folder / "dev", simulated, folder, port))
    return folder / "lendgate.toml"


def key_of(folder: Path, client: str) -> str:
    """A client's API key."""
    return (folder / "dev" / "clients" / client).read_text().strip()
