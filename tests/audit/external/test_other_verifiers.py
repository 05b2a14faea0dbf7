"""Programs and libraries that others wrote accept what we write, and refuse it when it was changed."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.checkpoint import cosign_checkpoint
from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.note import Kind
from gateway.audit.proof import Proof, prove, verify_proof
from gateway.audit.sequencer import Sequencer
from gateway.testing.clock import ManualClock
from tests.audit.logs import NOON, Records, a_leaf, a_log, a_signer, leaves

SIZE, SAVED, SOME = 66_000, 5_301, 12_345
SIGNER, WITNESS = a_signer(), a_signer("witness.example/w", Kind.COSIGNATURE)


@dataclass
class Evidence:
    """A log of three levels of tiles, its key kept apart from it, and a checkpoint that was saved on the way."""

    log: Path
    key: Path
    saved: Path
    leaf: Path


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("evidence")
    found = Evidence(folder / "log", folder / "key", folder / "saved", folder / "leaf")
    found.key.write_text(f"{SIGNER.key}\n")
    found.leaf.write_bytes(a_leaf(SOME))
    asyncio.run(write(found))
    return found


async def write(evidence: Evidence) -> None:
    directory, records = Directory(evidence.log), Records()
    sequencer = Sequencer(directory, HeadFile(directory), records, SIGNER, ManualClock())
    await sequencer.open()
    for size in (1, 300, SAVED, SIZE):
        records.add(leaves(size - len(records.rows), len(records.rows)))
        while await sequencer.advance():
            pass
        if size == SAVED:
            evidence.saved.write_bytes(directory.published() or b"")
    await sequencer.close()
    directory.publish(cosign_checkpoint(directory.published() or b"", WITNESS, NOON))


@pytest.fixture
def changed(evidence: Evidence, tmp_path: Path) -> Evidence:
    """The same, with one byte of one entry changed."""
    log = tmp_path / "log"
    shutil.copytree(evidence.log, log)
    bundle = log / "tile/entries/003"
    content = bytearray(bundle.read_bytes())
    content[40] ^= 1
    bundle.write_bytes(content)
    return Evidence(log, evidence.key, evidence.saved, evidence.leaf)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def aics(python: Path, *arguments: str | Path) -> dict[str, Any]:
    done = run(python, "-m", "aics_tlog", *arguments)
    answer = dict(json.loads(done.stdout))
    assert answer["ok"] is (done.returncode == 0)
    return answer


AUDIT = """
import sys
from base64 import b64decode
from pathlib import Path
from aics_tlog.tiles import FileSystemTileReader
from aics_tlog.verified import audit_tiles
_, size, root, *_ = Path(sys.argv[1], "checkpoint").read_text().split("\\n")
print(audit_tiles(FileSystemTileReader(sys.argv[1]), int(size), b64decode(root)))
"""


def test_aics_tlog_accepts_the_checkpoint_and_its_cosignature(auditor_python: Path, evidence: Evidence) -> None:
    answer = aics(
        auditor_python,
        "verify-checkpoint",
        *("--note", evidence.log / "checkpoint", "--vkey-file", evidence.key),
        *("--witness-key", str(WITNESS.key), "--quorum", "1"),
    )

    assert (answer["ok"], answer["size"], answer["witnesses"]) == (True, SIZE, ["witness.example/w"])


def test_aics_tlog_finds_the_log_grown_from_a_saved_checkpoint(auditor_python: Path, evidence: Evidence) -> None:
    where = ("--tiles", evidence.log, "--vkey-file", evidence.key)

    assert aics(auditor_python, "verify-consistency", "--old-checkpoint", evidence.saved, *where)["ok"]


def test_aics_tlog_refuses_a_history_that_was_written_anew(
    auditor_python: Path, evidence: Evidence, tmp_path: Path
) -> None:
    for path, content in a_log([b"another", *leaves(SAVED, 1)], SIGNER).items():
        tmp_path.joinpath("log", path).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath("log", path).write_bytes(content)
    where = ("--tiles", tmp_path / "log", "--vkey-file", evidence.key)

    assert not aics(auditor_python, "verify-consistency", "--old-checkpoint", evidence.saved, *where)["ok"]


def test_aics_tlog_finds_an_entry_in_the_log(auditor_python: Path, evidence: Evidence) -> None:
    where = ("--tiles", evidence.log, "--vkey-file", evidence.key)

    assert aics(auditor_python, "verify-inclusion", "--leaf", evidence.leaf, "--index", str(SOME), *where)["ok"]
    assert not aics(auditor_python, "verify-inclusion", "--leaf", evidence.leaf, "--index", str(SOME + 1), *where)["ok"]


def test_aics_tlog_accepts_every_tile_and_entry(auditor_python: Path, evidence: Evidence) -> None:
    done = run(auditor_python, "-c", AUDIT, evidence.log)

    assert done.returncode == 0 and f"size={SIZE}" in done.stdout, done.stderr


def test_aics_tlog_refuses_a_changed_entry(auditor_python: Path, changed: Evidence) -> None:
    done = run(auditor_python, "-c", AUDIT, changed.log)

    assert done.returncode == 1 and "TileVerificationError" in done.stderr


def test_tlog_scales_proves_what_we_prove(auditor_python: Path, evidence: Evidence) -> None:
    done = run(auditor_python.with_name("tlog-tiles"), "gen-proof", evidence.log, str(SOME))

    proof = Proof.parse(done.stdout.encode())

    assert proof == prove(FileReader(evidence.log), SOME)
    verify_proof(proof, a_leaf(SOME), SIGNER.key, [WITNESS.key], quorum=1)


def test_the_libraries_of_the_go_checksum_database_accept_every_entry(go_checker: Path, evidence: Evidence) -> None:
    done = run(go_checker, evidence.log, evidence.key, evidence.saved)

    assert (done.returncode, done.stdout) == (0, f"verified {SIZE} entries\n"), done.stderr


def test_the_libraries_of_the_go_checksum_database_refuse_a_changed_entry(go_checker: Path, changed: Evidence) -> None:
    done = run(go_checker, changed.log, changed.key)

    assert (done.returncode, done.stderr) == (1, "entry 769 is not the one in the tree\n")
