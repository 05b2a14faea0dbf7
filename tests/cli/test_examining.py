"""What is installed and configured is shown before anything depends on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.sandbox import serve
from gateway.service.fields import as_markdown
from tests.cli.conftest import Run
from tests.cli.gateway_folder import prepare
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.installed import install


@pytest.fixture
async def configured(folder: Path, riverbank: Path) -> Path:
    """A folder with a configuration; the bank that it names has closed."""
    async with await serve(RiverbankSimulator, folder / "dev" / "riverbank") as bank:
        return prepare(folder, bank, 8080)


async def test_a_configuration_that_works_is_said_to_work(configured: Path, run: Run) -> None:
    result = run("check-config")

    assert result.exit_code == 0, result.output
    assert "connection riverbank: works" in result.stdout
    assert "shop (platform), operator (operator), auditor (auditor)" in result.stdout
    assert not (configured.parent / "lendgate.db").exists()


async def test_a_connection_that_would_not_work_is_named_with_the_cause(configured: Path, run: Run) -> None:
    configured.write_text(configured.read_text().replace("\nurl = ", "\nadress = "))

    result = run("check-config")

    assert result.exit_code == 1
    assert "connections.riverbank.settings.url: is missing; add it" in result.stdout
    assert "connections.riverbank.settings.adress: there is no such setting" in result.stdout


async def test_a_configuration_that_is_wrong_is_said_to_be_wrong_line_by_line(configured: Path, run: Run) -> None:
    configured.write_text(configured.read_text().replace("[connections.riverbank]", "[connections.riverbank]\nx = 1"))

    result = run("check-config")

    assert result.exit_code == 2
    assert "connections.riverbank.x: there is no such key" in result.stderr
    assert result.stderr.startswith("lendgate.toml:")


def test_every_key_can_be_printed(run: Run) -> None:
    assert run("check-config", "--fields").stdout == as_markdown()


def test_installed_partners_are_listed_and_a_broken_one_with_its_cause(riverbank: Path, run: Run) -> None:
    install(riverbank, "sunken", "raise RuntimeError('the boat has a hole')")

    result = run("partners")

    assert result.exit_code == 1
    assert "lendgate-riverbank 1.0" in result.stdout
    assert "Riverbank 2026-03" in result.stdout
    assert "broken: RuntimeError: the boat has a hole" in result.stdout


def test_the_verbs_of_partners_are_listed_when_asked_for(riverbank: Path, run: Run) -> None:
    assert "create_payment, fetch_payment" in run("partners", "--verbs").stdout


def test_the_api_is_described_for_code_generators(run: Run, folder: Path) -> None:
    printed = json.loads(run("openapi").stdout)

    assert printed["openapi"].startswith("3.1")
    assert "/v1/payments" in printed["paths"]
    assert run("openapi", "--out", "api.json").exit_code == 0
    assert json.loads((folder / "api.json").read_text()) == printed
