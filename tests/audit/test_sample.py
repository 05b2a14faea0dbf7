"""A sample that nobody can steer and everybody can repeat."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.sample import pick

HEAD = Checkpoint("log.example/l", 1000, bytes(32))


def test_the_rule_is_the_written_one() -> None:
    head = "lendgate sample v1\nlog.example/l\n1000\n" + "00" * 32 + "\nQ1\n"
    first = int.from_bytes(sha256(f"{head}0".encode()).digest(), "big") % 777

    assert pick(HEAD, "Q1", 1, 777) == [first]


def test_picks_are_distinct_and_a_larger_sample_begins_with_the_smaller() -> None:
    picked = pick(HEAD, "Q1", 700, 777)

    assert len(set(picked)) == 700 and max(picked) < 777
    assert picked[:25] == pick(HEAD, "Q1", 25, 777)


def test_seed_size_root_and_origin_all_count() -> None:
    others = [replace(HEAD, size=1001), replace(HEAD, root=b"1" * 32), replace(HEAD, origin="log.example/m")]

    assert len({tuple(pick(one, "Q1", 5, 777)) for one in (HEAD, *others)} | {tuple(pick(HEAD, "Q2", 5, 777))}) == 5


def test_a_sample_of_everything_is_everything() -> None:
    assert pick(HEAD, "Q1", 9, 4) == [0, 1, 2, 3]
