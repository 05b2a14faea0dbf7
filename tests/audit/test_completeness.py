"""One operation's records: whole, or what is wrong with them and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.audit.completeness import examine_chain
from gateway.audit.reading import Search, chain_of, leaf_of, search
from gateway.audit.record import Leaf
from gateway.audit.tlog_findings import LogFault
from tests.audit.logs import a_log, a_signer, leaves

CHANGED, MISSING, DUPLICATED, REORDERED, _ = LogFault
SIGNER = a_signer()


def chain(name: str, number: int) -> list[bytes]:
    """Records of one operation, each linked to the one before; the second is an intent that nothing answers."""
    made: list[bytes] = []
    previous = ""
    for count in range(1, number + 1):
        kind = "intent" if count == 2 else "change"
        leaf = Leaf({"id": f"rec_{name}_{count}", "kind": kind, "chain": name, "at": f"2026-03-0{count}"})
        content, previous = leaf(count, previous, count)
        made.append(content)
    return made


def put(records: list[bytes]) -> dict[str, bytes]:
    """A log of two bundles with these records spread over it."""
    content = leaves(300)
    for place, record in zip(range(40, 300, 50), records, strict=False):
        content[place] = record
    return a_log(content, SIGNER)


def test_a_whole_history_passes_and_its_open_intents_are_named() -> None:
    files = put(chain("pay_1", 5))

    report = examine_chain(files.get, 300, "pay_1")

    assert report.passed
    assert [one.number for one in report.records] == [1, 2, 3, 4, 5]
    assert report.unanswered == ["rec_pay_1_2"]


def pop(place: int) -> Callable[[list[bytes]], Any]:
    return lambda records: records.pop(place)


def swap(records: list[bytes]) -> None:
    records[1], records[2] = records[2], records[1]


def copy(records: list[bytes]) -> None:
    records[3] = records[1]


def rewrite(records: list[bytes]) -> None:
    records[1] = records[1].replace(b"2026-03-02", b"2026-03-09")


@pytest.mark.parametrize(
    ("tamper", "faults", "says"),
    [
        (pop(0), {MISSING}, "number 1 is missing"),
        (pop(2), {MISSING}, "number 3 is missing"),
        (swap, {REORDERED}, "number 3 stands before number 2"),
        (copy, {DUPLICATED, MISSING}, "number 2 stands at the entries 90 and 190"),
        (rewrite, {CHANGED}, "number 3 was written behind another record"),
    ],
)
def test_what_is_wrong_is_named(tamper: Callable[[list[bytes]], Any], faults: set[LogFault], says: str) -> None:
    records = chain("pay_1", 5)
    tamper(records)

    report = examine_chain(put(records).get, 300, "pay_1")

    assert not report.passed
    assert {finding.fault for finding in report.findings} == faults
    assert says in " ".join(map(str, report.findings))


def test_an_operation_without_a_record_does_not_pass() -> None:
    assert not examine_chain(put(chain("pay_1", 5)).get, 300, "pay_2").passed


def test_a_search_compares_members_and_not_bytes_anywhere() -> None:
    inside = Leaf({"id": "rec_x", "kind": "act", "chain": "x", "at": "2026", "detail": {"chain": "pay_1"}})(1, "", 1)[0]
    files = put([*chain("pay_1", 2), inside])

    assert [one.id for one in chain_of(files.get, 300, "pay_1")] == ["rec_pay_1_1", "rec_pay_1_2"]
    assert [one.id for one in search(files.get, 300, Search(kind="act"))] == ["rec_x"]
    found = leaf_of(files.get, 300, "rec_pay_1_2")
    assert found is not None and found.index == 90
    assert leaf_of(files.get, 300, "rec_pay_1_3") is None
