"""What the high-water mark says about a store, row by row, and how it is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError
from gateway.service.high_water import MARGIN, HighWater, Lost, Mark, judge, read_mark, write_mark
from gateway.store.quarantine import Quarantine, Standing
from gateway.store.sqlite import SQLiteStore
from gateway.testing.clock import ManualClock
from tests.store.rows import a_record

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STORE = Standing("this", True, 10, NOW)
PAST = Quarantine("qua_1", NOW, "behind", "earlier", 7, 9, None)


@pytest.mark.parametrize(
    "mark",
    [
        pytest.param(Mark("this", 10), id="at the mark"),
        pytest.param(Mark("this", 9), id="ahead of the mark"),
        pytest.param(Mark("earlier", 99), id="the mark of a gateway that was not there when the loss was found"),
    ],
)
def test_the_store_is_trusted(mark: Mark) -> None:
    assert judge(STORE, mark, [PAST]) is None


def test_a_store_that_never_had_a_mark_gets_its_first_one() -> None:
    assert judge(Standing("this", False, 10, NOW), None, []) is None


@pytest.mark.parametrize(
    ("mark", "cause", "since"),
    [
        (Mark("this", 11), "the store ends at record 10, the mark at 11", NOW - MARGIN),
        (Mark("this", 10, "first"), "restored from first", NOW - MARGIN),
        (Mark("other", 3, "first"), "restored from first", None),
        (Mark("other", 3), "the store is another one, but the mark knows 3 records", None),
    ],
)
def test_the_store_has_lost_something(mark: Mark, cause: str, since: datetime | None) -> None:
    assert judge(STORE, mark, [PAST]) == Lost(cause, mark.number, since)


def test_a_mark_that_is_gone_says_so() -> None:
    lost = judge(STORE, None, [PAST])

    assert lost is not None and lost.mark is None and lost.since == NOW - timedelta(minutes=1)


def test_a_mark_is_read_as_it_was_written_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_mark(tmp_path / "mark", Mark("this", 10, "first"))

    assert read_mark(tmp_path / "mark") == Mark("this", 10, "first")
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_a_damaged_mark_is_no_mark_but_a_mistake_to_look_at(tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("{")

    with pytest.raises(ConfigurationError, match="remove it, and the gateway starts in quarantine"):
        read_mark(tmp_path / "mark")


async def test_it_follows_the_store(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "lendgate.db", ManualClock())
    high_water = HighWater(tmp_path / "mark", store)
    await store.commit([a_record("c1"), a_record("c1")])

    await high_water.write()
    standing = await store.standing()
    await store.close()

    assert read_mark(tmp_path / "mark") == Mark(standing.identity, 2)
    assert standing.marked


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = await SQLiteStore.open(tmp_path / "lendgate.db", ManualClock())

    with pytest.raises(ConfigurationError, match="cannot be written"):
        await HighWater(tmp_path / "nowhere" / "mark", store).write()
    await store.close()
