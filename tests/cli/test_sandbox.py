"""A sandbox serves what is installed and writes a configuration that works."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from gateway.cli.development import configuration_text, development_keys, write_configuration
from gateway.model.problems import ConfigurationError
from gateway.sandbox import Onboarding
from gateway.service.load import load
from tests.cli.conftest import Run
from tests.sources import ROOT

pytestmark = pytest.mark.usefixtures("riverbank")


@asynccontextmanager
async def running(site: Path, folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lendgate sandbox` as a process of its own, until its configuration stands."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ROOT))), "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.cli", "sandbox", "--ports-from", "0", *words),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def until_told(process: asyncio.subprocess.Process, word: str) -> str:
    """Everything it says up to the line with `word`."""
    assert process.stdout is not None
    told = ""
    async with asyncio.timeout(60):
        while word not in told:
            line = await process.stdout.readline()
            assert line, told
            told += line.decode()
    return told


async def test_it_serves_writes_a_configuration_and_ends_when_it_is_asked_to(riverbank: Path, folder: Path) -> None:
    async with running(riverbank, folder, "--only", "riverbank") as process:
        told = await until_told(process, "lendgate serve --config lendgate.toml")

        configuration = load(folder / "lendgate.toml")
        url = configuration.sandbox.urls["riverbank"]
        async with aiohttp.ClientSession() as session, session.get(f"{url}/_sandbox/ledger") as answer:
            assert json.loads(await answer.read()) == []
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0

    assert url in told
    assert (folder / "certs" / "dev" / "clients" / "shop").read_text().strip() in told
    connection = configuration.connections["riverbank"]
    assert connection.settings == {"url": url}
    assert connection.hosts == (url.removeprefix("http://"),)
    assert {client.role for client in configuration.clients.values()} == {"platform", "operator", "auditor"}


def test_a_simulator_that_is_not_installed_is_named(run: Run) -> None:
    result = run("sandbox", "--only", "lakebank")

    assert result.exit_code == 2
    assert "there is no simulator of lakebank; there are" in result.stderr
    assert "riverbank" in result.stderr


# The configuration


def test_references_are_relative_to_the_configuration(tmp_path: Path) -> None:
    keys = tmp_path / "certs" / "dev"
    development_keys(keys)
    (keys / "riverbank").mkdir()
    for name in ("own.key", "bank.pub"):
        (keys / "riverbank" / name).write_text("x")
    onboarding = Onboarding(
        settings={"url": "http://127.0.0.1:1", "roots": f"file:{keys / 'riverbank' / 'bank.pub'}"},
        hosts=("127.0.0.1:1",),
        signing_key=("k1", f"file:{keys / 'riverbank' / 'own.key'}"),
        partner_keys={"": f"file:{keys / 'riverbank' / 'bank.pub'}"},
        partner_roots=(f"file:{keys / 'riverbank' / 'bank.pub'}",),
        legacy=True,
    )

    text = configuration_text(keys, {"riverbank": ("http://127.0.0.1:1", onboarding)}, tmp_path, 8080)
    write_configuration(tmp_path / "lendgate.toml", text)

    assert 'private = "file:certs/dev/riverbank/own.key"' in text
    connection = load(tmp_path / "lendgate.toml").connections["riverbank"]
    assert connection.settings["roots"] == "x"
    assert connection.partner_keys == {"": "x"}
    assert connection.partner_roots == ("x",)
    assert connection.legacy


def test_what_a_person_wrote_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "lendgate.toml").write_text("# mine\n")

    with pytest.raises(ConfigurationError, match="stays as it is; name another file with --config-out"):
        write_configuration(tmp_path / "lendgate.toml", "x")

    assert (tmp_path / "lendgate.toml").read_text() == "# mine\n"


def test_what_it_wrote_itself_is(tmp_path: Path) -> None:
    for _ in range(2):
        write_configuration(tmp_path / "lendgate.toml", configuration_text(tmp_path, {}, tmp_path, 8080))

    assert [path.name for path in tmp_path.glob("lendgate*")] == ["lendgate.toml"]
