"""The one door carries what was decided into the store: all that belongs together in one commit, or nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import Conflicting
from gateway.model.states import Attention, Meaning, State
from gateway.operations.desk import Desk, Settlement
from gateway.operations.facts import Said, Source
from gateway.store.interface import OperationOpened
from gateway.store.operation import Operation
from gateway.store.work import Work
from tests.house import House, house

SUCCEEDED = Said(Meaning.SUCCEEDED, Source.REPLY)


async def cancelling(h: House, parent: Operation) -> Operation:
    """A cancellation of `parent` that is under way."""
    begun = parent.model_copy(
        update={
            "id": "can_1",
            "kind": "cancellation",
            "verb": "cancel_payment",
            "state": State.PROCESSING,
            "reference": "CANCEL",
            "parent": parent.id,
            "version": 1,
        }
    )
    await h.store.commit([OperationOpened(begun)])
    return begun


class TestCancellations:
    """That a cancellation succeeded is proof about its parent, and no crash comes in between."""

    async def test_both_become_durable_in_one_commit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.19")).operation
            cancellation = await cancelling(h, payment)
            commits: list[Any] = []
            monkeypatch.setattr(h.store, "commit", _counting(h, commits))

            await h.door.apply(cancellation, SUCCEEDED, Work(h.store))

            assert len(commits) == 1
            assert (await h.stands(cancellation)).state is State.SUCCEEDED
            assert (await h.stands(payment)).state is State.CANCELLED
            types = [event.type for event in await h.store.events("shop")]
            assert types[-2:] == ["cancellation.succeeded", "payment.cancelled"]

    async def test_a_parent_that_was_changed_meanwhile_is_decided_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.19")).operation
            cancellation = await cancelling(h, payment)
            read = h.store.operation

            async def reads_an_old_one_first(id: str, client: str | None = None) -> Operation | None:
                monkeypatch.undo()
                found = await read(id, client)
                later = payment.created_at + timedelta(days=1)
                await h.store.due(later, later, "somebody", 9)
                return found

            monkeypatch.setattr(h.store, "operation", reads_an_old_one_first)

            await h.door.apply(cancellation, SUCCEEDED, Work(h.store))

            assert (await h.stands(payment)).state is State.CANCELLED
            records = [entry.kind for entry in await h.store.chain(payment.id)]
            assert records.count("change") == 2


class TestFreedKeys:
    """Where a failed act let go of its partner key and another one took it, the partner's word is about that one."""

    async def declined_and_tried_again(self, h: House) -> tuple[Operation, Operation]:
        first = (await h.pay("1.13")).operation
        second = first.model_copy(
            update={"id": "pay_2", "reference": "SECOND", "state": State.PROCESSING, "version": 1, "attempts": 1}
        )
        await h.store.commit([OperationOpened(second)])
        h.bank.orders["payment", first.partner_key]["code"] = "PAID"
        return first, second

    async def test_the_first_does_not_come_back_to_life(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            first, second = await self.declined_and_tried_again(h)

            await h.inquirer.inquire(first)
            await h.inquirer.inquire(second)

            standing = await h.stands(first)
            assert (standing.state, [one.code for one in standing.attention]) == (State.FAILED, [Attention.CONFLICT])
            assert (await h.stands(second)).state is State.SUCCEEDED

    async def test_a_person_is_told_which_one_to_settle(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            first, second = await self.declined_and_tried_again(h)
            word = Settlement("succeeded", "seen on the statement", "line 7", "ops/ab12cd34")

            with pytest.raises(Conflicting, match=second.id):
                await Desk(h.store, h.door, h.journal).settle(first.id, word)

            assert [entry.kind for entry in await h.store.chain(first.id)].count("act") == 0


def _counting(h: House, commits: list[Any]) -> Any:
    commit = h.store.commit

    async def counting(rows: Any) -> None:
        commits.append(rows)
        await commit(rows)

    return counting
