"""A call of the engine from its body to its end: what is sent, what is refused, what is durable."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.facts import PaymentFact
from gateway.model.message import SignedLink
from gateway.model.payments import NewRefund
from gateway.model.problems import Conflicting, Invalid, NotFound, Refused, Retry
from gateway.model.states import Attention, State
from gateway.operations import assemble
from gateway.sandbox import Point
from tests.house import house


async def test_a_payment_is_collected_once_and_its_end_is_durable(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        answer = await h.pay("128.00", "LN-1", links_to={"loan": "LN-1"}, metadata={"cart": "7"})

        payment = answer.operation
        assert (payment.state, payment.reservable, payment.attempts) == (State.SUCCEEDED, 12800, 1)
        assert await h.stands(payment) == payment
        assert list(h.bank.ledger.count()) == [("payment", payment.partner_key)]


async def test_the_partner_sees_a_derived_key_and_never_the_platforms_reference(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay(reference="LN-1")).operation

    assert payment.partner_key != payment.reference
    assert len(payment.partner_key) == 32


class TestRepeats:
    """The same call again is the same operation; another call under the same names is refused."""

    async def test_the_same_key_and_body_give_the_same_operation(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            first = await h.pay(reference="LN-1", key="k")
            again = await h.pay(reference="LN-1", key="k")

            assert (again.operation.id, again.replayed) == (first.operation.id, True)
            assert len(h.bank.ledger.arrivals) == 1

    async def test_the_order_in_which_members_are_written_makes_no_other_call(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            links = {"loan": "LN-1", "instalment": "1"}
            first = await h.pay(reference="LN-1", key="k", metadata={"a": "1", "b": "2"}, links_to=links)
            backwards = dict(reversed(links.items()))
            again = await h.pay(reference="LN-1", key="k", metadata={"b": "2", "a": "1"}, links_to=backwards)

            assert (again.operation.id, again.replayed) == (first.operation.id, True)

    async def test_the_same_key_with_another_body_is_refused(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            await h.pay("1.00", "LN-1", key="k")

            with pytest.raises(Refused) as refusal:
                await h.pay("2.00", "LN-1", key="k")

            assert (refusal.value.kind, refusal.value.status) == ("idempotency_key_reused", 422)
            assert len(h.bank.ledger.arrivals) == 1

    async def test_the_same_reference_and_body_under_a_new_key_names_the_operation(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            first = await h.pay(reference="LN-1", key="k1")

            with pytest.raises(Conflicting) as refusal:
                await h.pay(reference="LN-1", key="k2")

            assert refusal.value.members == {"operation": first.operation.id}
            assert len(h.bank.ledger.arrivals) == 1

    async def test_the_same_reference_for_another_obligation_is_refused(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            await h.pay("1.00", "LN-1", key="k1")

            with pytest.raises(Refused) as refusal:
                await h.pay("2.00", "LN-1", key="k2")

            assert (refusal.value.kind, refusal.value.retry) == ("reference_reused", Retry.NEVER)

    async def test_of_fifty_racers_with_one_key_one_acts(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            racers = [h.pay(reference="LN-1", key="k") for _ in range(50)]

            answers = await asyncio.gather(*racers, return_exceptions=True)

            ids = {a.operation.id for a in answers if not isinstance(a, BaseException)}
            others = {type(a) for a in answers if isinstance(a, BaseException)}
            assert len(ids) == 1
            assert others <= {Conflicting}
            assert sum(h.bank.ledger.count("payment").values()) == 1

    async def test_clients_do_not_share_keys_or_references(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            one = await h.pay(reference="LN-1", key="k", client="shop")
            two = await h.pay(reference="LN-1", key="k", client="rival")

            assert one.operation.id != two.operation.id
            assert one.operation.partner_key != two.operation.partner_key


class TestSiblings:
    """While one payment for an instalment may still happen, a second one needs to be meant."""

    async def test_an_open_sibling_stands_against_a_new_one(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            open_one = await h.pay("1.17", "A", links_to={"loan": "LN-1", "instalment": "1"})

            with pytest.raises(Conflicting) as refusal:
                await h.pay("1.00", "B", links_to={"loan": "LN-1", "instalment": "1"})

            assert refusal.value.kind == "open_sibling"
            assert refusal.value.members == {"operation": open_one.operation.id}
            again = await h.pay(
                "1.00", "B", links_to={"loan": "LN-1", "instalment": "1"}, despite=[open_one.operation.id]
            )
            assert again.operation.state is State.SUCCEEDED

    async def test_another_instalment_and_an_ended_one_are_no_siblings(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            await h.pay("1.17", "A", links_to={"loan": "LN-1", "instalment": "1"})
            other = await h.pay("1.00", "B", links_to={"loan": "LN-1", "instalment": "2"})
            after = await h.pay("1.00", "C", links_to={"loan": "LN-1", "instalment": "2"})

            assert (other.operation.state, after.operation.state) == (State.SUCCEEDED, State.SUCCEEDED)


class TestDoubt:
    """A lost answer is `unknown` until the bank has said what became of it."""

    @pytest.mark.parametrize("point", [Point.CLOSE_AFTER, Point.BAD_GATEWAY_AFTER, Point.TRUNCATE, Point.TAMPER])
    async def test_a_keyed_payment_is_repeated_under_its_key_and_moves_money_once(
        self, tmp_path: Path, point: Point
    ) -> None:
        async with house(tmp_path) as h:
            h.bank.faults.arm(point, "POST payments", times=2)

            payment = (await h.pay()).operation

            assert (payment.state, payment.attempts) == (State.SUCCEEDED, 3)
            assert sum(h.bank.ledger.count("payment").values()) == 1

    @pytest.mark.parametrize(
        ("point", "moved"),
        [
            (Point.CLOSE_AFTER, 1),
            (Point.CLOSE_BEFORE, 0),
            (Point.BAD_GATEWAY_AFTER, 1),
            (Point.BAD_GATEWAY_BEFORE, 0),
            (Point.TRUNCATE, 1),
            (Point.GARBAGE, 1),
            (Point.TAMPER, 1),
        ],
    )
    async def test_a_transfer_that_may_act_twice_is_never_repeated(
        self, tmp_path: Path, point: Point, moved: int
    ) -> None:
        async with house(tmp_path) as h:
            h.bank.faults.arm(point, "POST transfers")

            transfer = (await h.transfer()).operation

            assert (transfer.state, transfer.attempts) == (State.UNKNOWN, 1)
            assert transfer.next_inquiry_at is not None
            assert sum(h.bank.ledger.count("transfer").values()) == moved
            settled = await h.settle(transfer, rounds=3)
            assert settled.state is (State.SUCCEEDED if moved else State.UNKNOWN)
            assert len([a for a in h.bank.ledger.arrivals if a.operation == "POST transfers"]) == 1

    async def test_a_busy_bank_is_asked_again_even_for_what_may_act_twice(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            h.bank.faults.arm(Point.CLOSE_BEFORE, "GET transfers", times=2)

            transfer = (await h.transfer()).operation

            assert transfer.state is State.SUCCEEDED

    async def test_a_bank_that_is_not_there_leaves_nothing_in_doubt(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            await h.bank_closes()

            payment = (await h.pay()).operation

            assert payment.state is State.FAILED
            assert payment.reason is not None
            assert payment.reason.code == "not_sent"

    async def test_a_decline_is_a_failure_with_the_banks_own_code(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.13")).operation

            assert payment.state is State.FAILED
            assert payment.reason is not None
            assert (payment.reason.code, payment.reason.partner_code) == ("declined", "DECLINED")

    async def test_a_caller_who_stops_waiting_gets_what_stands_and_the_call_goes_on(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            h.bank.faults.arm(Point.DELAY_AFTER, "POST payments", seconds=0.6)

            payment = (await h.pay(wait=0.1)).operation

            assert (payment.state, payment.attempts) == (State.PROCESSING, 0)
            for _ in range(100):
                if not (await h.stands(payment)).open:
                    break
                await asyncio.sleep(0.05)
            assert (await h.stands(payment)).state is State.SUCCEEDED

    async def test_a_caller_who_leaves_does_not_cancel_the_call(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            h.bank.faults.arm(Point.DELAY_AFTER, "POST payments", seconds=0.3)
            caller = asyncio.create_task(h.pay(reference="LN-1"))
            await asyncio.sleep(0.1)

            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            for _ in range(100):
                found = await h.store.operation_by_reference("shop", "payment", "LN-1")
                if found is not None and not found.open:
                    break
                await asyncio.sleep(0.05)

            assert found is not None
            assert found.state is State.SUCCEEDED


class TestRefunds:
    """Refunds reserve their part of the payment before anything leaves."""

    async def test_of_fifty_refunds_of_sixty_percent_one_succeeds(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            for _ in range(20):
                payment = (await h.pay("100.00")).operation

                answers = await asyncio.gather(*(h.refund(payment, "60.00") for _ in range(50)), return_exceptions=True)

                succeeded = [a for a in answers if not isinstance(a, BaseException)]
                kinds = {a.kind for a in answers if isinstance(a, Refused)}
                assert len(succeeded) == 1
                assert kinds == {"amount_not_available"}
                assert (await h.stands(payment)).reserved == 6000

    async def test_a_refused_refund_gives_its_part_back(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("100.00")).operation

            refused = (await h.refund(payment, "60.13")).operation

            assert refused.state is State.FAILED
            assert (await h.stands(payment)).reserved == 0
            assert (await h.refund(payment, "100.00")).operation.state is State.SUCCEEDED

    async def test_a_refund_in_doubt_keeps_its_part(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("100.00")).operation
            h.bank.faults.arm(Point.CLOSE_AFTER, "POST refunds", times=3)

            doubtful = (await h.refund(payment, "60.00")).operation

            assert doubtful.state is State.UNKNOWN
            with pytest.raises(Refused):
                await h.refund(payment, "60.00")
            assert (await h.settle(doubtful)).state is State.SUCCEEDED
            assert sum(h.bank.ledger.count("refund").values()) == 1

    async def test_a_payment_that_did_not_succeed_cannot_be_refunded(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay("1.17")).operation

            with pytest.raises(Refused) as refusal:
                await h.refund(payment, "1.00")

            assert refusal.value.kind == "amount_not_available"


class TestRefusals:
    """What cannot be done is refused with every reason at once, and nothing leaves."""

    async def test_terms_are_enforced_before_anything_leaves(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            with pytest.raises(Invalid) as refusal:
                await h.pay(
                    "50000.01",
                    method={"type": "bank_debit"},
                    partner_options={"riverbank": {"x": 1}, "other": {}},
                )

            assert {field.path for field in refusal.value.fields} == {
                "amount.amount",
                "method.type",
                "partner_options.other",
                "partner_options.riverbank.x",
            }
            assert h.bank.ledger.arrivals == []

    async def test_an_unknown_connection_names_those_that_work(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            with pytest.raises(Invalid, match="riverbank"):
                await h.pay(connection="nowhere")

    async def test_a_refund_of_somebody_elses_payment_is_not_found(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay(client="rival")).operation

            with pytest.raises(NotFound):
                await h.refund(payment, "1.00")

    async def test_another_currency_than_the_payment_had_is_refused(self, tmp_path: Path) -> None:
        async with house(tmp_path) as h:
            payment = (await h.pay()).operation
            body = NewRefund.model_validate(
                {
                    "connection": "riverbank",
                    "reference": "R",
                    "amount": {"amount": "1.00", "currency": "GBP"},
                }
            )

            with pytest.raises(Invalid) as refusal:
                await h.engine.initiate("refund", body, h.call(), parent=payment.id)

            assert refusal.value.fields[0].path == "amount.currency"


async def test_an_undeclared_code_is_unknown_and_raises_drift(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        genuine = h.bank.answer
        h.bank.answer = lambda order: genuine({**order, "code": "SURPRISE"})  # type: ignore[method-assign]  # a new code

        payment = (await h.pay()).operation

        assert payment.state is State.UNKNOWN
        events = await h.store.events("shop")
        assert [event.type for event in events] == ["payment.unknown", "partner.drift"]
        assert Attention.OVERDUE_UNKNOWN not in [item.code for item in payment.attention]


async def test_a_link_that_cannot_be_signed_leaves_what_happened_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as h:
        link = PaymentFact(code="SCAN", next_action=SignedLink(url="https://bank.example", life=timedelta(minutes=5)))
        monkeypatch.setattr(h.connection.adapter, "_payment", lambda reply: link)

        payment = (await h.pay("1.19")).operation

        assert (payment.state, payment.attempts) == (State.UNKNOWN, 1)
        assert [entry.kind for entry in await h.store.chain(payment.id)] == ["intent", "outcome", "change"]


async def test_another_clients_operation_is_not_named_to_whoever_wants_its_partner_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as h:
        monkeypatch.setattr(assemble, "partner_key", lambda *parts: "ORDER-7")
        first = (await h.pay(client="shop")).operation

        with pytest.raises(Conflicting) as same:
            await h.pay(client="shop")
        with pytest.raises(Conflicting) as other:
            await h.pay(client="rival")

        assert (same.value.members, other.value.members) == ({"operation": first.id}, {})


async def test_what_an_adapter_stumbles_over_is_named_by_its_place_and_never_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumbles(reply: object) -> None:
        raise ValueError("an odd answer about Zhang San")

    async with house(tmp_path) as h:
        monkeypatch.setattr(h.connection.adapter, "_payment", stumbles)

        payment = (await h.pay()).operation

        assert payment.state is State.UNKNOWN
        assert payment.reason is not None
        assert "Zhang" not in f"{caplog.text} {payment.reason.detail}"
        assert "ValueError < test_engine.py:" in caplog.text
