"""Riverbank with one fault planted at a time: the suite must see each, by the right check.

A suite that is green proves something only if it is red where it should be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway import (
    Callback,
    Fact,
    Keys,
    PaymentFact,
    PaymentInitiation,
    PaymentInquiry,
    Remembered,
    Reply,
    Request,
    Wire,
    hours,
    payment_terms,
)
from gateway.testing.conformance import Conformance, Scenario, conformance
from tests.riverbank import ASKED, TOLD, Answer, BodyHMAC, Riverbank
from tests.riverbank_simulator import RiverbankSimulator
from tests.testing.riverbank_scenarios import Payment, ScannedPayment

ACTS: dict[str, Any] = {"currencies": {"CNY"}, "key": Remembered(hours(24))}


class Floating(Riverbank):
    """Converts by a binary fraction."""

    @payment_terms(**ACTS, codes=TOLD)
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        body = {
            "reference": payment.partner_key,
            "cents": int(float(payment.amount.amount) * 100),
            "currency": "CNY",
        }
        return self._payment(await wire.act(Request.post(f"{self.settings.url}/payments", body)))


class Sleeping(Riverbank):
    """Awaits something of its own."""

    @payment_terms(codes=ASKED)
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire) -> PaymentFact:
        await asyncio.sleep(0)
        return self._payment(await wire.ask(self._find("payments", inquiry.partner_key)))


class Counting(Riverbank):
    """Remembers something between calls, so that a repeat is another message."""

    count = 0

    def _order(self, path: str, key: str, amount: Any, of: str | None = None) -> Request:
        type(self).count += 1
        return super()._order(path, key, amount, f"{self.count}")


class Optimistic(Riverbank):
    """Gives a payment a status that payments do not have, and names no currency."""

    @payment_terms(codes=TOLD, statuses={"PAID": "in_force"})
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        return self._payment(await wire.act(self._order("payments", payment.partner_key, payment.amount)))


class Pessimistic(Riverbank):
    """Says of every payment that it was declined."""

    @payment_terms(**ACTS, codes=TOLD)
    async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
        fact = self._payment(await wire.act(self._order("payments", payment.partner_key, payment.amount)))
        return fact.model_copy(update={"code": "DECLINED"})


class Trusting(BodyHMAC):
    """Believes everybody."""

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        return reply.body

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        return callback.body


class Gullible(Riverbank):
    scheme = Trusting()


class Forgetful(Riverbank):
    """Does not read the amount of a callback."""

    def read(self, callback: Callback) -> Sequence[Fact]:
        answer = callback.parse(Answer)
        return [PaymentFact(code=answer.code, partner_key=answer.reference)]


class Blind(Riverbank):
    """Asks for what the bank never heard of."""

    @payment_terms(codes=ASKED)
    async def fetch_payment(self, inquiry: PaymentInquiry, wire: Wire) -> PaymentFact:
        return self._payment(await wire.ask(self._find("payments", f"X{inquiry.partner_key}")))


class Talkative(Riverbank):
    """Writes what it should not into a log."""

    def _find(self, path: str, key: str) -> Request:
        import logging

        logging.getLogger("riverbank").info("asking with shared-secret-of-32-bytes-length")
        return super()._find(path, key)


class AmnesicSimulator(RiverbankSimulator):
    """The bank executes a key as often as it comes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.remembers = False


def run(adapter: type[Riverbank], test: str, tmp_path: Path, simulator: Any = RiverbankSimulator, **given: Any) -> None:
    """One check of the suite on one adapter, as pytest would run it."""
    suite: Conformance = conformance(adapter, simulator=simulator, scenarios=SCENARIOS)()
    from gateway.testing.conformance.cases import Bench

    bench = Bench(adapter, simulator, SCENARIOS, {}, tmp_path / "keys")
    check: Callable[..., None] = getattr(suite, test)
    names = check.__code__.co_varnames[: check.__code__.co_argcount]
    offered: dict[str, Any] = {"bench": bench, "tmp_path": tmp_path / "case", **given}
    if "day" in names:
        offered["day"] = bench.run_day(tmp_path / "day")
    check(**{name: offered[name] for name in names if name != "self"})


SCENARIOS: tuple[Scenario, ...] = (Payment(), ScannedPayment())
PAYMENT, SCANNED = SCENARIOS
LOST = {"lossy": PAYMENT}
PLANTED: tuple[tuple[str, type[Riverbank], str, dict[str, Any]], ...] = (
    ("MONEY-01", Floating, "test_money_01_the_amount_arrives_to_the_cent", {"scenario": PAYMENT}),
    ("MONEY-02", Optimistic, "test_money_02_what_the_terms_exclude_is_refused", {"scenario": PAYMENT}),
    ("HAPPY-01", Pessimistic, "test_happy_01_the_scenario_ends_as_it_says", {"scenario": PAYMENT}),
    ("COVER-01", Sleeping, "test_cover_01_every_verb_runs_in_some_scenario", {}),
    ("IO-02", Counting, "test_io_01_every_verb_awaits_the_wire_alone_and_repeats_itself", {"verb": "create_payment"}),
    ("CODE-01", Optimistic, "test_code_01_every_declared_code_means_what_it_says", {"verb": "create_payment"}),
    ("DOUBT-01", Pessimistic, "test_doubt_01_a_lost_answer_moves_nothing_twice", LOST),
    ("CRASH-01", Blind, "test_crash_01_the_next_process_settles_what_the_last_one_left", LOST),
    ("DOUBT-01", Blind, "test_doubt_01_a_lost_answer_moves_nothing_twice", LOST),
    ("PROOF-01", Gullible, "test_proof_01_an_altered_reply_is_not_believed", {}),
    ("CB-03", Gullible, "test_cb_03_an_altered_callback_is_not_believed", {"caller": SCANNED}),
    ("CB-01", Forgetful, "test_cb_01_a_genuine_callback_is_believed", {"caller": SCANNED}),
    ("SECRET-01", Talkative, "test_secret_01_no_secret_stands_in_clear", {}),
)


@pytest.mark.parametrize(
    ("id", "adapter", "test", "given"), PLANTED, ids=[f"{row[0]}-{row[1].__name__}" for row in PLANTED]
)
def test_a_planted_fault_is_seen(
    id: str, adapter: type[Riverbank], test: str, given: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(pytest.fail.Exception, match=f"^{id}: "):
        run(adapter, test, tmp_path, **given)


def test_a_bank_that_forgets_keys_is_seen_by_its_ledger(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"^ONCE-01: "):
        run(Riverbank, "test_doubt_01_a_lost_answer_moves_nothing_twice", tmp_path, AmnesicSimulator, **LOST)


def test_an_adapter_that_reaches_past_the_front_door_is_seen(tmp_path: Path) -> None:
    """This module imports asyncio, which an adapter may not."""
    with pytest.raises(pytest.fail.Exception, match=r"^IMPORT-01: .*asyncio"):
        run(Floating, "test_import_01_the_adapter_sees_the_front_door_only", tmp_path)
