"""The log's directory refuses what must not happen, whoever asks for it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from gateway.audit.checkpoint import Checkpoint, sign_checkpoint
from gateway.audit.directory import Directory, FileReader, OperatingSystem
from gateway.audit.tiles import ENTRIES, tile_path
from gateway.audit.tlog_verify import verify_log
from gateway.model.problems import StorageError
from tests.audit.logs import ORIGIN, a_log, a_signer, leaves

SIGNER = a_signer()


def published(directory: Directory, size: int) -> None:
    files = a_log(leaves(size), SIGNER)
    checkpoint = files.pop("checkpoint")
    directory.add(files)
    directory.publish(checkpoint)


def names(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file() and ".state" not in path.parts
    }


def test_what_is_written_is_a_log_that_verifies(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "log")

    published(directory, 300)

    assert verify_log(FileReader(tmp_path / "log"), SIGNER.key).passed
    assert names(tmp_path / "log") == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    }


def test_one_process_writes_at_a_time(tmp_path: Path) -> None:
    first, second = Directory(tmp_path / "log"), Directory(tmp_path / "log")
    first.lock()

    with pytest.raises(StorageError, match="another process writes the log"):
        second.lock()
    first.close()
    second.lock()
    second.close()


def test_a_tile_that_is_there_is_never_changed(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    directory.add({"tile/0/000.p/1": b"a" * 32})

    directory.add({"tile/0/000.p/1": b"a" * 32})
    with pytest.raises(StorageError, match="never change"):
        directory.add({"tile/0/000.p/1": b"b" * 32})
    assert directory.read("tile/0/000.p/1") == b"a" * 32


@pytest.mark.parametrize(
    ("checkpoint", "why"),
    [
        (Checkpoint(ORIGIN, 4, bytes(32)), "never goes back to 4"),
        (Checkpoint(ORIGIN, 5, bytes(32)), "another tree of size 5"),
        (Checkpoint("log.example/other", 6, bytes(32)), "is the log"),
    ],
)
def test_a_checkpoint_that_contradicts_the_published_one_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, why: str
) -> None:
    directory = Directory(tmp_path)
    published(directory, 5)

    with pytest.raises(StorageError, match=why):
        directory.publish(sign_checkpoint(checkpoint, SIGNER))


def test_only_checkpoints_are_published(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no checkpoint"):
        Directory(tmp_path).publish(b"size 5")


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000"])
def test_what_has_rules_of_its_own_is_not_replaced(tmp_path: Path, path: str) -> None:
    with pytest.raises(ValueError, match="rules of its own"):
        Directory(tmp_path).replace(path, b"")


def test_pruning_removes_bundles_below_the_published_index_and_nothing_else(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    published(directory, 1000)
    before = names(tmp_path)

    assert directory.prune(700) == 2
    assert directory.prune(700) == 0

    assert before - names(tmp_path) == {"tile/entries/000", "tile/entries/001"}
    assert directory.minimum() == 700
    assert verify_log(directory.read, SIGNER.key).passed


def test_pruning_finds_bundles_in_all_groups(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    bundles = {tile_path(ENTRIES, index): b"" for index in (0, 999, 1000, 1001, 999_999, 1_000_000, 1_000_001)}
    directory.add(bundles)
    directory.publish(sign_checkpoint(Checkpoint(ORIGIN, 1 << 40, bytes(32)), SIGNER))

    assert directory.prune(1_000_001 * 256) == 6

    assert names(tmp_path) == {"checkpoint", "minimum_index", tile_path(ENTRIES, 1_000_001)}


@pytest.mark.parametrize("minimum", [699, 1001, -1])
def test_the_minimum_index_only_rises_and_stays_within_the_log(tmp_path: Path, minimum: int) -> None:
    directory = Directory(tmp_path)
    published(directory, 1000)
    directory.prune(700)

    with pytest.raises(StorageError, match="rises from 700 up to the size 1000"):
        directory.prune(minimum)


def test_a_sweep_removes_partial_tiles_that_are_full_and_keeps_those_of_the_edge(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    published(directory, 300)
    published(directory, 310)
    published(directory, 600)

    directory.sweep(600)

    assert {path for path in names(tmp_path) if ".p/" in path} == {
        "tile/0/002.p/88",
        "tile/1/000.p/1",
        "tile/1/000.p/2",
        "tile/entries/002.p/88",
    }


def test_a_failure_of_the_disk_stops_the_log(tmp_path: Path) -> None:
    class Full(OperatingSystem):
        @staticmethod
        def fsync(fd: int) -> None:
            raise OSError(errno.ENOSPC, "no space left")

    directory = Directory(tmp_path)

    directory._system = Full()
    with pytest.raises(StorageError, match="no space left"):
        directory.add({"tile/0/000": b""})
    assert directory.read("tile/0/000") is None


def test_a_root_that_is_no_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError, match="file"):
        Directory(tmp_path / "file")
