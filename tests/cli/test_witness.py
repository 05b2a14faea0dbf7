"""`lendgate-witness` makes its key once, says what it does, and answers over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.audit.note import Kind, VerifierKey
from gateway.audit.witness import Addition
from gateway.cli.witness import main
from gateway.service.witnesses import post
from tests.audit.logs import a_log, a_signer, leaves
from tests.sources import ROOT

SIGNER = a_signer()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, words, catch_exceptions=False)


def test_a_witness_makes_its_key_once(folder: Path) -> None:
    made = run("init", "--name", "witness.example/w")
    again = run("init", "--name", "witness.example/w")

    key = VerifierKey.parse(made.stdout)
    assert (key.name, key.kind) == ("witness.example/w", Kind.COSIGNATURE)
    assert (folder / "witness/witness.key").stat().st_mode & 0o777 == 0o600
    assert again.exit_code == 2
    assert "a witness keeps its key" in again.stderr


def test_a_witness_that_was_not_made_says_how(folder: Path) -> None:
    result = run("serve", "--log", str(SIGNER.key))

    assert result.exit_code == 2
    assert "lendgate-witness init" in result.stderr


async def test_it_cosigns_what_grows_and_says_what_it_refuses(folder: Path) -> None:
    run("init", "--name", "witness.example/w")
    program = "from gateway.cli.witness import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, "serve", "--log", str(SIGNER.key), "--port", "0"),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        said = [(await process.stdout.readline()).decode() for _ in range(2)]
        url = said[1].split()[-1]
        answers = []
        for old, size in ((0, 5), (0, 7)):
            body = Addition(old, (), a_log(leaves(size), SIGNER)["checkpoint"]).format()
            answers.append(await asyncio.to_thread(post, url, body))
        missing = await asyncio.to_thread(post, url.replace("add-checkpoint", "elsewhere"), b"")
        process.send_signal(signal.SIGTERM)
        rest = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()

    assert "nothing is remembered yet" in said[0]
    assert answers[0][0] == 200 and answers[0][1].startswith("— witness.example/w ".encode())
    assert answers[1] == (409, b"5\n")
    assert missing[0] == 404
    assert "at size 5" in rest and "REFUSED (409): this witness remembers the size 5, not 0" in rest
    assert process.returncode == 0


@pytest.mark.parametrize("words", [(), ("--help",), ("serve", "--help")])
def test_help_is_there(words: tuple[str, ...]) -> None:
    assert "witness" in run(*words).output.lower()
