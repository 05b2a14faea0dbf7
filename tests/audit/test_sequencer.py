"""The sequencer: one history, in the order of the store, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.checkpoint import Checkpoint, open_checkpoint
from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import Head, HeadFile, Heads
from gateway.audit.journal import Journal
from gateway.audit.note import Signer
from gateway.audit.proof import prove, verify_proof
from gateway.audit.sequencer import Entries, Sequencer
from gateway.audit.tiles import entries
from gateway.audit.tlog_verify import verify_log
from gateway.model.problems import StorageError
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from tests.audit.history import a_history
from tests.audit.logs import Records, a_leaf, a_signer, leaves


class Site:
    """One directory and what a sequencer over it needs."""

    def __init__(self, root: Path, store: Entries, signer: Signer, heads: Heads | None = None) -> None:
        self.read = FileReader(root)
        self.directory = Directory(root)
        self.heads = heads or HeadFile(self.directory)
        self.store = store
        self.signer = signer

    def sequencer(self, **settings: Any) -> Sequencer:
        return Sequencer(self.directory, self.heads, self.store, self.signer, ManualClock(), **settings)

    def checkpoint(self) -> Checkpoint:
        raw = self.read("checkpoint")
        assert raw is not None
        return open_checkpoint(raw, self.signer.key).checkpoint

    def content(self) -> list[bytes]:
        report = verify_log(self.read, self.signer.key)
        assert report.passed
        return [leaf for _, leaf in entries(self.read, report.size)]


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def site(tmp_path: Path, records: Records) -> Site:
    return Site(tmp_path / "log", records, a_signer())


async def run_once(site: Site, **settings: Any) -> int:
    """A process that starts, takes what there is, and ends."""
    sequencer = site.sequencer(**settings)
    try:
        await sequencer.open()
        return await sequencer.advance()
    finally:
        await sequencer.close()


async def test_records_get_their_index_in_the_order_of_the_store(site: Site, records: Records) -> None:
    records.add(leaves(700))

    assert await run_once(site) == 700

    assert site.content() == leaves(700)
    assert site.read("log.vkey") == f"{site.signer.key}\n".encode()
    verify_proof(prove(site.read, 698), a_leaf(698), site.signer.key)


async def test_an_empty_log_has_a_checkpoint_from_the_start(site: Site) -> None:
    assert await run_once(site) == 0

    assert site.checkpoint().size == 0


async def test_nothing_new_publishes_nothing_new(site: Site, records: Records) -> None:
    records.add(leaves(5))
    await run_once(site)
    before = site.read("checkpoint")

    assert await run_once(site) == 0

    assert site.read("checkpoint") == before


async def test_round_after_round_each_checkpoint_continues_the_one_before(site: Site, records: Records) -> None:
    sequencer, saved = site.sequencer(), None
    await sequencer.open()
    for number in (1, 254, 1, 1, 255, 300, 5):
        records.add(leaves(number, len(records.rows)))
        await sequencer.advance()

        report = verify_log(site.read, site.signer.key, since=saved)
        assert report.passed and report.size == len(records.rows)
        saved = site.read("checkpoint")
    await sequencer.close()


async def test_a_round_takes_no_more_than_it_may(site: Site, records: Records) -> None:
    records.add(leaves(2500))
    sequencer = site.sequencer(most_entries=1100)
    await sequencer.open()

    taken = [await sequencer.advance() for _ in range(4)]
    await sequencer.close()

    assert taken == [1100, 1100, 300, 0]
    assert site.content() == leaves(2500)


async def test_nothing_behind_a_gap_is_taken_before_the_gap_is_filled(site: Site, records: Records) -> None:
    records.add(leaves(10))
    late = records.rows.pop(4)
    sequencer = site.sequencer()
    await sequencer.open()

    assert (await sequencer.advance(), sequencer.gap) == (3, 4)
    records.rows[4] = late
    assert (await sequencer.advance(), sequencer.gap) == (7, None)
    await sequencer.close()

    assert site.content() == leaves(10)


class BrokenOff(Exception):
    """Stands for the end of the process."""


def break_off(site: Site, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def broken(*arguments: object) -> None:
        raise BrokenOff

    async def swapped_and_broken(old: Head | None, new: Head) -> bool:
        await swap(old, new)
        raise BrokenOff

    if place == "swap":
        swap = site.heads.swap_head
        monkeypatch.setattr(site.heads, "swap_head", swapped_and_broken)
    else:
        monkeypatch.setattr(site.directory, place, broken)


@pytest.mark.parametrize("place", ["swap", "add", "publish", "drop_partials"])
@pytest.mark.parametrize("in_the_same_process", [True, False])
async def test_a_round_that_broke_off_is_finished_by_the_next(
    site: Site, records: Records, monkeypatch: pytest.MonkeyPatch, place: str, in_the_same_process: bool
) -> None:
    records.add(leaves(300))
    await run_once(site)
    saved = site.read("checkpoint")
    records.add(leaves(300, 300))
    sequencer = site.sequencer()
    await sequencer.open()
    with monkeypatch.context() as broken:
        break_off(site, broken, place)
        with pytest.raises(BrokenOff):
            await sequencer.advance()
    records.add(leaves(50, 600))

    if in_the_same_process:
        assert await sequencer.advance() == 50
        await sequencer.close()
    else:
        await sequencer.close()
        assert await run_once(site) == 50

    assert site.content() == leaves(650)
    assert verify_log(site.read, site.signer.key, since=saved).passed
    assert site.read("tile/0/001.p/44") is None


async def test_a_cancelled_round_leaves_nothing_half_done(site: Site, records: Records) -> None:
    records.add(leaves(5000))
    sequencer = site.sequencer(most_entries=1000)
    await sequencer.open()

    for delay in range(12):
        task = asyncio.create_task(sequencer.advance())
        for _ in range(delay):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raw = site.read("checkpoint")
        assert verify_log(site.read, site.signer.key, since=raw).passed
    while await sequencer.advance():
        pass
    await sequencer.close()

    assert site.content() == leaves(5000)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda rows: rows.update({450: b"another"}), "are not those that the log took"),
        (lambda rows: [rows.pop(position) for position in range(450, 601)], "put back or cut"),
    ],
)
async def test_a_store_that_changed_under_an_unfinished_round_stops_the_log(
    site: Site,
    records: Records,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[dict[int, bytes]], object],
    why: str,
) -> None:
    records.add(leaves(300))
    await run_once(site)
    records.add(leaves(300, 300))
    with monkeypatch.context() as broken, pytest.raises(BrokenOff):
        break_off(site, broken, "swap")
        await run_once(site)
    damage(records.rows)

    with pytest.raises(StorageError, match=why):
        await run_once(site)

    assert site.checkpoint().size == 300


async def test_a_store_that_was_put_back_stops_the_log(tmp_path: Path, site: Site, records: Records) -> None:
    old = Site(tmp_path / "old", records, site.signer)
    records.add(leaves(300))
    await run_once(old)
    records.add(leaves(5, 300))
    await run_once(site)
    site.heads = old.heads

    with pytest.raises(StorageError, match="put back to an older day"):
        await run_once(site)


@pytest.mark.parametrize("size", [300, 512])
@pytest.mark.parametrize("kept", [lambda rows: rows[:-5], lambda rows: [*rows[:-5], *leaves(20, 9000)]])
async def test_positions_that_the_log_has_passed_are_not_given_to_other_records(
    site: Site, records: Records, size: int, kept: Callable[[list[bytes]], list[bytes]]
) -> None:
    records.add(leaves(size))
    await run_once(site)
    records.rows.clear()
    records.add(kept(leaves(size)))

    with pytest.raises(StorageError, match="put back or cut"):
        await run_once(site)


async def test_a_second_process_does_not_write_the_same_directory(site: Site) -> None:
    first = site.sequencer()
    await first.open()
    second = Sequencer(Directory(site.read.root), site.heads, site.store, site.signer, ManualClock())

    with pytest.raises(StorageError, match="another process writes the log"):
        await second.open()
    await first.close()
    await second.close()


async def test_of_two_sequencers_over_one_store_the_loser_follows_the_winner(
    tmp_path: Path, site: Site, records: Records
) -> None:
    other = Site(tmp_path / "other", records, site.signer, site.heads)
    here, there = site.sequencer(), other.sequencer(most_entries=170)
    await here.open()
    await there.open()
    seen: list[bytes | None] = []
    for _ in range(8):
        records.add(leaves(200, len(records.rows)))
        await asyncio.gather(here.advance(), there.advance())
        seen += [site.read("checkpoint"), other.read("checkpoint")]
    while await here.advance() or await there.advance():
        pass
    await here.advance()
    await there.close()
    await here.close()

    # Whoever won, there is one history, and both directories show parts of it.
    heads = {open_checkpoint(raw, site.signer.key).checkpoint for raw in seen if raw is not None}
    assert len({head.size for head in heads}) == len(heads)
    for raw in seen:
        assert verify_log(site.read, site.signer.key, since=raw).passed
    assert site.content() == leaves(1600)


async def test_a_directory_that_was_lost_is_made_again_from_the_store(
    tmp_path: Path, site: Site, records: Records
) -> None:
    records.add(leaves(2500))
    await run_once(site)
    new = Site(tmp_path / "new", records, site.signer, site.heads)

    assert await run_once(new, most_entries=1000) == 0

    assert new.content() == leaves(2500)
    assert new.read("checkpoint") == site.read("checkpoint")


async def test_a_directory_of_another_key_is_left_alone(site: Site, records: Records) -> None:
    records.add(leaves(5))
    await run_once(site)
    before = site.read("checkpoint"), site.read("log.vkey")
    site.signer = a_signer()

    with pytest.raises(StorageError, match="belongs to another log"):
        await run_once(site)
    assert (site.read("checkpoint"), site.read("log.vkey")) == before


async def test_a_damaged_edge_is_not_built_upon(site: Site, records: Records) -> None:
    records.add(leaves(300))
    await run_once(site)
    Path(site.read.root, "tile/0/001.p/44").write_bytes(bytes(44 * 32))
    records.add(leaves(1, 300))

    with pytest.raises(StorageError, match="damaged"):
        await run_once(site)


async def test_a_log_may_continue_behind_a_closed_one(tmp_path: Path, site: Site, records: Records) -> None:
    records.add(leaves(10))

    assert await run_once(site, begin_behind=6) == 4

    assert site.content() == leaves(4, 6)
    assert await site.heads.read_head() == Head(4, site.checkpoint().root, 10)


async def test_rounds_follow_each_other_at_the_interval(site: Site, records: Records) -> None:
    clock, sizes = ManualClock(), []

    class Growing(Records):
        async def leaves(self, *, after: int = 0, limit: int = 1000) -> Any:
            if limit == 1000:
                sizes.append(clock.monotonic())
                records.add(leaves(3, len(records.rows)))
            if len(sizes) == 5:
                raise asyncio.CancelledError
            return await records.leaves(after=after, limit=limit)

    sequencer = Sequencer(site.directory, site.heads, Growing(), site.signer, clock, interval_seconds=0.5)
    await sequencer.open()
    with pytest.raises(asyncio.CancelledError):
        await sequencer.run()
    await sequencer.close()

    assert [time - sizes[0] for time in sizes] == [0, 0.5, 1, 1.5, 2]
    assert site.checkpoint().size == 12


async def test_what_the_gateway_recorded_is_what_the_log_holds(
    tmp_path: Path, store: SQLiteStore, journal: Journal
) -> None:
    site = Site(tmp_path / "log", store, a_signer())
    await a_history(store, journal)

    await run_once(site)

    assert site.content() == [entry.leaf for entry in await store.entries()]
