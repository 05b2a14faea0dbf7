"""What was done to a log's directory is found, named, and located; what cannot be found is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.checkpoint import Checkpoint, cosign_checkpoint, sign_checkpoint
from gateway.audit.directory import FileReader
from gateway.audit.note import InvalidNote, Kind
from gateway.audit.tiles import decode_bundle, encode_bundle, hash_bundle
from gateway.audit.tlog_findings import LogFault
from gateway.audit.tlog_verify import LogReport, verify_log
from tests.audit.logs import NOON, ORIGIN, a_leaf, a_log, a_signer, leaves

Files = dict[str, bytes]
Tamper = Callable[[Files], None]

SIZE = 66_200  # two tiles of level 1, the second with two full bundles and an unfinished one of 152 entries
SIGNER = a_signer()
CHANGED, MISSING, DUPLICATED, REORDERED, ROLLED_BACK = LogFault
LAST_BUNDLE, LAST_TILE = "tile/entries/258.p/152", "tile/0/258.p/152"


@pytest.fixture(scope="module")
def whole() -> Files:
    return a_log(leaves(SIZE), SIGNER)


@pytest.fixture
def files(whole: Files) -> Files:
    return dict(whole)


def found(report: LogReport) -> set[tuple[LogFault, str, int | None]]:
    return {(finding.fault, finding.path, finding.index) for finding in report.findings}


def flip(path: str, place: int = 40) -> Tamper:
    def tamper(files: Files) -> None:
        files[path] = files[path][:place] + bytes([files[path][place] ^ 1]) + files[path][place + 1 :]

    return tamper


def remove(*paths: str) -> Tamper:
    def tamper(files: Files) -> None:
        for path in paths:
            del files[path]

    return tamper


def edit(path: str, change: Callable[[list[bytes]], None]) -> Tamper:
    """Change the entries of a bundle and nothing else."""

    def tamper(files: Files) -> None:
        content = decode_bundle(files[path])
        change(content)
        files[path] = encode_bundle(content)

    return tamper


def put(place: int, leaf: bytes) -> Callable[[list[bytes]], None]:
    def change(content: list[bytes]) -> None:
        content[place] = leaf

    return change


def swap(first: int, second: int) -> Callable[[list[bytes]], None]:
    def change(content: list[bytes]) -> None:
        content[first], content[second] = content[second], content[first]

    return change


def exchange(one: str, other: str) -> Tamper:
    def tamper(files: Files) -> None:
        files[one], files[other] = files[other], files[one]

    return tamper


def rewrite(bundle: str, tile: str, place: int) -> Tamper:
    """Change an entry and the tile over it, so that they agree."""

    def tamper(files: Files) -> None:
        edit(bundle, put(place, b"another"))(files)
        files[tile] = b"".join(hash_bundle(files[bundle]))

    return tamper


def test_an_untouched_log_passes(files: Files) -> None:
    seen: list[tuple[int, int]] = []

    report = verify_log(files.get, SIGNER.key, progress=lambda *progress: seen.append(progress))

    assert report.passed and not report.findings
    assert (report.origin, report.size, report.entries, report.pruned) == (ORIGIN, SIZE, SIZE, 0)
    assert report.content_bytes == sum(len(files[path]) for path in files if "entries" in path)
    assert seen == [(65_536, SIZE), (SIZE, SIZE)]


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        (flip("tile/entries/003"), {(CHANGED, "tile/entries/003", 769)}),
        (flip("tile/0/003"), {(CHANGED, "tile/0/003", None)}),
        (flip("tile/1/000"), {(CHANGED, "tile/1/000", None)}),
        (flip("tile/1/001.p/2"), {(CHANGED, "tile/1/001.p/2", None)}),
        (flip("tile/2/000.p/1", 4), {(CHANGED, "tile/2/000.p/1", None)}),
        (flip(LAST_BUNDLE), {(CHANGED, LAST_BUNDLE, 66_049)}),
        (flip(LAST_TILE), {(CHANGED, LAST_TILE, None)}),
        (flip("tile/entries/003", 1), {(CHANGED, "tile/entries/003", 768)}),
        (remove("tile/entries/003"), {(MISSING, "tile/entries/003", 768)}),
        (remove(LAST_BUNDLE), {(MISSING, LAST_BUNDLE, 66_048)}),
        (remove("tile/0/003"), {(MISSING, "tile/0/003", None)}),
        (remove("tile/1/000"), {(MISSING, "tile/1/000", None)}),
        (remove("tile/2/000.p/1"), {(MISSING, "tile/2/000.p/1", None)}),
        (
            remove("tile/entries/003", "tile/0/003"),
            {(MISSING, "tile/entries/003", 768), (MISSING, "tile/0/003", None)},
        ),
        (remove("checkpoint"), {(MISSING, "checkpoint", None)}),
        (edit("tile/entries/003", lambda content: content.pop(7)), {(MISSING, "tile/entries/003", 775)}),
        (edit(LAST_BUNDLE, lambda content: content.pop()), {(MISSING, LAST_BUNDLE, SIZE - 1)}),
        (edit("tile/entries/003", put(7, b"x")), {(CHANGED, "tile/entries/003", 775)}),
        (edit("tile/entries/003", put(7, a_leaf(770))), {(DUPLICATED, "tile/entries/003", 775)}),
        (
            edit("tile/entries/003", lambda content: content.append(content[7])),
            {(DUPLICATED, "tile/entries/003", 1024)},
        ),
        (edit("tile/entries/003", swap(7, 9)), {(REORDERED, "tile/entries/003", 775)}),
        (edit(LAST_BUNDLE, swap(7, 9)), {(REORDERED, LAST_BUNDLE, 66_055)}),
        (rewrite("tile/entries/003", "tile/0/003", 7), {(CHANGED, "tile/0/003", 768)}),
        (rewrite("tile/entries/257", "tile/0/257", 7), {(CHANGED, "tile/0/257", 65_792)}),
        (rewrite(LAST_BUNDLE, LAST_TILE, 7), {(CHANGED, "checkpoint", None)}),
    ],
)
def test_each_attack_has_its_name_and_place(
    files: Files, tamper: Tamper, expected: set[tuple[LogFault, str, int | None]]
) -> None:
    tamper(files)

    report = verify_log(files.get, SIGNER.key)

    assert not report.passed
    assert found(report) == expected


def test_bundles_that_changed_places_are_recognised(files: Files) -> None:
    exchange("tile/entries/003", "tile/entries/256")(files)

    report = verify_log(files.get, SIGNER.key)

    assert {(REORDERED, "tile/entries/003", 768), (REORDERED, "tile/entries/256", 65_536)} <= found(report)
    assert report.faults == 2 * 256 + 2


def test_a_bundle_in_the_place_of_another_is_recognised(files: Files) -> None:
    files["tile/entries/003"] = files["tile/entries/005"]

    assert (DUPLICATED, "tile/entries/003", 768) in found(verify_log(files.get, SIGNER.key))


@pytest.mark.parametrize("change", [("66200", "66199"), ("lendgate", "lendgates"), ("—", "-")])
def test_an_edited_checkpoint_is_not_believed(files: Files, change: tuple[str, str]) -> None:
    files["checkpoint"] = files["checkpoint"].decode().replace(*change, 1).encode()

    report = verify_log(files.get, SIGNER.key)

    assert (CHANGED, "checkpoint", None) in found(report)


def test_a_checkpoint_under_another_key_is_not_believed(files: Files) -> None:
    assert (CHANGED, "checkpoint", None) in found(verify_log(files.get, a_signer().key))


def test_a_log_that_was_put_back_passes_alone_and_is_found_against_a_saved_checkpoint(files: Files) -> None:
    old = a_log(leaves(300), SIGNER)

    alone, anchored = verify_log(old.get, SIGNER.key), verify_log(old.get, SIGNER.key, since=files["checkpoint"])

    assert alone.passed and not alone.anchored
    assert "NOT excluded" in " ".join(alone.remarks)
    assert found(anchored) == {(ROLLED_BACK, "checkpoint", 300)}


def test_a_history_that_was_written_anew_and_signed_again_is_found_against_a_saved_checkpoint(files: Files) -> None:
    content = leaves(700)
    content[3] = b"as if nothing had been"
    forged, honest = a_log(content, SIGNER), a_log(leaves(300), SIGNER)["checkpoint"]

    alone, anchored = verify_log(forged.get, SIGNER.key), verify_log(forged.get, SIGNER.key, since=honest)

    assert alone.passed and not alone.anchored
    assert found(anchored) == {(CHANGED, "checkpoint", None)}
    assert anchored.evidence == (honest, forged["checkpoint"])


def test_two_histories_of_one_size_are_found() -> None:
    forged, honest = a_log([b"another"], SIGNER), a_log(leaves(1), SIGNER)

    report = verify_log(forged.get, SIGNER.key, since=honest["checkpoint"])

    assert report.evidence == (honest["checkpoint"], forged["checkpoint"])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, 66_048, SIZE])
def test_a_log_that_only_grew_passes_against_each_earlier_checkpoint(files: Files, size: int) -> None:
    report = verify_log(files.get, SIGNER.key, since=a_log(leaves(size), SIGNER)["checkpoint"])

    assert report.passed and report.anchored
    assert not any("ANCHOR" in remark for remark in report.remarks)


def test_the_checkpoint_of_the_empty_log_is_no_anchor(files: Files) -> None:
    report = verify_log(files.get, SIGNER.key, since=a_log([], SIGNER)["checkpoint"])

    assert report.passed and not report.anchored


def test_a_saved_checkpoint_that_is_not_genuine_is_refused(files: Files) -> None:
    with pytest.raises(InvalidNote):
        verify_log(files.get, SIGNER.key, since=a_log(leaves(5), a_signer())["checkpoint"])


def test_a_witness_is_an_anchor_and_its_time_is_told() -> None:
    witness = a_signer("witness.example/w", Kind.COSIGNATURE)
    files = a_log(leaves(5), SIGNER)
    lonely = verify_log(files.get, SIGNER.key, witnesses=[witness.key], quorum=1)
    files["checkpoint"] = cosign_checkpoint(files["checkpoint"], witness, NOON)

    report = verify_log(files.get, SIGNER.key, witnesses=[witness.key], quorum=1)

    assert not lonely.passed
    assert report.passed and report.anchored
    assert "witness.example/w at 2026-03-01T12:00:00Z" in " ".join(report.remarks)


def test_pruned_bundles_are_counted_and_their_hashes_still_verified(files: Files) -> None:
    files["minimum_index"] = b"600\n"
    remove("tile/entries/000", "tile/entries/001")(files)

    report = verify_log(files.get, SIGNER.key)

    assert report.passed
    assert (report.pruned, report.entries) == (512, SIZE - 512)
    flip("tile/0/001")(files)
    assert not verify_log(files.get, SIGNER.key).passed


def test_a_bundle_that_the_minimum_index_does_not_cover_may_not_be_gone(files: Files) -> None:
    files["minimum_index"] = b"600\n"
    remove("tile/entries/002")(files)

    assert found(verify_log(files.get, SIGNER.key)) == {(MISSING, "tile/entries/002", 512)}


@pytest.mark.parametrize("text", [b"x\n", b"-1\n", b"66201\n"])
def test_a_minimum_index_that_cannot_be_is_a_finding(files: Files, text: bytes) -> None:
    files["minimum_index"] = text

    assert (CHANGED, "minimum_index", None) in found(verify_log(files.get, SIGNER.key))


def test_entries_beyond_the_checkpoint_are_remarked(files: Files) -> None:
    files["checkpoint"] = a_log(leaves(65_000), SIGNER)["checkpoint"]
    files |= {path: content for path, content in a_log(leaves(65_000), SIGNER).items() if ".p/" in path}

    report = verify_log(files.get, SIGNER.key)

    assert report.passed
    assert "beyond the checkpoint" in " ".join(report.remarks)


def test_an_empty_log_passes() -> None:
    report = verify_log(a_log([], SIGNER).get, SIGNER.key)

    assert (report.passed, report.size, report.entries) == (True, 0, 0)


def test_a_tree_that_was_signed_and_never_stored_is_all_missing() -> None:
    files = {"checkpoint": sign_checkpoint(Checkpoint(ORIGIN, 300, bytes(32)), SIGNER)}

    report = verify_log(files.get, SIGNER.key)

    assert {finding.fault for finding in report.findings} == {MISSING, CHANGED}


def test_a_bundle_too_short_and_without_its_tile_is_found(files: Files) -> None:
    edit("tile/entries/003", lambda content: content.pop())(files)
    remove("tile/0/003")(files)

    report = verify_log(files.get, SIGNER.key)

    assert found(report) == {(CHANGED, "tile/entries/003", 768), (MISSING, "tile/0/003", None)}


def test_several_processes_find_the_same(files: Files, tmp_path: Path) -> None:
    for tamper in (flip("tile/entries/003"), remove("tile/0/257"), flip(LAST_TILE)):
        tamper(files)
    for path, content in files.items():
        tmp_path.joinpath(path).parent.mkdir(parents=True, exist_ok=True)
        tmp_path.joinpath(path).write_bytes(content)

    report = verify_log(FileReader(tmp_path), SIGNER.key, workers=2)

    assert found(report) == {
        (CHANGED, "tile/entries/003", 769),
        (MISSING, "tile/0/257", None),
        (CHANGED, LAST_TILE, None),
    }
    assert (report.size, report.entries) == (SIZE, SIZE)
