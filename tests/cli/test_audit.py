"""An auditor sees that nothing was changed, or where it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import apsw
import pytest

from gateway.audit.note import Kind, VerifierKey
from tests.cli.conftest import Run
from tests.cli.histories import history, pay

__all__ = ["history"]


def change(folder: Path, statement: str) -> None:
    connection = apsw.Connection(str(folder / "lendgate.db"))
    connection.execute(statement)
    connection.close()


async def test_what_nobody_touched_verifies(history: Path, run: Run) -> None:
    result = run("audit", "verify")

    assert result.exit_code == 0, result.output
    assert "11 records" in result.stdout
    assert "The store's records are those that the log took." in result.stdout
    assert "NO OUTSIDE ANCHOR" in result.stdout
    assert result.stdout.endswith("Everything verifies.\n")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (
            "UPDATE records SET leaf = CAST(replace(leaf, 'genuine', 'silence') AS BLOB) WHERE position = 3",
            "CHANGED at",
        ),
        ("DELETE FROM records WHERE position = 4", "MISSING at"),
        ("UPDATE records SET digest = printf('%064d', 0) WHERE position = 2", "CHANGED at position 2"),
        ("DELETE FROM records WHERE position = (SELECT max(position) FROM records)", "the newest were cut off"),
    ],
)
async def test_what_was_changed_is_found_and_named(history: Path, run: Run, statement: str, says: str) -> None:
    change(history, statement)

    result = run("audit", "verify")

    assert result.exit_code == 1
    assert says in result.stderr
    assert "FAULTS WERE FOUND" in result.stderr


async def test_a_log_that_is_gone_is_a_fault(history: Path, run: Run) -> None:
    shutil.rmtree(history / "audit-log")

    result = run("audit", "verify")

    assert result.exit_code == 1
    assert "there is no log" in result.stderr


async def test_a_checkpoint_kept_outside_proves_that_nothing_was_put_back(history: Path, run: Run) -> None:
    kept = run("audit", "checkpoint")
    (history / "kept").write_text(kept.stdout)
    await pay(history, "P-4")

    result = run("audit", "verify", "--since", "kept")

    assert result.exit_code == 0, result.output
    assert "Compared with the checkpoint" in result.stdout


async def test_a_store_and_log_put_back_together_are_found_by_the_kept_checkpoint(history: Path, run: Run) -> None:
    older = history / "older"
    shutil.copytree(history, older, ignore=shutil.ignore_patterns("older"))
    await pay(history, "P-4")
    (history / "kept").write_text(run("audit", "checkpoint").stdout)
    shutil.rmtree(history / "audit-log")
    shutil.copytree(older / "audit-log", history / "audit-log")
    for path in history.glob("lendgate.db*"):
        path.unlink()
    for path in older.glob("lendgate.db*"):
        shutil.copy(path, history / path.name)

    unanchored = run("audit", "verify")
    assert unanchored.exit_code == 0, unanchored.output
    result = run("audit", "verify", "--since", "kept")

    assert result.exit_code == 1
    assert "rolled_back" in result.stderr


async def test_an_auditor_needs_the_log_and_its_key_alone(history: Path, run: Run, tmp_path: Path) -> None:
    key = run("audit", "checkpoint").stderr.removeprefix("verifier key: ").strip()
    copy = tmp_path / "copy"
    shutil.copytree(history / "audit-log", copy)

    result = run("audit", "verify-log", str(copy), "--key", key)

    assert result.exit_code == 0, result.output
    assert "11 of 11 entries" in result.stdout


async def test_the_log_of_somebody_else_does_not_verify(history: Path, run: Run) -> None:
    key = run("audit", "checkpoint").stderr.removeprefix("verifier key: ").strip()
    name = key.partition("+")[0]
    stranger = str(VerifierKey(name, Kind.ED25519, bytes(range(32))))

    result = run("audit", "verify-log", "audit-log", "--key", stranger)

    assert result.exit_code == 1
    assert "is not signed by any of the known keys" in result.stderr


async def test_a_key_that_is_none_is_said_to_be_none(history: Path, run: Run) -> None:
    result = run("audit", "verify-log", "audit-log", "--key", "nonsense")

    assert result.exit_code == 1
    assert "'nonsense'" in result.stderr


async def test_every_intent_is_listed_with_what_was_observed(history: Path, run: Run) -> None:
    result = run("audit", "intents")

    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["observed"] for line in lines] == ["genuine"] * 3
    assert all(len(line["digest"]) == 64 and line["partner"] == "riverbank" for line in lines)
