"""Tiles: their paths, their encoding, published logs, and a log that grows in steps of every kind."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.note import VerifierKey, parse_note
from gateway.audit.proof import prove, verify_proof
from gateway.audit.tiles import (
    ENTRIES,
    Edge,
    MissingTile,
    TileReader,
    decode_bundle,
    encode_bundle,
    entries,
    filled,
    hash_bundle,
    levels,
    tile_path,
    width,
)
from gateway.audit.tlog_verify import verify_log
from gateway.audit.tree import EMPTY_ROOT, RightEdge, consistency_proof, hash_leaf, verify_consistency
from tests.audit.logs import a_leaf, a_log, a_signer, leaves

VECTORS = Path(__file__).with_name("vectors")


def published(name: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    case = json.loads((VECTORS / name).read_text())
    return case, {path: base64.b64decode(content) for path, content in case["files_base64"].items()}


@pytest.mark.parametrize(
    ("level", "index", "wide", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 999, 256, "tile/0/999"),
        (1, 1000, 256, "tile/1/x001/000"),
        (2, 1234067, 256, "tile/2/x001/x234/067"),
        (63, 5, 1, "tile/63/005.p/1"),
        (ENTRIES, 1234067, 255, "tile/entries/x001/x234/067.p/255"),
    ],
)
def test_paths_are_in_groups_of_three_digits(level: int | str, index: int, wide: int, path: str) -> None:
    assert tile_path(level, index, wide) == path


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_specifications_example() -> None:
    size = 70_000

    assert levels(size) == 3
    assert [width(0, index, size) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width(1, index, size) for index in (0, 1, 2)] == [256, 17, 0]
    assert [width(2, index, size) for index in (0, 1)] == [1, 0]
    assert (levels(256), width(0, 0, 256), width(1, 0, 256)) == (2, 256, 1)


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_a_bundle_is_read_back_and_hashed_entry_by_entry(content: list[bytes]) -> None:
    bundle = encode_bundle(content)

    assert decode_bundle(bundle) == content
    assert hash_bundle(bundle) == [hash_leaf(leaf) for leaf in content]


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5), st.integers(1, 3))
def test_a_bundle_that_was_cut_is_noticed_or_has_fewer_entries(content: list[bytes], cut: int) -> None:
    bundle = encode_bundle(content)[:-cut]

    for read in (decode_bundle, hash_bundle):
        try:
            assert len(read(bundle)) < len(content)
        except ValueError as error:
            assert "cut off" in str(error)


def test_the_largest_entry_fits_and_a_larger_one_does_not() -> None:
    assert decode_bundle(encode_bundle([bytes(65_535)])) == [bytes(65_535)]
    with pytest.raises(ValueError, match="65536 bytes"):
        encode_bundle([bytes(65_536)])


@pytest.mark.parametrize("size", range(1, 16))
def test_a_published_log_verifies_at_each_of_its_sizes(size: int) -> None:
    case, files = published("tessera-testlog-15.json")
    files["checkpoint"] = files[f"checkpoint.{size}"]

    report = verify_log(files.get, VerifierKey.parse(case["vkey"]), since=files[f"checkpoint.{max(1, size - 2)}"])

    assert (report.findings, report.size, report.entries) == ([], size, size)


def test_a_writer_of_ours_gives_the_same_files_as_the_one_of_a_published_log() -> None:
    _, files = published("tessera-testlog-15.json")
    edge, ours = Edge(), {}

    for _, leaf in list(entries(files.get, 15)):
        edge.append(leaf)
        ours |= edge.take_partial()

    assert ours == {path: content for path, content in files.items() if path.startswith("tile/")}


def test_hash_tiles_of_a_published_log_of_two_levels_lead_to_its_root() -> None:
    _, files = published("sunlight-mirror-300.json")
    head = Checkpoint.parse(parse_note(files["checkpoint"]).text)

    assert TileReader(files.get, head.size).root() == head.root


@settings(max_examples=30)
@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_a_log_that_grows_in_steps_has_the_files_and_roots_of_one_made_at_once(steps: list[int]) -> None:
    edge, files, plain, size = Edge(), {}, RightEdge(), 0
    for step in steps:
        for leaf in leaves(step, size):
            edge.append(leaf)
            plain.append(hash_leaf(leaf))
        size += step
        files |= edge.take_full() | edge.take_partial()
        assert edge.root() == plain.root() == TileReader(files.get, size).root()
        # After a restart the edge comes from the disk.
        edge = Edge.load(files.get, size)

    at_once = a_log(leaves(size), a_signer())
    del at_once["checkpoint"]
    assert at_once.items() <= files.items()
    assert [leaf for _, leaf in entries(files.get, size)] == leaves(size)


def test_the_third_level_begins_where_the_second_is_full() -> None:
    edge = Edge()
    for index in range(65_536 + 300):
        edge.append(a_leaf(index))

    files = edge.take_full() | edge.take_partial()

    assert {path for path in files if path.startswith(("tile/1", "tile/2"))} == {
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
    }
    assert Edge.load(files.get, edge.size).root() == edge.root()
    assert TileReader(files.get, edge.size).root() == edge.root()


def test_partial_tiles_that_became_full_are_named_once() -> None:
    assert filled(300, 600) == ["tile/0/001", "tile/entries/001"]
    assert filled(300, 301) == filled(256, 600) == filled(0, 600) == []
    assert filled(65_000, 70_000) == ["tile/0/253", "tile/entries/253", "tile/1/000"]


def test_the_full_tile_stands_in_for_a_partial_one_that_is_gone() -> None:
    signer = a_signer()
    old = a_log(leaves(300), signer)
    new = a_log(leaves(600), signer) | {path: old[path] for path in ("checkpoint", "tile/1/000.p/1")}

    report = verify_log(new.get, signer.key)

    assert (report.findings, report.entries) == ([], 300)
    assert Edge.load(new.get, 300).root() == Edge.load(old.get, 300).root()
    verify_proof(prove(new.get, 299), a_leaf(299), signer.key)


def test_consistency_is_proved_from_tiles() -> None:
    files = a_log(leaves(700), a_signer())
    reader = TileReader(files.get, 700)

    for first in (1, 255, 256, 257, 512, 699, 700):
        proof = consistency_proof(reader, first, 700)
        verify_consistency(first, 700, reader.root(first), reader.root(), proof)


def test_a_missing_or_short_tile_is_named() -> None:
    files = a_log(leaves(300), a_signer())
    short = {**files, "tile/0/001.p/44": files["tile/0/001.p/44"][:-1]}
    gone = {path: content for path, content in files.items() if path != "tile/0/001.p/44"}

    with pytest.raises(MissingTile, match="has 1407 bytes, not 1408"):
        TileReader(short.get, 300).root()
    with pytest.raises(MissingTile, match=r"tile/0/001\.p/44 is missing"):
        TileReader(gone.get, 300).root()
    with pytest.raises(MissingTile, match="missing"):
        Edge.load(gone.get, 300)


def test_an_edge_is_not_loaded_over_entries_that_are_not_those_of_the_tree() -> None:
    files = a_log(leaves(300), a_signer())
    files["tile/entries/001.p/44"] = encode_bundle(leaves(44, 1000))

    with pytest.raises(MissingTile, match="are not those of its tree"):
        Edge.load(files.get, 300)


def test_nothing_has_the_root_of_nothing() -> None:
    assert Edge().root() == Edge.load({}.get, 0).root() == EMPTY_ROOT
    assert TileReader({}.get, 0).root() == EMPTY_ROOT
