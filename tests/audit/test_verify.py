"""The tamper matrix: each way of changing the store by hand is found, named and placed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from gateway.audit.journal import Journal
from gateway.audit.record import leaf_hash
from gateway.audit.verify import Fault, Report, Verifier, verify, verify_store
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.store.interface import Entry, Recorded
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from tests.audit.history import a_history, an_intent, an_outcome

# Where the records of `a_history` stand: 1 start, 2-4 pay_1, 5-7 pay_2, 8-9 pay_1 again, 10 act on pay_2, 11 stop.
CHANGED, MISSING, DUPLICATED, REORDERED = Fault.CHANGED, Fault.MISSING, Fault.DUPLICATED, Fault.REORDERED


async def tampered(
    store: SQLiteStore, journal: Journal, sealer: Sealer, path: Path, tamper: Callable[[apsw.Connection], object]
) -> Report:
    await a_history(store, journal)
    await store.close()
    connection = apsw.Connection(str(path))
    tamper(connection)
    connection.close()
    store = await SQLiteStore.open(path, ManualClock())
    report = await verify_store(store, sealer.open)
    await store.close()
    return report


def sql(statement: str) -> Callable[[apsw.Connection], object]:
    return lambda connection: connection.execute(statement)


def rewritten(position: int, old: str, new: str) -> Callable[[apsw.Connection], object]:
    """Change a leaf and give it the hash that it should have then."""

    def tamper(connection: apsw.Connection) -> None:
        leaf = connection.execute("SELECT leaf FROM records WHERE position = ?", (position,)).get
        changed = leaf.replace(old.encode(), new.encode())
        assert changed != leaf
        values = (changed, leaf_hash(changed), position)
        connection.execute("UPDATE records SET leaf = ?, hash = ? WHERE position = ?", values)

    return tamper


def copied(position: int, to: int) -> Callable[[apsw.Connection], object]:
    def tamper(connection: apsw.Connection) -> None:
        connection.execute("DROP INDEX records_chain")
        columns = "id, chain, number, client, kind, at, leaf, hash, digest, content, body"
        query = f"INSERT INTO records (position, {columns}) SELECT ?, {columns} FROM records WHERE position = ?"
        connection.execute(query, (to, position))

    return tamper


CLOSE_THE_GAP_AT_3 = """
DELETE FROM records WHERE position = 3;
UPDATE records SET position = -position WHERE position > 3;
UPDATE records SET position = -position - 1 WHERE position < 0;
"""
OTHER_REQUEST = "UPDATE records SET digest = '" + "ab" * 32 + "' WHERE position = 2"
SWAP_BODIES = """
CREATE TEMP TABLE kept AS SELECT position, body FROM records WHERE position IN (2, 5);
UPDATE records SET body = (SELECT body FROM kept WHERE kept.position = 7 - records.position) WHERE position IN (2, 5);
"""


def exchanged(one: int, other: int) -> Callable[[apsw.Connection], object]:
    return sql(
        f"UPDATE records SET position = 999 WHERE position = {one};"
        f"UPDATE records SET position = {one} WHERE position = {other};"
        f"UPDATE records SET position = {other} WHERE position = 999;"
    )


MATRIX = {
    "a leaf": (rewritten(3, "PAID", "VOID"), CHANGED, 7, 4),
    "a leaf, its hash left": (sql("UPDATE records SET leaf = CAST('{}' AS BLOB) WHERE position = 3"), CHANGED, 2, 3),
    "a byte of a leaf": (
        sql("UPDATE records SET leaf = CAST(replace(leaf, 'PAID', 'VOID') AS BLOB) WHERE position = 3"),
        *(CHANGED, 2, 3),
    ),
    "a hash": (sql("UPDATE records SET hash = '" + "0" * 64 + "' WHERE position = 3"), CHANGED, 2, 3),
    "spaces in a leaf": (rewritten(9, '{"at', '{ "at'), CHANGED, 3, 9),
    "the format of a leaf": (rewritten(9, '"format":1', '"format":2'), CHANGED, 3, 9),
    "an identifier": (sql("UPDATE records SET id = 'rec_x' WHERE position = 3"), CHANGED, 4, 3),
    "a client": (sql("UPDATE records SET client = 'other' WHERE position = 3"), CHANGED, 4, 3),
    "a kind": (sql("UPDATE records SET kind = 'act' WHERE position = 3"), CHANGED, 4, 3),
    "a time": (sql("UPDATE records SET at = at + 1 WHERE position = 3"), CHANGED, 4, 3),
    "a number": (sql("UPDATE records SET number = 77 WHERE position = 3"), CHANGED, 4, 3),
    "a chain": (sql("UPDATE records SET chain = 'pay_3' WHERE position = 3"), CHANGED, 4, 3),
    "a sealed part": (sql("UPDATE records SET body = x'00' WHERE position = 3"), CHANGED, 5, 3),
    "a sealed part taken away": (sql("UPDATE records SET body = NULL WHERE position = 3"), MISSING, 5, 3),
    "a sealed part added": (sql("UPDATE records SET body = x'00' WHERE position = 4"), CHANGED, 5, 4),
    "sealed parts exchanged": (sql(SWAP_BODIES), CHANGED, 5, 2),
    "a digest": (sql(OTHER_REQUEST), CHANGED, 10, 2),
    "a digest taken away": (sql("UPDATE records SET digest = NULL WHERE position = 2"), CHANGED, 10, 2),
    "a content digest": (sql("UPDATE records SET content = digest WHERE position = 2"), CHANGED, 10, 2),
    "a record removed": (sql("DELETE FROM records WHERE position = 4"), MISSING, 1, None),
    "a record removed from its chain": (sql("DELETE FROM records WHERE position = 4"), MISSING, 6, None),
    "a record removed and the gap closed": (sql(CLOSE_THE_GAP_AT_3), MISSING, 6, None),
    "the newest record of a chain removed": (sql("DELETE FROM records WHERE position = 9"), MISSING, 8, None),
    "the first record removed": (sql("DELETE FROM records WHERE position = 1"), MISSING, 6, None),
    "an intent removed": (sql("DELETE FROM records WHERE position = 2"), MISSING, 9, 3),
    "a whole chain removed": (sql("DELETE FROM records WHERE chain = 'pay_2'"), MISSING, 8, None),
    "a record copied": (copied(4, 12), DUPLICATED, 6, 12),
    "an intent copied": (copied(2, 12), DUPLICATED, 6, 12),
    "two records of a chain exchanged": (exchanged(3, 4), REORDERED, 6, 4),
    "two records of different chains exchanged": (exchanged(4, 5), REORDERED, 8, 5),
    "a record moved to the end": (sql("UPDATE records SET position = 99 WHERE position = 3"), REORDERED, 6, 99),
}


@pytest.mark.parametrize(("tamper", "fault", "step", "position"), MATRIX.values(), ids=MATRIX)
async def test_it_is_found_that_somebody_touched(
    store: SQLiteStore,
    journal: Journal,
    sealer: Sealer,
    tmp_path: Path,
    tamper: Callable[[apsw.Connection], object],
    fault: Fault,
    step: int,
    position: int | None,
) -> None:
    report = await tampered(store, journal, sealer, tmp_path / "lendgate.db", tamper)

    assert not report.passed
    assert (fault, step, position) in [(one.fault, one.step, one.position) for one in report.findings]


async def test_an_untouched_history_passes(
    store: SQLiteStore, journal: Journal, sealer: Sealer, tmp_path: Path
) -> None:
    report = await tampered(store, journal, sealer, tmp_path / "lendgate.db", lambda connection: None)

    assert report.passed, report.findings
    assert (report.records, report.chains, report.processes) == (11, 3, 1)
    assert (report.unanswered, report.unopened) == ([], 0)


async def test_nobody_sees_the_end_cut_off_without_something_kept_outside(
    store: SQLiteStore, journal: Journal, sealer: Sealer, tmp_path: Path
) -> None:
    cut = sql("DELETE FROM records WHERE position > 9")

    assert (await tampered(store, journal, sealer, tmp_path / "lendgate.db", cut)).passed


async def test_an_intent_without_outcome_is_listed_but_is_no_fault(store: SQLiteStore, journal: Journal) -> None:
    answered, open_ = an_intent(journal), an_intent(journal)
    await store.commit([Recorded(answered), Recorded(open_)])
    await store.commit([Recorded(an_outcome(journal, answered))])

    report = await verify_store(store)

    assert report.passed and report.unanswered == [open_.id]


async def test_a_second_outcome_is_a_fault(store: SQLiteStore, journal: Journal) -> None:
    intent = an_intent(journal)
    await store.commit([Recorded(intent), Recorded(an_outcome(journal, intent)), Recorded(an_outcome(journal, intent))])

    report = await verify_store(store)

    assert [(one.fault, one.step, one.position) for one in report.findings] == [(MISSING, 9, 3)]


async def test_each_process_counts_for_itself(
    store: SQLiteStore, journal: Journal, sealer: Sealer, tmp_path: Path, clock: ManualClock
) -> None:
    await a_history(store, journal)
    await store.close()
    store = await SQLiteStore.open(tmp_path / "lendgate.db", clock)
    await a_history(store, Journal(Identifiers(clock.now), clock, "sandbox", "proc_2", sealer.seal))

    report = await verify_store(store, sealer.open)
    await store.close()

    assert report.passed, report.findings
    assert (report.records, report.processes) == (22, 2)


async def test_a_destroyed_key_leaves_the_rest_verifiable(store: SQLiteStore, journal: Journal) -> None:
    await a_history(store, journal)

    report = await verify_store(store, Sealer(os.urandom(32)).open)

    assert report.passed and report.unopened == 6


async def test_more_records_than_a_page_are_verified(
    store: SQLiteStore, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.audit.verify.PAGE", 3)
    await a_history(store, journal)

    assert (await verify_store(store)).records == 11


async def entries_of(store: SQLiteStore, journal: Journal) -> list[Entry]:
    await a_history(store, journal)
    return await store.entries()


@pytest.mark.parametrize(
    "leaf", [b"", b"[]", b"null", b"{}", b"\xff", b"{" * 100_000, b'{"format":1,"place":{}}', b'{"place":7,"format":1}']
)
async def test_nonsense_is_a_finding_and_no_crash(store: SQLiteStore, journal: Journal, leaf: bytes) -> None:
    entries = await entries_of(store, journal)
    entries[4] = replace(entries[4], leaf=leaf, hash=leaf_hash(leaf))

    report = verify(entries)

    assert (CHANGED, 3, 5) in [(one.fault, one.step, one.position) for one in report.findings]


@pytest.mark.parametrize("name", ["request", "sealed", "reply", "client", "at"])
async def test_members_of_a_wrong_type_are_a_finding_and_no_crash(
    store: SQLiteStore, journal: Journal, sealer: Sealer, name: str
) -> None:
    entries = await entries_of(store, journal)
    leaf = json.dumps({**json.loads(entries[1].leaf), name: 7}, sort_keys=True, separators=(",", ":")).encode()
    entries[1] = replace(entries[1], leaf=leaf, hash=leaf_hash(leaf))

    assert not verify(entries, sealer.open).passed


async def test_findings_are_bounded_but_all_are_counted(
    store: SQLiteStore, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.audit.verify.MOST_FINDINGS", 4)
    entries = await entries_of(store, journal)

    verifier = Verifier()
    for entry in entries:
        verifier.take(replace(entry, hash="0" * 64))
    report = verifier.report()

    assert len(report.findings) == 4
    assert report.faults >= 11


async def test_a_huge_gap_costs_no_memory(store: SQLiteStore, journal: Journal) -> None:
    entries = await entries_of(store, journal)
    entries[-1] = replace(entries[-1], position=2**62)

    report = verify(entries)

    assert [one.detail for one in report.findings] == [f"the store lacks the position 11 to {2**62 - 1}"]
