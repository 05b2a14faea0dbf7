"""An auditor shows, takes away and checks evidence; a platform checks its receipt."""

from __future__ import annotations

import asyncio
import shutil
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.api.house import KEYS, House, payment
from tests.api.published import Log, publishing
from tests.cli.conftest import Run

Ask = Callable[..., Awaitable[Result]]


@pytest.fixture
async def log(house: House, tmp_path: Path) -> AsyncIterator[Log]:
    async with publishing(house, tmp_path / "log") as opened:
        yield opened


@pytest.fixture
def ask(house: House, run: Run) -> Ask:
    """`await ask("show", …)`: as an auditor."""

    async def call(*words: str) -> Result:
        return await asyncio.to_thread(run, "audit", *words, "--url", house.url, "--key", KEYS["auditor"])

    return call


async def paid(house: House, log: Log) -> tuple[str, str]:
    """A payment's id and its receipt."""
    made = await house.caller("shop").act("/v1/payments", payment())
    await log.publish()
    return made.body["id"], made.headers["Audit-Receipt"]


async def test_an_operation_is_shown_record_by_record_with_what_was_sent(house: House, log: Log, ask: Ask) -> None:
    operation, _ = await paid(house, log)

    bare = await ask("show", operation)
    full = await ask("show", operation, "--bodies", "--reason", "sample 7")

    assert "intent: create_payment, attempt 1, to have an effect" in bare.stdout
    assert "change: from processing to succeeded" in bare.stdout
    assert "| POST /" not in bare.stdout
    assert "| POST /" in full.stdout and "| HTTP/1.1 200" in full.stdout


async def test_bodies_without_a_reason_are_refused(house: House, log: Log, ask: Ask) -> None:
    operation, _ = await paid(house, log)

    assert (await ask("show", operation, "--bodies")).exit_code == 1


def change_a_record(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        files = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    record = files[next(name for name in files if name.startswith("records/"))]
    record[len(record) // 2] ^= 1
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, bytes(content))


@pytest.mark.parametrize("scope", ["operation", "time"])
async def test_evidence_is_written_and_verifies_offline(
    house: House, log: Log, ask: Ask, run: Run, folder: Path, scope: str
) -> None:
    operation, _ = await paid(house, log)
    words = ("--operation", operation) if scope == "operation" else ("--from", "2020-01-01")

    taken = await ask("export", *words, "--bodies", "--reason", "sample 7", "--output", "e.zip")
    verified = run("audit", "verify-bundle", "e.zip", "--key", str(log.key))

    assert taken.exit_code == 0, taken.output
    assert "3 records; SHA-256" in taken.stdout and "on record as rec_" in taken.stdout
    assert verified.exit_code == 0
    change_a_record(folder / "e.zip")
    assert run("audit", "verify-bundle", "e.zip", "--key", str(log.key)).exit_code == 1


async def test_a_platform_checks_its_receipt_against_hash_tiles_alone(
    house: House, log: Log, run: Run, folder: Path
) -> None:
    _, receipt = await paid(house, log)
    shutil.copytree(log.folder, folder / "copy", ignore=shutil.ignore_patterns("entries"))
    given = ("--log", "copy", "--key", str(log.key))

    found = run("audit", "check-receipt", f"Audit-Receipt: {receipt}", *given)
    left_out = run("audit", "check-receipt", receipt[: receipt.index("leaf")] + f'leaf="{"0" * 64}"', *given)

    assert (found.exit_code, left_out.exit_code) == (0, 1)
    assert "is entry 2 of 3." in found.stdout
    assert "NOT THERE: the log's 3 entries hold no record of the hash 0000" in left_out.stderr
