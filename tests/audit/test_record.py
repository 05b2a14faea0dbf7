from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from gateway.audit.record import LARGEST_LEAF, Leaf, commitment, instant, leaf_hash, shown
from gateway.crypto.canonical import canonical_json


def test_a_leaf_is_canonical_json_of_its_members_and_its_place() -> None:
    leaf, hash_ = Leaf({"id": "rec_1", "kind": "act", "reason": "查证", "process": "p", "gone": None})(3, "ab" * 32, 17)

    members = {"id": "rec_1", "kind": "act", "reason": "查证", "process": "p"}
    place = {"counter": 17, "number": 3, "previous": "ab" * 32}
    assert leaf == canonical_json({**members, "place": place})
    assert hash_ == leaf_hash(leaf)


def test_a_leaf_can_be_finished_again_in_another_place() -> None:
    leaf = Leaf({"id": "rec_1", "process": "p"})

    first, second = leaf(1, "", 1), leaf(2, "00", 2)

    assert leaf(1, "", 1) == first != second


def test_the_hash_is_that_of_a_transparency_log() -> None:
    # RFC 6962 section 2.1: the leaf of the empty string, as certificate transparency's own tests have it.
    assert leaf_hash(b"") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_a_leaf_that_would_be_too_large_is_refused_before_it_is_committed() -> None:
    large = Leaf({"id": "x" * (LARGEST_LEAF - 200), "process": "p"})
    assert len(large(2**53 - 1, "f" * 64, 2**53 - 1)[0]) <= LARGEST_LEAF

    with pytest.raises(ValueError, match="does not fit"):
        Leaf({"id": "x" * LARGEST_LEAF, "process": "p"})


def test_a_commitment_needs_its_salt() -> None:
    digest = hashlib.sha256(b"13800000000").hexdigest()

    assert commitment(b"a" * 16, digest) == hashlib.sha256(b"a" * 16 + bytes.fromhex(digest)).hexdigest()
    assert commitment(b"a" * 16, digest) != commitment(b"b" * 16, digest) != digest


def test_times_are_utc_with_microseconds() -> None:
    assert instant(datetime(2026, 3, 1, 8, tzinfo=UTC)) == "2026-03-01T08:00:00.000000Z"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://bank.example/pay/7", "https://bank.example/pay/7"),
        ("https://me:secret@bank.example:8443/pay?token=secret&b=2#x", "https://bank.example:8443/pay?token&b"),
        ("http://[::1]:80/?a", "http://[::1]:80/?a"),
        ("https://bank.example/pay?", "https://bank.example/pay"),
    ],
)
def test_a_shown_address_has_names_but_no_values(url: str, expected: str) -> None:
    assert shown(url) == expected


def test_members_are_json() -> None:
    leaf, _ = Leaf({"id": 'a"b\\', "process": "p", "detail": {"n": [1, True]}})(1, "", 1)

    assert json.loads(leaf)["id"] == 'a"b\\'
    with pytest.raises(TypeError):
        Leaf({"id": 1.5, "process": "p"})
