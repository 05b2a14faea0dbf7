"""What is wrong with one connection stays with it, and is said so that somebody can mend it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.adapters.registry import discover
from gateway.model.problems import ConfigurationError
from gateway.service.config import Configuration
from gateway.service.connect import examine, prepare, refuse_unpackaged
from gateway.service.load import parse
from tests.service.installed import RIVERBANK, install, installed

HEAD = """\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
[connections.riverbank]
partner = "riverbank"
hosts = ["127.0.0.1:8081"]
settings = { url = "http://127.0.0.1:8081" }
secrets = { shared = "env:SHARED" }
"""
ENVIRONMENT = {"INSTALLATION": "5e" * 32, "SHARED": "shared-secret-of-32-bytes-length"}
STUBBORN = """\
from gateway import hookimpl
from tests.riverbank import Riverbank


class Stubborn(Riverbank):
    name = "stubborn"

    def __init__(self, settings):
        raise RuntimeError("I do not want to")


@hookimpl
def adapters():
    return [Stubborn]
"""


def read(more: str = "", head: str = HEAD) -> Configuration:
    return parse(head + more, Path(), environment=ENVIRONMENT)


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    sources = {
        "riverbank": RIVERBANK,
        "sunken": "raise RuntimeError('the boat has a hole')",
        "leaving": "import sys; sys.exit(3)",
        "stubborn": STUBBORN,
    }
    with installed(tmp_path, monkeypatch, **sources) as folder:
        yield folder


def test_a_connection_gets_its_adapter_its_settings_and_its_keys() -> None:
    configuration = read()

    working, broken = prepare(configuration, discover(configuration.allowed_plugins))

    assert broken == {}
    riverbank = working["riverbank"]
    assert riverbank.adapter.name == "riverbank"
    assert riverbank.adapter.settings.url == "http://127.0.0.1:8081"
    riverbank.keys.mac(b"message", "HS256", "shared")


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('partner = "sunken"', "lendgate.toml:10: connections.other.partner: RuntimeError: the boat has a hole"),
        ('partner = "leaving"', "SystemExit"),
        (
            'partner = "stubborn"\nsettings = { url = "x" }',
            "cannot be made with these settings (RuntimeError: I do not",
        ),
        ('partner = "nowhere"', "no installed package offers the adapter 'nowhere'; install it"),
        ('partner = "riverbank"', "lendgate.toml:9: connections.other.settings.url: is missing; add it"),
        (
            'partner = "riverbank"\nsettings = { url = "x", colour = "red" }',
            "lendgate.toml:11: connections.other.settings.colour: there is no such setting; there are url",
        ),
        (
            'partner = "riverbank"\nsettings = { url = "x" }\npartner_keys = { k = "no key" }',
            "lendgate.toml:9: connections.other: partner key 'k': no public key could be read",
        ),
        (
            'partner = "riverbank"\nsettings = { url = "x" }\ntls = { ca = "no certificate" }',
            "lendgate.toml:9: connections.other: the TLS certificates cannot be used",
        ),
    ],
)
def test_one_that_cannot_work_says_why_and_leaves_the_others_alone(section: str, says: str) -> None:
    configuration = read(f'[connections.other]\n{section}\nhosts = ["127.0.0.1:1"]\n')

    working, broken = prepare(configuration, discover(configuration.allowed_plugins))

    assert set(working) == {"riverbank"}
    assert says in broken["other"]
    assert examine(configuration) == broken


def test_every_fault_of_the_settings_is_named() -> None:
    configuration = read('[connections.other]\npartner = "riverbank"\nhosts = ["x"]\nsettings = { a = 1, b = 2 }\n')

    cause = examine(configuration)["other"]

    assert [line.split(": ")[1].rpartition(".")[2] for line in cause.splitlines()] == ["url", "a", "b"]


def test_only_what_is_allowed_is_imported() -> None:
    configuration = read('[plugins]\nallow = ["sunken"]\n')

    assert "no plugin that is allowed here has an adapter 'riverbank'" in examine(configuration)["riverbank"]


# Production

PRODUCTION = HEAD.replace('"sandbox"', '"production"\npublic_url = "https://gateway.example"').replace(
    "127.0.0.1:8081", "api.riverbank.example"
)


def test_production_takes_a_plugin_that_was_built_and_installed() -> None:
    assert examine(read(head=PRODUCTION)) == {}


def test_production_refuses_a_plugin_in_editable_form(plugins: Path) -> None:
    install(plugins, "pier", RIVERBANK, direct_url='{"url": "file:///pier", "dir_info": {"editable": true}}')
    configuration = read('[plugins]\nallow = ["riverbank", "pier"]\n', PRODUCTION)

    with pytest.raises(ConfigurationError, match=r"lendgate-pier is installed in editable form; build a wheel"):
        examine(configuration)


def test_a_sandbox_takes_it(plugins: Path) -> None:
    install(plugins, "pier", RIVERBANK, direct_url='{"url": "file:///pier", "dir_info": {"editable": true}}')
    configuration = read('[plugins]\nallow = ["riverbank", "pier"]\n')

    refuse_unpackaged(configuration, discover(configuration.allowed_plugins))
