"""A witness cosigns what grew, and nothing else, whatever it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.note import Kind, parse_note
from gateway.audit.tiles import TileReader
from gateway.audit.tree import consistency_proof
from gateway.audit.witness import Addition, Witness, WitnessRefusal
from gateway.audit.witness_folder import WitnessFolder
from gateway.model.problems import StorageError
from tests.audit.logs import NOON, ORIGIN, a_log, a_signer, leaves

SIGNER = a_signer()
WITNESS = a_signer("witness.example/w", Kind.COSIGNATURE)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(WITNESS, [SIGNER.key], WitnessFolder(tmp_path / "witness"))


def asking(old: int, size: int, *, first: bytes | None = None, proof: tuple[bytes, ...] | None = None) -> bytes:
    """The request of a log of `size` entries whose first one may be another."""
    content = leaves(size)
    if first is not None:
        content[0] = first
    files = a_log(content, SIGNER)
    if proof is None:
        grown = 0 < old < size
        proof = tuple(consistency_proof(TileReader(files.get, size), old, size)) if grown else ()
    return Addition(old, proof, files["checkpoint"]).format()


def refused(witness: Witness, body: bytes) -> tuple[int, int | None]:
    with pytest.raises(WitnessRefusal) as refusal:
        witness.add(body, NOON)
    return refusal.value.status, refusal.value.size


def test_a_log_that_grows_is_cosigned_each_time(witness: Witness) -> None:
    for old, size in ((0, 5), (5, 5), (5, 300), (300, 70_000)):
        line = witness.add(asking(old, size), NOON)

        files = a_log(leaves(size), SIGNER)
        note = parse_note(files["checkpoint"] + line.encode())
        assert WITNESS.key.verify(note.text, note.signatures[1].signature).at == NOON
        head = witness.remembered(ORIGIN)
        assert head is not None and head.size == size


@pytest.mark.parametrize("old", [0, 100, 400])
def test_another_old_size_is_told_what_is_remembered(witness: Witness, old: int) -> None:
    witness.add(asking(0, 300), NOON)

    assert refused(witness, asking(old, 500)) == (409, 300)


def test_a_log_that_was_rolled_back_is_refused(witness: Witness) -> None:
    witness.add(asking(0, 300), NOON)

    assert refused(witness, asking(300, 299, proof=())) == (400, None)
    assert refused(witness, asking(299, 299)) == (409, 300)


def test_a_history_that_was_written_anew_is_refused(witness: Witness) -> None:
    witness.add(asking(0, 300), NOON)

    assert refused(witness, asking(300, 300, first=b"another")) == (409, 300)
    assert refused(witness, asking(300, 500, first=b"another")) == (422, None)
    head = witness.remembered(ORIGIN)
    assert head is not None and head.size == 300


def test_what_is_malformed_unknown_or_unsigned_is_refused(witness: Witness) -> None:
    stranger = a_log(leaves(5), a_signer("other.example/l"))["checkpoint"]
    forged = a_log(leaves(5), a_signer())["checkpoint"]

    assert refused(witness, b"old 0\n")[0] == 400
    assert refused(witness, b"old 00\n\n" + forged)[0] == 400
    assert refused(witness, b"old 0\nAAAA\n\n" + forged)[0] == 400
    assert refused(witness, b"old 0\n\nnonsense")[0] == 400
    assert refused(witness, Addition(0, (), stranger).format())[0] == 404
    assert refused(witness, Addition(0, (), forged).format())[0] == 403
    assert refused(witness, asking(0, 5, proof=(bytes(32),)))[0] == 422


def test_what_is_remembered_outlives_the_process(tmp_path: Path) -> None:
    folder = WitnessFolder(tmp_path / "witness")
    Witness(WITNESS, [SIGNER.key], folder).add(asking(0, 300), NOON)
    folder.close()

    again = Witness(WITNESS, [SIGNER.key], WitnessFolder(tmp_path / "witness"))

    assert refused(again, asking(0, 500)) == (409, 300)
    again.add(asking(300, 500), NOON)


def test_two_processes_never_witness_from_one_folder(tmp_path: Path) -> None:
    first = WitnessFolder(tmp_path / "witness")

    with pytest.raises(StorageError, match="another process"):
        WitnessFolder(tmp_path / "witness")
    first.close()


def test_a_cosignature_leaves_only_after_the_head_is_remembered(witness: Witness) -> None:
    class Full:
        def read(self, origin: str) -> bytes | None:
            return None

        def write(self, origin: str, note: bytes) -> None:
            raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        Witness(WITNESS, [SIGNER.key], Full()).add(asking(0, 5), NOON)
