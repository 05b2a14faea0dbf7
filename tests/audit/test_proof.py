"""Proofs of single entries: written, read, verified, and refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.audit.checkpoint import cosign_checkpoint
from gateway.audit.note import InvalidNote, Kind
from gateway.audit.proof import Proof, prove, verify_proof
from gateway.audit.tree import EMPTY_ROOT, InvalidProof
from tests.audit.logs import NOON, a_leaf, a_log, a_signer, leaves

SIZE = 700
SIGNER = a_signer()
FILES = a_log(leaves(SIZE), SIGNER)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 511, 512, 698, 699])
def test_an_entry_is_proved_by_a_text_alone(index: int) -> None:
    text = prove(FILES.get, index).format()

    opened = verify_proof(Proof.parse(text), a_leaf(index), SIGNER.key)

    assert opened.checkpoint.size == SIZE


def test_the_text_is_the_one_of_the_specification() -> None:
    proof = prove(FILES.get, 699, extra=b"where to look")

    head, _, checkpoint = proof.format().decode().partition("\n\n")

    assert head.split("\n")[:3] == ["c2sp.org/tlog-proof@v1", "extra d2hlcmUgdG8gbG9vaw==", "index 699"]
    assert all(len(line) == 44 for line in head.split("\n")[3:])
    assert checkpoint.encode() == FILES["checkpoint"]
    assert Proof.parse(proof.format()) == proof


def test_a_log_of_one_entry_needs_no_hashes() -> None:
    files = a_log(leaves(1), SIGNER)

    proof = Proof.parse(prove(files.get, 0).format())

    assert proof.hashes == ()
    verify_proof(proof, a_leaf(0), SIGNER.key)


def test_an_entry_can_be_proved_against_an_older_checkpoint() -> None:
    old = a_log(leaves(300), SIGNER)["checkpoint"]

    proof = prove(FILES.get, 299, checkpoint=old)

    assert verify_proof(proof, a_leaf(299), SIGNER.key).checkpoint.size == 300


def test_witnesses_count_as_they_do_for_the_checkpoint() -> None:
    witness = a_signer("witness.example/w", Kind.COSIGNATURE)
    proof = prove(FILES.get, 5)
    cosigned = replace(proof, checkpoint=cosign_checkpoint(proof.checkpoint, witness, NOON))

    verify_proof(cosigned, a_leaf(5), SIGNER.key, [witness.key], quorum=1)
    with pytest.raises(InvalidNote, match="0 of the known witnesses"):
        verify_proof(proof, a_leaf(5), SIGNER.key, [witness.key], quorum=1)


@pytest.mark.parametrize(
    "changes",
    [{"index": 6}, {"hashes": ()}, {"hashes": prove(FILES.get, 6).hashes}, {"index": SIZE}],
    ids=["index", "no hashes", "hashes of another", "beyond the tree"],
)
def test_a_proof_of_something_else_is_refused(changes: dict[str, Any]) -> None:
    proof = replace(prove(FILES.get, 5), **changes)

    with pytest.raises(InvalidProof):
        verify_proof(proof, a_leaf(5), SIGNER.key)


def test_another_leaf_is_refused() -> None:
    with pytest.raises(InvalidProof):
        verify_proof(prove(FILES.get, 5), a_leaf(5) + b" ", SIGNER.key)


def test_a_proof_under_another_key_is_refused() -> None:
    with pytest.raises(InvalidNote):
        verify_proof(prove(FILES.get, 5), a_leaf(5), a_signer().key)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v2\nindex 5\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex 05\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex -5\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex 5\nextra AAAA\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex 5\nAAAA\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex 5\n\xff\n\ncheckpoint",
        b"c2sp.org/tlog-proof@v1\nindex 5\n" + b"A" * 43 + b"=\n\n" + b"c" * 1_000_000,
        b"c2sp.org/tlog-proof@v1\nindex 5\n" + (b"A" * 43 + b"=\n") * 64 + b"\ncheckpoint",
    ],
)
def test_what_is_not_a_proof_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidProof):
        Proof.parse(text)


def test_nothing_is_proved_beyond_the_checkpoint_or_without_one() -> None:
    with pytest.raises(IndexError):
        prove(FILES.get, SIZE)
    with pytest.raises(InvalidNote, match="no checkpoint"):
        prove({}.get, 0)


def test_extra_lines_are_carried_and_change_nothing() -> None:
    proof = Proof.parse(prove(FILES.get, 5, extra=EMPTY_ROOT).format())

    assert proof.extra == EMPTY_ROOT
    verify_proof(proof, a_leaf(5), SIGNER.key)
