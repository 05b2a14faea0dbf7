"""A witness that others wrote cosigns our log, goes on with it, and remembers it against us."""

from __future__ import annotations

import json
import logging
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.audit.checkpoint import open_checkpoint
from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.note import Kind, VerifierKey
from gateway.audit.policy import COSIGNED
from gateway.audit.sequencer import Sequencer
from gateway.audit.witness import Addition, Witness
from gateway.audit.witness_folder import WitnessFolder
from gateway.service.witnesses import Known, Witnesses, post
from gateway.testing.clock import ManualClock
from tests.audit.logs import NOON, ORIGIN, Records, a_log, a_signer, leaves

SIGNER = a_signer()


@contextmanager
def witnessing(program: Path, folder: Path) -> Iterator[Known]:
    """The other witness, made for our log, while it runs."""
    configuration = ("-c", str(folder / "witness.json"))

    def run(*words: str) -> str:
        done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    made = run("init", *configuration, "--name", "other.example/w", "--listen", "127.0.0.1:0")
    run("add-log", *configuration, "--origin", ORIGIN, "--vkey", str(SIGNER.key))
    process = subprocess.Popen([program, "serve", *configuration], cwd=folder, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        listening = next(line for line in process.stderr if "listening on" in line)
        found = re.search(r"http://127.0.0.1:\d+", listening)
        assert found is not None
        yield Known(found.group(), VerifierKey.parse(made.splitlines()[-1]))
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def grow(root: Path, sizes: tuple[int, ...], witness: Known) -> list[bool]:
    """A log that grows, and what the witness did each time."""
    directory, records = Directory(root), Records()
    sequencer = Sequencer(directory, HeadFile(directory), records, SIGNER, ManualClock())
    asking = Witnesses(SIGNER.key, FileReader(root), [witness], 1, sequencer.cosigned, ManualClock(), post)
    await sequencer.open()
    done = []
    for size in sizes:
        records.add(leaves(size - len(records.rows), len(records.rows)))
        await sequencer.advance()
        done.append(await asking.round())
    await sequencer.close()
    return done


async def test_another_witness_cosigns_what_grows_and_refuses_what_was_put_back(
    other_witness: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with witnessing(other_witness, tmp_path) as witness:
        grown = await grow(tmp_path / "log", (1, 300, 5_301), witness)
        with caplog.at_level(logging.ERROR):
            put_back = await grow(tmp_path / "older", (200,), Known(witness.url, witness.key))

    assert (grown, put_back) == ([True, True, True], [False])
    assert "it was rolled back" in caplog.text
    cosigned = FileReader(tmp_path / "log")(COSIGNED)
    assert cosigned is not None
    assert open_checkpoint(cosigned, SIGNER.key, [witness.key], quorum=1).checkpoint.size == 5_301


def test_its_verifier_accepts_what_our_witness_signed(auditor_python: Path, tmp_path: Path) -> None:
    signer = a_signer("witness.example/w", Kind.COSIGNATURE)
    checkpoint = a_log(leaves(300), SIGNER)["checkpoint"]
    witness = Witness(signer, [SIGNER.key], WitnessFolder(tmp_path / "w"))
    line = witness.add(Addition(0, (), checkpoint).format(), NOON)
    (tmp_path / "note").write_bytes(checkpoint + line.encode())
    (tmp_path / "key").write_text(f"{SIGNER.key}\n")

    words = ("--note", tmp_path / "note", "--vkey-file", tmp_path / "key", "--witness-key", str(signer.key))
    command = [auditor_python, "-m", "aics_tlog", "verify-checkpoint", *words, "--quorum", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert json.loads(done.stdout)["witnesses"] == ["witness.example/w"], done.stderr
