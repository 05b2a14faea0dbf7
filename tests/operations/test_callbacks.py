"""Callbacks come twice, early, late, reordered or forged; the truth comes out once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.model.clock import SystemClock
from gateway.model.message import Acknowledgement, Callback
from gateway.model.problems import NotFound
from gateway.model.states import Attention, State
from gateway.operations.callbacks import UNPROVEN_KEPT_PER_HOUR
from gateway.sandbox import Point
from gateway.store.operation import Operation
from tests.house import TOKEN, House, house, until
from tests.riverbank_simulator import sign


def message(operation: Operation, code: str = "PAID", **changes: Any) -> bytes:
    assert operation.amount is not None
    said = {
        "code": code,
        "kind": operation.kind,
        "reference": operation.partner_key,
        "cents": operation.amount.minor(),
        "currency": operation.amount.currency,
        **changes,
    }
    return json.dumps(said).encode()


async def tell(h: House, body: bytes, signature: str | None = None, token: str = TOKEN) -> Acknowledgement:
    headers = (("X-Signature", sign(body) if signature is None else signature),)
    callback = Callback("POST", f"/v1/callbacks/riverbank/{token}", headers, body, SystemClock().now())
    return await h.callbacks.receive("riverbank", token, callback)


async def test_a_genuine_callback_ends_the_payment_and_is_acknowledged_in_the_banks_words(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.19")).operation
        assert payment.state is State.REQUIRES_ACTION

        answer = await tell(h, message(payment))

        assert (answer.status, answer.body) == (200, b"ok")
        assert (await h.stands(payment)).state is State.SUCCEEDED


async def test_the_same_callback_twice_tells_the_platform_once(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.19")).operation

        answers = await asyncio.gather(*(tell(h, message(payment)) for _ in range(5)))

        assert {answer.status for answer in answers} == {200}
        types = [event.type for event in await h.store.events("shop")]
        assert types == ["payment.requires_action", "payment.succeeded"]


async def test_an_old_callback_never_overwrites_a_newer_state(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.19")).operation
        await tell(h, message(payment, "PAID"))

        await tell(h, message(payment, "PENDING"))
        await tell(h, message(payment, "SCAN"))

        assert (await h.stands(payment)).state is State.SUCCEEDED


class TestForgery:
    """What proves nothing changes nothing, is counted, and fills no disk."""

    @pytest.mark.parametrize("signature", ["", "00" * 32, "not hexadecimal"])
    async def test_a_forged_callback_changes_nothing(self, tmp_path: Path, signature: str) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.19")).operation

            answer = await tell(h, message(payment), signature)

            assert answer.status == 400
            assert (await h.stands(payment)).version == payment.version
            assert h.callbacks.verdicts["riverbank", "forged"] == 1

    async def test_an_altered_callback_changes_nothing(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.19")).operation
            genuine = message(payment, "DECLINED")

            await tell(h, message(payment, "PAID"), sign(genuine))

            assert (await h.stands(payment)).state is State.REQUIRES_ACTION

    async def test_a_forgery_of_bytes_that_were_proven_takes_nothing_from_their_verdict(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.19")).operation
            genuine = message(payment)
            await tell(h, genuine)

            await tell(h, genuine, "00")

            verdicts = [json.loads(e.leaf)["verdict"] for e in await h.store.entries() if e.kind == "callback"]
            assert verdicts == ["proven"]
            assert h.callbacks.verdicts["riverbank", "forged"] == 1

    async def test_forgeries_are_stored_within_a_quota_and_counted_beyond(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            flood = UNPROVEN_KEPT_PER_HOUR + 50
            await asyncio.gather(*(tell(h, f"noise {n}".encode(), "00") for n in range(flood)))

            entries = await h.store.entries()
            assert len([entry for entry in entries if entry.kind == "callback"]) == UNPROVEN_KEPT_PER_HOUR
            assert h.callbacks.verdicts["riverbank", "forged"] == flood

    async def test_an_address_that_was_never_given_out_is_not_there(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            with pytest.raises(NotFound):
                await tell(h, b"{}", token="guessed")


@pytest.mark.parametrize("changes", [{"cents": 1}, {"currency": "GBP"}, {"cents": None}])
async def test_a_genuine_message_about_another_amount_is_a_conflict(tmp_path: Path, changes: dict[str, Any]) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.19")).operation

        await tell(h, message(payment, **changes))

        standing = await h.stands(payment)
        assert standing.state is State.REQUIRES_ACTION
        assert [item.code for item in standing.attention] == [Attention.CONFLICT]


async def test_a_genuine_message_about_an_order_that_we_never_made_is_to_come_again(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.19")).operation

        answer = await tell(h, message(payment, reference="SOMEBODY-ELSES"))

        assert (answer.status, answer.body) == (503, b"again")
        assert (await h.stands(payment)).state is State.REQUIRES_ACTION


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"code": 1}', b"\xff\xfe"])
async def test_a_genuine_message_that_cannot_be_read_changes_nothing(tmp_path: Path, body: bytes) -> None:
    async with house(tmp_path) as h:
        answer = await tell(h, body)

        assert answer.status == 400
        assert h.callbacks.verdicts["riverbank", "unreadable"] == 1


async def test_a_success_after_a_decline_is_believed_and_shown_to_a_person(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay("1.13")).operation

        await tell(h, message(payment))

        standing = await h.stands(payment)
        assert standing.state is State.SUCCEEDED
        assert [item.code for item in standing.attention] == [Attention.LATE_SUCCESS]


async def test_a_transfer_that_bounces_after_success_is_returned(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        transfer = (await h.transfer()).operation
        assert transfer.state is State.SUCCEEDED

        await tell(h, message(transfer, "BOUNCED"))

        assert (await h.stands(transfer)).state is State.RETURNED


async def test_callback_reply_and_inquiry_racing_end_in_one_result(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        for _ in range(10):
            h.bank.faults.arm(Point.DELAY_AFTER, "POST payments", seconds=0.05)
            call = asyncio.create_task(h.pay("1.00"))
            await until(lambda: bool(h.bank.orders))
            payment = (await h.store.operations(limit=1))[0]

            await asyncio.gather(call, tell(h, message(payment)), h.inquirer.inquire(payment))

            events = await h.store.events("shop", operation=payment.id)
            assert (await h.stands(payment)).state is State.SUCCEEDED
            assert [event.type for event in events if event.type == "payment.succeeded"] == ["payment.succeeded"]
            h.bank.orders.clear()
