"""A store that was put back to an older day is found out, and nothing is done a second time."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

from gateway.audit.directory import FileReader
from gateway.model.problems import Conflicting, NotFound, Refused
from gateway.model.states import State
from gateway.sandbox import Point, Running
from gateway.service.config import Configuration
from gateway.service.log import log_origin
from gateway.service.open import opened
from gateway.store.interface import OperationOpened
from gateway.testing.clock import ManualClock
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.restored_house import Copy, effects, pay, refund, transfer

pytestmark = pytest.mark.usefixtures("riverbank", "forgetful")


async def older(configuration: Configuration, clock: ManualClock | None = None) -> Copy:
    """A copy of a store that has seen one payment."""
    async with opened(configuration, clock=clock or ManualClock()) as gateway:
        await pay(gateway, "P-0")
    return Copy.take(configuration)


async def test_a_store_that_was_not_put_back_is_trusted(configuration: Configuration) -> None:
    await older(configuration)

    async with opened(configuration) as gateway:
        assert gateway.quarantine.standing() == {}


async def test_a_lost_payment_is_found_by_its_key_and_not_made_again(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        first = await pay(gateway, "P-1")
    copy.put_back()

    async with opened(configuration) as gateway:
        again = await pay(gateway, "P-1")

        assert list(gateway.quarantine.standing()) == ["riverbank"]
        assert again.operation.state is State.SUCCEEDED
        assert again.operation.partner_key == first.operation.partner_key
    assert effects(bank, "payment") == 2


async def test_without_a_quarantine_the_same_call_pays_twice(
    configuration: Configuration, bank: Running[RiverbankSimulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.service.high_water.judge", lambda *what: None)
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()
    shutil.rmtree(configuration.log_directory)

    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")

    assert effects(bank, "payment") == 3


async def test_what_may_still_arrive_is_refused_until_the_settle_window_is_over(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    clock = ManualClock()
    copy = await older(configuration, clock)
    async with opened(configuration, clock=clock) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()

    async with opened(configuration, clock=clock) as gateway:
        with pytest.raises(Refused, match="does not know it, and it may still arrive") as refused:
            await transfer(gateway, "T-1")
        clock.advance(timedelta(seconds=refused.value.retry_after_seconds or 0))
        sent = await transfer(gateway, "T-1")

    assert (refused.value.kind, refused.value.retry_after_seconds) == ("quarantined", 1800)
    assert sent.operation.state is State.SUCCEEDED
    assert effects(bank, "transfer") == 1


async def test_where_every_lost_key_is_remembered_what_is_not_found_is_sent_at_once(
    configuration: Configuration,
) -> None:
    clock = ManualClock()
    copy = await older(configuration, clock)
    async with opened(configuration, clock=clock) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()

    async with opened(configuration, clock=clock) as gateway:
        new = await pay(gateway, "P-2")
        clock.advance(timedelta(hours=24))  # older than the key's life: a lost one may be forgotten
        bank_forgot = await pay(gateway, "P-3")

    assert new.operation.state is State.SUCCEEDED
    assert bank_forgot.operation.state is State.SUCCEEDED  # by then the settle window is over


async def test_silence_is_not_not_found(configuration: Configuration, bank: Running[RiverbankSimulator]) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()
    before = effects(bank, "payment")

    async with opened(configuration) as gateway:
        bank.simulator.faults.arm(Point.CLOSE_AFTER, "*", times=50)
        with pytest.raises(Refused, match="no clear answer"):
            await pay(gateway, "P-1")

    assert effects(bank, "payment") == before


async def test_a_lost_refund_is_found_and_holds_its_part_of_the_payment(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    async with opened(configuration) as gateway:
        payment = (await pay(gateway, "P-0")).operation
    copy = Copy.take(configuration)
    async with opened(configuration) as gateway:
        await refund(gateway, payment.id, "R-1")
    copy.put_back()

    async with opened(configuration) as gateway:
        again = await refund(gateway, payment.id, "R-1")
        parent = await gateway.store.operation(payment.id)

    assert again.operation.state is State.SUCCEEDED
    assert parent is not None and parent.reserved == 400
    assert effects(bank, "refund") == 1


async def test_what_was_open_in_the_old_store_is_in_doubt_and_is_asked(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    clock = ManualClock()
    async with opened(configuration, clock=clock) as gateway:
        await gateway.workers.stop(5)
        open_ = (await pay(gateway, "P-0", "10.17")).operation  # stays pending at the bank
    copy = Copy.take(configuration)
    async with opened(configuration, clock=clock) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()
    clock.advance(timedelta(hours=1))

    async with opened(configuration, clock=clock) as gateway:
        await gateway.workers.stop(5)
        events = await gateway.store.events("shop", operation=open_.id)
        records = [json.loads(entry.leaf) for entry in await gateway.store.chain(open_.id)]

    assert "payment.unknown" in [event.type for event in events]
    assert ("recovery", "unknown") in [(one.get("source"), one.get("after")) for one in records]
    assert [one["verb"] for one in records if one["kind"] == "intent" and one["effect"]] == ["create_payment"]


async def test_what_the_old_store_had_only_just_opened_is_asked_about_too(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    clock = ManualClock()
    async with opened(configuration, clock=clock) as gateway:
        paid = (await pay(gateway, "P-1")).operation
        just_opened = paid.model_copy(update={"id": "pay_0", "state": State.PROCESSING, "attempts": 0, "version": 1})
    for path in configuration.database.parent.glob("lendgate.db*"):
        path.unlink()
    async with opened(configuration, clock=clock) as gateway:
        await gateway.quarantine.clear(None, "a new one", "ops/1")
        await gateway.store.commit([OperationOpened(just_opened)])  # the act itself came after the copy
    copy = Copy.take(configuration)
    async with opened(configuration, clock=clock):
        pass
    copy.put_back()

    async with opened(configuration, clock=clock) as gateway:
        await gateway.workers.stop(5)
        standing = await gateway.store.operation("pay_0")
        settled = await gateway.inquirer.inquire(standing) if standing is not None and standing.open else standing

    assert settled is not None and settled.state is State.SUCCEEDED
    assert effects(bank, "payment") == 1


async def test_the_start_of_a_quarantine_is_on_record_with_what_is_lost(configuration: Configuration) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
        lost = (await gateway.store.standing()).number
    copy.put_back()

    async with opened(configuration) as gateway:
        number = gateway.quarantine.standing()["riverbank"][0].number
        leaves = [json.loads(entry.leaf) for entry in await gateway.store.entries(after=number)]

    detail = leaves[0]["detail"]
    assert leaves[0]["what"] == "quarantine"
    assert detail["number"] == number and detail["mark"] > lost
    assert detail["lost"] == f"{number + 1} to {detail['mark']} and later"


async def test_the_log_is_closed_as_it_is_and_a_new_one_begins_under_another_name(
    configuration: Configuration,
) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    name, checkpoint = log_origin(configuration), (configuration.log_directory / "checkpoint").read_bytes()
    copy.put_back()

    async with opened(configuration):
        pass
    (closed,) = configuration.log_directory.parent.glob("audit-log.closed-*")

    assert FileReader(closed)("checkpoint") == checkpoint
    assert log_origin(configuration).startswith(f"{name}/")
    assert (configuration.log_directory / "checkpoint").read_text().startswith(log_origin(configuration))
    async with opened(configuration) as gateway:
        leaves = [json.loads(entry.leaf) for entry in await gateway.store.entries()]
        assert [one["detail"]["directory"] for one in leaves if one.get("what") == "log closed"] == [closed.name]


async def test_it_lasts_over_restarts_until_somebody_clears_it(configuration: Configuration) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    copy.put_back()
    async with opened(configuration):
        pass

    async with opened(configuration) as gateway:
        with pytest.raises(Conflicting, match="oxbow is not in quarantine"):
            await gateway.quarantine.clear("oxbow", "a mistake", "ops/1")
        cleared = await gateway.quarantine.clear(None, "compared with the statement", "ops/1")
        (act,) = [json.loads(entry.leaf) for entry in await gateway.store.entries() if entry.kind == "act"]
    async with opened(configuration) as gateway:
        assert gateway.quarantine.standing() == {}

    assert cleared == ["riverbank"]
    assert (act["actor"], act["reason"]) == ("ops/1", "compared with the statement")


async def test_the_newer_store_put_back_again_is_found_out_too(configuration: Configuration) -> None:
    copy = await older(configuration)
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
    newer = Copy.take(configuration, "newer")
    copy.put_back()
    async with opened(configuration) as gateway:
        await gateway.quarantine.clear(None, "a drill", "ops/1")
    newer.put_back()

    async with opened(configuration) as gateway:
        assert "the store is another one" in gateway.quarantine.standing()["riverbank"][0].cause


async def test_a_store_that_is_gone_is_found_out(configuration: Configuration) -> None:
    await older(configuration)
    for path in configuration.database.parent.glob("lendgate.db*"):
        path.unlink()

    async with opened(configuration) as gateway:
        assert "the store is new" in gateway.quarantine.standing()["riverbank"][0].cause
        with pytest.raises(NotFound):
            await refund(gateway, "pay_lost", "R-1")


async def test_a_mark_that_is_gone_is_a_quarantine_but_not_where_there_never_was_one(
    configuration: Configuration,
) -> None:
    await older(configuration)
    configuration.mark.unlink()

    async with opened(configuration) as gateway:
        assert "the high-water mark is gone" in gateway.quarantine.standing()["riverbank"][0].cause
