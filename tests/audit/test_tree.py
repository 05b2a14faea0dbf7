"""The Merkle tree against published vectors, and against its own definition for every small size."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.tree import (
    EMPTY_ROOT,
    InvalidProof,
    RightEdge,
    consistency_proof,
    hash_children,
    hash_leaf,
    inclusion_proof,
    range_root,
    verify_consistency,
    verify_inclusion,
)

VECTORS = Path(__file__).with_name("vectors")
INCLUSION: dict[str, Any] = json.loads((VECTORS / "inclusion.json").read_text())
CONSISTENCY: dict[str, Any] = json.loads((VECTORS / "consistency.json").read_text())
ROOTS: dict[str, Any] = json.loads((VECTORS / "rfc6962-roots.json").read_text())
LEAVES = [bytes.fromhex(leaf) for leaf in ROOTS["leaf_inputs_hex"]]
LARGEST = 70


def definition(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return hash_children(definition(hashes[:middle]), definition(hashes[middle:]))


def hashes(number: int) -> list[bytes]:
    return [hash_leaf(str(index).encode()) for index in range(number)]


def reading(leaves: list[bytes]) -> Any:
    return lambda level, index: definition(leaves[index << level : (index + 1) << level])


def raw(texts: list[str] | None) -> list[bytes]:
    return [base64.b64decode(text) for text in texts or ()]


def test_all_published_vectors_are_here() -> None:
    assert (len(INCLUSION), sum(case["wantErr"] for case in INCLUSION.values())) == (98, 92)
    assert (len(CONSISTENCY), sum(case["wantErr"] for case in CONSISTENCY.values())) == (98, 92)


@pytest.mark.parametrize("name", INCLUSION)
def test_inclusion_is_judged_as_published(name: str) -> None:
    case = INCLUSION[name]
    leaf_hash, root = raw([case["leafHash"] or "", case["root"] or ""])
    arguments = (case["leafIdx"], case["treeSize"], leaf_hash, raw(case["proof"]), root)

    if case["wantErr"]:
        with pytest.raises(InvalidProof):
            verify_inclusion(*arguments)
    else:
        verify_inclusion(*arguments)


@pytest.mark.parametrize("name", CONSISTENCY)
def test_consistency_is_judged_as_published(name: str) -> None:
    case = CONSISTENCY[name]
    first_root, second_root = raw([case["root1"] or "", case["root2"] or ""])
    arguments = (case["size1"], case["size2"], first_root, second_root, raw(case["proof"]))

    if case["wantErr"]:
        with pytest.raises(InvalidProof):
            verify_consistency(*arguments)
    else:
        verify_consistency(*arguments)


@pytest.mark.parametrize("size", range(9))
def test_a_growing_tree_has_the_published_roots(size: int) -> None:
    edge = RightEdge()

    edge.extend(map(hash_leaf, LEAVES[:size]))

    assert edge.root().hex() == ROOTS["root_hash_hex_by_size"][size]
    assert edge.size == size


@pytest.mark.parametrize("name", [name for name, case in INCLUSION.items() if not case["wantErr"]])
def test_our_inclusion_proofs_are_the_published_ones(name: str) -> None:
    case = INCLUSION[name]
    leaves = [hash_leaf(leaf) for leaf in LEAVES][: case["treeSize"]]

    proof = inclusion_proof(reading(leaves), case["leafIdx"], case["treeSize"])

    assert proof == raw(case["proof"])


@pytest.mark.parametrize(
    "name", [name for name, case in CONSISTENCY.items() if not case["wantErr"] and case["size2"] <= len(LEAVES)]
)
def test_our_consistency_proofs_are_the_published_ones(name: str) -> None:
    case = CONSISTENCY[name]
    leaves = [hash_leaf(leaf) for leaf in LEAVES]

    proof = consistency_proof(reading(leaves), case["size1"], case["size2"])

    assert proof == raw(case["proof"])


def test_every_leaf_of_every_small_tree_can_be_proved() -> None:
    for size in range(1, LARGEST):
        leaves = hashes(size)
        root = definition(leaves)
        for index in range(size):
            proof = inclusion_proof(reading(leaves), index, size)

            verify_inclusion(index, size, leaves[index], proof, root)


def test_every_small_tree_can_be_proved_to_continue_every_smaller_one() -> None:
    leaves = hashes(LARGEST)
    roots = [definition(leaves[:size]) for size in range(LARGEST + 1)]
    for second in range(1, LARGEST + 1):
        for first in range(1, second + 1):
            proof = consistency_proof(reading(leaves), first, second)

            verify_consistency(first, second, roots[first], roots[second], proof)


@given(st.integers(1, 300), st.data())
def test_a_proof_with_one_hash_changed_left_out_or_added_proves_nothing(size: int, data: st.DataObject) -> None:
    leaves = hashes(size)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(reading(leaves), index, size)
    root = range_root(reading(leaves), 0, size)
    place = data.draw(st.integers(0, len(proof)))
    wrong = [[*proof[:place], EMPTY_ROOT, *proof[place:]]]
    if place < len(proof):
        wrong += [[*proof[:place], EMPTY_ROOT, *proof[place + 1 :]], proof[:place] + proof[place + 1 :]]

    for attempt in wrong:
        with pytest.raises(InvalidProof):
            verify_inclusion(index, size, leaves[index], attempt, root)


def test_nothing_is_proved_of_a_leaf_or_a_size_that_is_not_there() -> None:
    read = reading(hashes(4))

    for index, size in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(IndexError):
            inclusion_proof(read, index, size)
    for first, second in ((0, 4), (5, 4)):
        with pytest.raises(IndexError):
            consistency_proof(read, first, second)


def test_a_subtree_goes_only_where_one_of_its_size_begins() -> None:
    edge = RightEdge()
    edge.append(hash_leaf(b""))

    with pytest.raises(ValueError, match="cannot follow"):
        edge.append(EMPTY_ROOT, level=8)
