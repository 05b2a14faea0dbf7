"""What a log says is found, proven, drawn and counted from its files alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import apsw
import pytest

from gateway.audit.note import VerifierKey
from gateway.audit.proof import Proof, verify_proof
from tests.cli.conftest import Run
from tests.cli.histories import history

__all__ = ["history"]


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def an_operation(folder: Path) -> str:
    connection = apsw.Connection(str(folder / "lendgate.db"))
    (found,) = connection.execute("SELECT id FROM operations WHERE reference = 'P-2'").fetchall()[0]
    connection.close()
    return str(found)


def key_of(run: Run) -> str:
    return run("audit", "checkpoint").stderr.removeprefix("verifier key: ").strip()


async def test_an_operations_records_are_found_in_the_log(history: Path, run: Run) -> None:
    operation = an_operation(history)

    result = run("audit", "search", "--operation", operation)

    found = lines(result.stdout)
    assert [one["record"]["kind"] for one in found] == ["intent", "outcome", "change"]
    assert [one["index"] for one in found] == [4, 5, 6]
    assert "3 records." in result.stderr


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (["--reference", "P-2"], 3),
        (["--reference", "P-9"], 0),
        (["--kind", "intent", "--partner", "riverbank"], 3),
        (["--kind", "intent", "--partner", "elsewhere"], 0),
        (["--state", "succeeded"], 3),
        (["--client", "shop", "--verb", "create_payment"], 6),
        (["--from", "2020-01-01", "--to", "2020-01-02"], 0),
        (["--from", "2020-01-01"], 11),
    ],
)
async def test_records_are_found_by_what_they_say(history: Path, run: Run, words: list[str], number: int) -> None:
    result = run("audit", "search", *words)

    assert result.exit_code == 0, result.output
    assert len(lines(result.stdout)) == number


async def test_a_search_that_finds_too_much_says_so(history: Path, run: Run) -> None:
    result = run("audit", "search", "--limit", "2")

    assert len(lines(result.stdout)) == 2
    assert "narrow the search" in result.stderr


async def test_a_copy_is_searched_by_the_logs_key(history: Path, run: Run, tmp_path: Path) -> None:
    key, copy = key_of(run), tmp_path / "copy"
    shutil.copytree(history / "audit-log", copy)

    result = run("audit", "search", "--kind", "system", "--log", str(copy), "--key", key)

    assert [one["record"]["what"] for one in lines(result.stdout)] == ["start", "stop"]
    assert run("audit", "search", "--log", str(copy)).exit_code == 2


async def test_a_records_proof_is_printed_and_verifies_elsewhere(history: Path, run: Run) -> None:
    record = lines(run("audit", "search", "--kind", "outcome").stdout)[0]["record"]["id"]

    result = run("audit", "prove", record, "--leaf", "leaf.json")

    proof = Proof.parse(result.stdout.encode())
    verify_proof(proof, (history / "leaf.json").read_bytes(), VerifierKey.parse(key_of(run)))
    assert proof.index == 2
    assert "the proof verifies" in result.stderr


async def test_a_record_that_is_not_there_is_not_proven(history: Path, run: Run) -> None:
    result = run("audit", "prove", "rec_nowhere")

    assert result.exit_code == 1
    assert "no record rec_nowhere" in result.stderr


async def test_a_sample_is_the_same_whoever_draws_it(history: Path, run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(history / "audit-log", copy)
    asked = ("audit", "sample", "--count", "4")

    ours = run(*asked, "--seed", "2026-Q1").stdout
    theirs = run(*asked, "--seed", "2026-Q1", "--log", str(copy), "--key", key_of(run)).stdout
    other = run(*asked, "--seed", "2026-Q2").stdout

    assert ours == theirs != other
    assert len({one["index"] for one in lines(ours)}) == 4


async def test_the_log_is_counted(history: Path, run: Run) -> None:
    result = run("audit", "stats")

    assert result.exit_code == 0, result.output
    assert "3 operations" in result.stdout
    assert "0 intents have no outcome" in result.stdout
    assert "succeeded  3" in result.stdout
    assert "11       0        stopped" in result.stdout


async def test_an_operations_records_are_whole_up_to_the_logs_end(history: Path, run: Run) -> None:
    operation = an_operation(history)

    ours = run("audit", "verify", "--operation", operation)
    theirs = run("audit", "verify-log", "audit-log", "--key", key_of(run), "--operation", operation)

    said = f"{operation}: records 1 to 3, each linked to the one before, and none after, in the entries 0 to 10"
    assert said in ours.stdout and said in theirs.stdout
    assert (ours.exit_code, theirs.exit_code) == (0, 0)


async def test_an_operation_without_records_is_a_fault(history: Path, run: Run) -> None:
    result = run("audit", "verify", "--operation", "pay_nowhere")

    assert result.exit_code == 1
    assert "the log has no record of pay_nowhere" in result.stderr


async def test_no_payment_asks_about_a_person(history: Path, run: Run) -> None:
    result = run("audit", "calls-without-consent")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "0 data calls in 11 entries, 0 without consent or purpose; every entry verified." in result.stderr
