"""Every attack on a published log is found against a saved checkpoint, and against a witness, with the right diagnosis.

The attacker has the log's directory and its genuine key. Attacks on the store's side (bodies, columns, chains) are in
`test_verify`; attacks on single files with their exact places in `test_tlog_verify`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.audit.checkpoint import cosign_checkpoint
from gateway.audit.note import Kind
from gateway.audit.policy import COSIGNED
from gateway.audit.tiles import decode_bundle, encode_bundle
from gateway.audit.tlog_findings import LogFault
from gateway.audit.tlog_verify import LogReport, verify_log
from tests.audit.logs import NOON, a_leaf, a_log, a_signer, leaves

SIGNER = a_signer()
WITNESS = a_signer("witness.example/w", Kind.COSIGNATURE)
CHANGED, MISSING, DUPLICATED, REORDERED, ROLLED_BACK = LogFault
SIZE, SAVED = 1_000, 600
BUNDLE, TILE = "tile/entries/001", "tile/0/001"

Files = dict[str, bytes]
Attack = Callable[[Files], Any]


def honest() -> Files:
    """A log of which the witness cosigned the newest checkpoint."""
    files = a_log(leaves(SIZE), SIGNER)
    files[COSIGNED] = cosign_checkpoint(files["checkpoint"], WITNESS, NOON)
    return files


def flip(path: str) -> Attack:
    def attack(files: Files) -> None:
        content = bytearray(files[path])
        content[45] ^= 1
        files[path] = bytes(content)

    return attack


def edit(change: Callable[[list[bytes]], Any]) -> Attack:
    def attack(files: Files) -> None:
        content = decode_bundle(files[BUNDLE])
        change(content)
        files[BUNDLE] = encode_bundle(content)

    return attack


def swap(content: list[bytes]) -> None:
    content[3], content[9] = content[9], content[3]


def copy(content: list[bytes]) -> None:
    content[3] = content[9]


def anew(content: list[bytes]) -> Attack:
    """Another history, signed by the log's own key; what the witness had signed is kept, or cannot be made anew."""

    def attack(files: Files) -> None:
        cosigned = files[COSIGNED]
        files.clear()
        files.update(a_log(content, SIGNER))
        files[COSIGNED] = cosigned

    return attack


MATRIX: dict[str, tuple[Attack, LogFault]] = {
    "a byte of an entry": (flip(BUNDLE), CHANGED),
    "a byte of a hash": (flip(TILE), CHANGED),
    "a byte of the checkpoint": (flip("checkpoint"), CHANGED),
    "an entry dropped": (edit(lambda content: content.pop(7)), MISSING),
    "two entries swapped": (edit(swap), REORDERED),
    "an entry copied over another": (edit(copy), DUPLICATED),
    "a bundle removed": (lambda files: files.pop(BUNDLE), MISSING),
    "cut off and signed again": (anew(leaves(SAVED - 100)), ROLLED_BACK),
    "rolled back to an older day": (anew(leaves(300)), ROLLED_BACK),
    "rewritten and signed again": (anew([b"another", *leaves(SIZE, 1)]), CHANGED),
    "an entry left out, and signed again": (anew([*leaves(5), *leaves(SIZE, 6)]), CHANGED),
    "two swapped, and signed again": (anew([a_leaf(1), a_leaf(0), *leaves(SIZE, 2)]), CHANGED),
    "one twice, and signed again": (anew([a_leaf(0), *leaves(SIZE)]), CHANGED),
}
SIGNED_AGAIN = [name for name in MATRIX if "again" in name or "older day" in name]


def by_saved(files: Files) -> LogReport:
    return verify_log(files.get, SIGNER.key, since=a_log(leaves(SAVED), SIGNER)["checkpoint"])


def by_witness(files: Files) -> LogReport:
    return verify_log(files.get, SIGNER.key, witnesses=[WITNESS.key], quorum=1)


@pytest.mark.parametrize("anchor", [by_saved, by_witness])
def test_an_honest_log_passes(anchor: Callable[[Files], LogReport]) -> None:
    report = anchor(honest())

    assert report.passed and report.anchored


@pytest.mark.parametrize("anchor", [by_saved, by_witness])
@pytest.mark.parametrize("name", MATRIX)
def test_each_attack_is_found_with_its_name(name: str, anchor: Callable[[Files], LogReport]) -> None:
    attack, fault = MATRIX[name]
    files = honest()
    attack(files)

    report = anchor(files)

    assert not report.passed
    assert fault in {finding.fault for finding in report.findings}


@pytest.mark.parametrize("name", SIGNED_AGAIN)
def test_what_was_signed_again_passes_alone_and_that_is_said(name: str) -> None:
    files = honest()
    MATRIX[name][0](files)

    report = verify_log(files.get, SIGNER.key)

    assert report.passed and not report.anchored
    assert any("NOT excluded" in remark for remark in report.remarks)


@pytest.mark.parametrize("name", SIGNED_AGAIN)
def test_removing_what_the_witness_signed_hides_nothing(name: str) -> None:
    files = honest()
    MATRIX[name][0](files)
    del files[COSIGNED]

    report = by_witness(files)

    assert (MISSING, COSIGNED) in {(finding.fault, finding.path) for finding in report.findings}


def test_a_log_and_its_cosigned_checkpoint_put_back_together_show_by_their_age() -> None:
    files = a_log(leaves(300), SIGNER)
    files[COSIGNED] = cosign_checkpoint(files["checkpoint"], WITNESS, NOON)

    report = by_witness(files)

    assert report.passed
    assert any("2026-03-01T12:00:00Z; see that this is recent" in remark for remark in report.remarks)
