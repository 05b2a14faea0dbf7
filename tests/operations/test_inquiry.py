"""Doubt is settled by asking, at the partner's rhythm, across crash and restart, and never by guessing."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import NotSent
from gateway.model.states import Attention, State
from gateway.model.terms import Remembered, Replay, hours, minutes
from gateway.operations import assemble
from gateway.operations.connections import Connections
from gateway.operations.inquiry import Inquirer
from gateway.operations.kinds import KindOf
from gateway.sandbox import Point
from gateway.store.interface import OperationOpened
from gateway.store.operation import Operation
from gateway.testing import ManualClock
from tests.house import House, house, until


async def doubtful(h: House) -> str:
    """A transfer that the bank executed and whose answer was lost."""
    h.bank.faults.arm(Point.CLOSE_AFTER, "POST transfers")
    transfer = (await h.transfer()).operation
    assert transfer.state is State.UNKNOWN
    return transfer.id


async def test_the_worker_settles_doubt_when_its_time_has_come(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)

        assert await h.inquirer.round() == 0
        clock.advance(timedelta(seconds=1))
        assert await h.inquirer.round() == 1

        assert (await h.stands(transfer)).state is State.SUCCEEDED
        assert (await h.stands(transfer)).next_inquiry_at is None


async def test_an_inquiry_that_hangs_keeps_no_other_back(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        hanging = await doubtful(h)
        h.bank.faults.arm(Point.DELAY_BEFORE, "GET transfers", seconds=60)
        clock.advance(timedelta(seconds=1))
        worker = asyncio.create_task(h.inquirer.run())
        await until(lambda: any(arrival.operation == "GET transfers" for arrival in h.bank.ledger.arrivals))
        other = await doubtful(h)
        clock.advance(timedelta(seconds=1))

        settled = await settled_by_the_worker(h, other)

        assert settled.state is State.SUCCEEDED
        assert (await h.stands(hanging)).state is State.UNKNOWN
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def settled_by_the_worker(h: House, transfer: str) -> Operation:
    for _ in range(2000):
        if not (await h.stands(transfer)).open:
            break
        await asyncio.sleep(0.005)
    return await h.stands(transfer)


async def test_a_bank_that_does_not_answer_is_asked_at_its_rhythm_and_nothing_is_guessed(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)
        h.bank.faults.arm(Point.BAD_GATEWAY_BEFORE, "GET transfers", times=1000)
        asked = 0
        for _ in range(30):
            clock.advance(timedelta(seconds=1))
            asked += await h.inquirer.round()

        assert (await h.stands(transfer)).state is State.UNKNOWN
        assert 5 <= asked <= 10  # at 1, 2, 4 and then every 4 seconds


async def test_after_the_horizon_a_person_is_called_and_inquiries_go_on(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)
        h.bank.faults.arm(Point.BAD_GATEWAY_BEFORE, "GET transfers", times=1000)
        clock.advance(timedelta(days=3))

        await h.inquirer.round()

        standing = await h.stands(transfer)
        assert standing.state is State.UNKNOWN
        assert [item.code for item in standing.attention] == [Attention.OVERDUE_UNKNOWN]
        h.bank.faults.clear()
        clock.advance(timedelta(hours=1))
        await h.inquirer.round()
        assert (await h.stands(transfer)).state is State.SUCCEEDED


@pytest.mark.parametrize(("after", "state"), [(minutes(29), State.UNKNOWN), (minutes(31), State.FAILED)])
async def test_no_such_act_is_a_failure_only_after_the_settle_window(
    tmp_path: Path, after: timedelta, state: State
) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        h.bank.faults.arm(Point.CLOSE_BEFORE, "POST transfers")
        transfer = (await h.transfer()).operation
        clock.advance(after)

        await h.inquirer.round()

        standing = await h.stands(transfer)
        assert standing.state is state
        if state is State.FAILED:
            assert standing.reason is not None
            assert standing.reason.code == "not_found"


async def test_two_workers_never_ask_about_one_operation_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        for _ in range(4):
            await doubtful(h)
        clock.advance(timedelta(seconds=2))

        rounds = await asyncio.gather(*(h.inquirer.round() for _ in range(4)))

        assert sum(rounds) == 4
        assert len([a for a in h.bank.ledger.arrivals if a.operation == "GET transfers"]) == 4


async def test_a_worker_that_lost_its_lease_repeats_no_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        await doubtful(h)
        declared = h.connection.adapter.terms
        replayed = replace(declared["create_transfer"], key=Remembered(hours(24)), inquiry=(Replay(),))
        monkeypatch.setattr(type(h.connection.adapter), "terms", {**declared, "create_transfer": replayed})
        clock.advance(timedelta(seconds=2))
        (slow,) = await h.store.due(clock.now(), clock.now() + timedelta(minutes=1), "slow", 1)
        clock.advance(timedelta(minutes=1))
        (quick,) = await h.store.due(clock.now(), clock.now() + timedelta(minutes=1), "quick", 1)

        late = await h.inquirer.inquire(slow)
        sent = len([a for a in h.bank.ledger.arrivals if a.operation == "POST transfers"])
        settled = await h.inquirer.inquire(quick)

        assert (late, sent) == (quick, 1)
        assert settled.state is State.SUCCEEDED
        assert len([a for a in h.bank.ledger.arrivals if a.operation == "POST transfers"]) == 2


async def test_a_replay_that_could_not_leave_is_told_though_the_operation_was_changed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)
        terms = replace(h.door.terms(await h.stands(transfer)), key=Remembered(hours(24)), inquiry=(Replay(),))
        monkeypatch.setattr(h.door, "terms", lambda operation: terms)
        clock.advance(timedelta(minutes=5))
        before = await h.stands(transfer)

        async def closed(*what: Any) -> None:
            await h.store.due(clock.now(), clock.now() + timedelta(minutes=1), "other", 1)
            raise NotSent("the way is closed")

        monkeypatch.setattr(h.connection.channel, "send", closed)

        after = await h.inquirer.inquire(before)

        assert (after.state, after.version) == (State.UNKNOWN, before.version + 2)


async def test_a_change_that_was_decided_again_is_recorded_once_as_it_came_about(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)
        clock.advance(timedelta(seconds=2))
        before = await h.stands(transfer)
        await h.store.due(clock.now(), clock.now() + timedelta(minutes=1), "other", 1)

        settled = await h.inquirer.inquire(before)

        changes = [json.loads(entry.leaf) for entry in await h.store.chain(transfer) if entry.kind == "change"]
        assert [(leaf["before"], leaf["after"]) for leaf in changes] == [
            ("processing", "unknown"),
            ("unknown", "succeeded"),
        ]
        assert settled.state is State.SUCCEEDED


class TestRestart:
    """A process that dies in the middle leaves an intent behind; the next one finds out what became of it."""

    async def crashed(self, tmp_path: Path, h: House, point: Point | None) -> Path:
        """What the disk holds at the moment in which a call has left and no answer has come."""
        if point is not None:
            h.bank.faults.arm(point, "POST transfers")
        h.bank.faults.arm(Point.DELAY_AFTER, "POST transfers", seconds=1.0)
        call = asyncio.create_task(h.transfer(reference="PAYOUT"))
        await until(lambda: any(a.operation == "POST transfers" for a in h.bank.ledger.arrivals))
        await asyncio.sleep(0.05)
        after = tmp_path / "after"
        after.mkdir()
        for file in tmp_path.glob("lendgate.db*"):
            if not file.name.endswith(".lock"):
                shutil.copy(file, after / file.name)
        await call
        return after

    async def test_an_act_that_was_under_way_is_asked_about_and_never_sent_again(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            disk = await self.crashed(tmp_path, h, None)

            async with house(disk, bank=h.running) as restarted:
                assert await restarted.inquirer.recover() == 1
                await restarted.inquirer.round()

                (transfer,) = await restarted.store.operations(reference="PAYOUT")
                assert transfer.state is State.SUCCEEDED
                assert sum(h.bank.ledger.count("transfer").values()) == 1
                assert len([a for a in h.bank.ledger.arrivals if a.operation == "POST transfers"]) == 1

    async def test_the_platforms_repeat_after_the_restart_is_the_same_operation(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay(reference="LN-1", key="k")).operation

        async with house(tmp_path) as again:
            answer = await again.pay(reference="LN-1", key="k")

            assert (answer.operation.id, answer.replayed) == (payment.id, True)
            assert again.bank.ledger.arrivals == []


class TestTrouble:
    """What goes wrong in asking about one operation never stands before the others, and is not tried in a circle."""

    async def test_what_cannot_be_asked_about_comes_again_at_the_rhythm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = ManualClock()
        async with house(tmp_path, clock=clock) as h:
            stuck, sound = await doubtful(h), await doubtful(h)
            put_together = assemble.inquiry

            def stumbles(kind: KindOf, operation: Operation, *more: Any) -> Any:
                if operation.id == stuck:
                    raise ValueError("a memory of another time")
                return put_together(kind, operation, *more)

            monkeypatch.setattr(assemble, "inquiry", stumbles)
            clock.advance(timedelta(seconds=1))

            rounds = [await h.inquirer.round() for _ in range(5)]

            assert rounds == [2, 0, 0, 0, 0]
            assert (await h.stands(sound)).state is State.SUCCEEDED
            standing = await h.stands(stuck)
            assert (standing.state, standing.next_inquiry_at) == (State.UNKNOWN, clock.now() + timedelta(seconds=2))

    async def test_a_bank_that_answers_about_another_amount_is_not_asked_in_a_circle(self, tmp_path: Path) -> None:
        clock = ManualClock()
        async with house(tmp_path, clock=clock) as h:
            transfer = await doubtful(h)
            genuine = h.bank.answer
            h.bank.answer = lambda order: genuine({**order, "cents": 5})  # type: ignore[method-assign]  # another amount
            clock.advance(timedelta(seconds=1))

            rounds = [await h.inquirer.round() for _ in range(5)]

            standing = await h.stands(transfer)
            assert rounds == [1, 0, 0, 0, 0]
            assert (standing.state, [item.code for item in standing.attention]) == (State.UNKNOWN, [Attention.CONFLICT])

    async def test_a_process_that_died_before_anything_acted_leaves_a_failure(self, tmp_path: Path) -> None:
        clock = ManualClock()
        async with house(tmp_path, clock=clock) as h:
            done = (await h.transfer()).operation
            begun = done.model_copy(
                update={
                    "id": "trf_begun",
                    "reference": "BEGUN",
                    "partner_key": "B" * 32,
                    "state": State.PROCESSING,
                    "version": 1,
                    "attempts": 0,
                    "may_have_acted": True,
                }
            )
            await h.store.commit([OperationOpened(begun)])
            await h.inquirer.recover()

            await h.inquirer.round()

            standing = await h.stands("trf_begun")
            assert standing.state is State.FAILED
            assert standing.reason is not None
            assert standing.reason.code == "not_sent"


async def test_a_connection_that_is_gone_leaves_doubt_that_comes_up_ever_less_often(tmp_path: Path) -> None:
    clock = ManualClock()
    async with house(tmp_path, clock=clock) as h:
        transfer = await doubtful(h)
        gone = Inquirer(h.store, Connections({}, {}), h.door, h.inquirer._runner, clock, "alone")
        clock.advance(timedelta(days=1))

        await gone.round()

        standing = await h.stands(transfer)
        assert standing.state is State.UNKNOWN
        assert standing.next_inquiry_at == clock.now() + timedelta(hours=1)
