"""Good days: every scenario as it should go, the amounts that it must carry, and what the verbs did meanwhile."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.adapters.adapter import Adapter
from gateway.model.message import Reply, Wire
from gateway.model.problems import Refused
from gateway.model.states import Meaning
from gateway.model.terms import Terms
from gateway.store.operation import Operation
from gateway.testing.conformance.cases import Bench, Day
from gateway.testing.conformance.checks import check, fail
from gateway.testing.conformance.scenario import Body, Reading, Scenario
from gateway.testing.drive import Driven, drive
from gateway.testing.house import KIND_OF, House
from gateway.testing.watching import Ran

__all__ = ["GoodDays"]


class GoodDays:
    """Checks on what goes well."""

    adapter: type[Adapter[Any]]

    @check("HAPPY-01")
    def test_happy_01_the_scenario_ends_as_it_says(self, day: Day, scenario: Scenario) -> None:
        """With its effect once in the ledger."""
        outcome = day.outcomes[scenario.name]
        if outcome.failure is not None:
            fail("HAPPY-01", f"{scenario.name}: {type(outcome.failure).__name__}: {outcome.failure}")
        if isinstance(scenario, Reading):
            return
        operation = outcome.operation
        if operation is None or operation.state not in scenario.ends:
            fail("HAPPY-01", f"{scenario.name}: it ended as {_standing(operation)}")
        if outcome.happened not in (None, 1):
            fail("HAPPY-01", f"{scenario.name}: its effect is {outcome.happened} times in the ledger")

    @check("COVER-01")
    def test_cover_01_every_verb_runs_in_some_scenario(self, day: Day) -> None:
        """A verb counts once it has come to an answer."""
        missing = [verb for verb in self.adapter.terms if not day.watched.of(verb)]
        if missing:
            fail("COVER-01", f"no scenario takes these to an answer: {', '.join(missing)}")
        lossy = {scenario.verb for scenario in _scenarios(self) if scenario.loses_answers}
        acting = {ran.name for ran in day.watched.runs if any(asked.effect for asked in ran.asked)}
        if acting - lossy:
            fail("COVER-01", f"no scenario loses the answers of {', '.join(sorted(acting - lossy))}")
        calls = [scenario for scenario in _scenarios(self) if scenario.calls_back]
        if day.adapter.read_callbacks() is not None and not calls:
            fail("COVER-01", "the adapter reads callbacks, and no scenario says `calls_back = True`")

    @check("CODE-03")
    def test_code_03_replies_have_codes_and_facts_declared_ones(self, day: Day, verb: str) -> None:
        """On a good day nothing is drift."""
        for ran in day.watched.of(verb):
            terms = self.adapter.terms[verb].for_method(_method(ran.question))
            for asked, heard in zip(ran.asked, ran.heard, strict=True):
                if asked.effect and isinstance(heard, Reply) and day.adapter.code(heard) is None:
                    fail("CODE-03", f"{verb}: `code` finds nothing in the reply to {asked.request.target}")
            if hasattr(ran.fact, "code") and terms.meaning(ran.fact.code) is Meaning.UNDECLARED:
                fail("CODE-03", f"{verb}: its fact carries the undeclared code {ran.fact.code!r}")

    @check("IO-01", "IO-02")
    def test_io_01_every_verb_awaits_the_wire_alone_and_repeats_itself(self, day: Day, verb: str) -> None:
        """Each run of the day, stepped by hand in a thread without a loop."""
        runs = day.watched.of(verb)
        if not runs:
            pytest.skip("does not apply: it never came to an answer (COVER-01 says so)")
        with ThreadPoolExecutor(1) as thread:
            for ran in runs:
                try:
                    driven = thread.submit(_again, ran).result()
                except Exception as failure:  # noqa: BLE001 - whatever a plugin raises is what its author must see
                    fail("IO-01", f"{verb}: {type(failure).__name__}: {failure}")
                if driven.fact != ran.fact:
                    fail("IO-01", f"{verb}: the same replies gave another fact: {driven.fact} instead of {ran.fact}")
                for first, second in zip(ran.asked, driven.asked, strict=True):
                    if first.request != second.request:
                        fail("IO-02", f"{verb}: {_difference(first.request.body, second.request.body)}")

    @check("MONEY-01")
    def test_money_01_the_amount_arrives_to_the_cent(self, bench: Bench, scenario: Scenario, tmp_path: Path) -> None:
        """Odd cents, and the limits of the terms."""
        if scenario.effect is None or scenario.priced("1.00") is None:
            pytest.skip("does not apply: the call states no amount, or moves none")
        asyncio.run(_amounts(bench, scenario, tmp_path))

    @check("MONEY-02")
    def test_money_02_what_the_terms_exclude_is_refused(self, bench: Bench, scenario: Scenario, tmp_path: Path) -> None:
        """By field, with nothing sent."""
        if scenario.priced("1.00") is None:
            pytest.skip("does not apply: the call states no amount")
        if scenario.verb not in KIND_OF:
            pytest.skip("does not apply: the amount is judged where the operation begins")
        asyncio.run(_excluded(bench, scenario, tmp_path))


def _method(question: Any) -> str | None:
    """The payment method that a question is about: its own, or that of what it follows."""
    question = getattr(question, "initiation", question)
    method = getattr(question, "method", None) or getattr(getattr(question, "parent", None), "method", None)
    return getattr(method, "type", method)


def _again(ran: Ran) -> Driven[Any]:
    return drive(ran.verb(ran.question, Wire()), list(ran.heard))


def _scenarios(suite: Any) -> list[Scenario]:
    return list(suite.scenarios)


def _standing(operation: Operation | None) -> str:
    if operation is None:
        return "nothing"
    reason = operation.reason
    return f"{operation.state.value} ({reason.model_dump(exclude_none=True) if reason else 'no reason'})"


def _difference(first: bytes, second: bytes) -> str:
    pairs = enumerate(zip(first, second, strict=False))
    place = next((at for at, (a, b) in pairs if a != b), min(len(first), len(second)))
    window = slice(max(0, place - 20), place + 20)
    return f"the body differs from byte {place}: {first[window]!r} and then {second[window]!r}"


def terms_of(adapter: Adapter[Any], scenario: Scenario, body: Body) -> Terms:
    """The terms under which the call stands."""
    method = body.get("method")
    return adapter.terms[scenario.verb].for_method(method.get("type") if isinstance(method, dict) else None)


async def _amounts(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        terms = terms_of(house.adapter, scenario, scenario.body())
        limits = [str(limit) for limit in (terms.at_least, terms.at_most) if limit is not None]
        for amount in (*scenario.amounts, *limits):
            must = amount in scenario.amounts
            await _one_amount(house, scenario, amount, must=must)


async def _one_amount(house: House[Any], scenario: Scenario, amount: str, *, must: bool) -> None:
    body = scenario.priced(amount) or {}
    before = await scenario.before(house)
    try:
        operation = await scenario.act(house, before, body)
    except Refused as refusal:
        if must:
            fail("MONEY-01", f"{scenario.name}: {amount} was refused: {refusal}")
        return  # a limit beyond what is there, such as more than the payment that is given back
    if operation.open:
        await scenario.people(house, operation)
        operation = await house.settle(operation)
    place = (scenario.effect, scenario.key(operation))
    effects = [one for one in house.simulator.ledger.effects if (one.kind, one.key) == place]
    if must and not effects:
        fail("MONEY-01", f"{scenario.name}: {amount} never moved; it is {_standing(operation)}")
    for effect in effects:
        if effect.amount is not None and effect.amount != Decimal(amount):
            fail("MONEY-01", f"{scenario.name}: {amount} was asked for, and {effect.amount} moved")


async def _excluded(bench: Bench, scenario: Scenario, directory: Path) -> None:
    async with bench.house(directory) as house:
        before = await scenario.before(house)
        terms = terms_of(house.adapter, scenario, scenario.body())
        if before is None and not terms.currencies:
            fail("MONEY-02", f"{scenario.name}: the terms of {scenario.verb} name no currency")
        stranger = "XPF" if "XPF" not in terms.currencies else "VUV"
        wrong = [scenario.priced("1", stranger)] if terms.currencies else []
        if terms.at_least is not None and terms.at_least > Decimal("0.01"):
            wrong.append(scenario.priced(str(terms.at_least - Decimal("0.01"))))
        if terms.at_most is not None:
            wrong.append(scenario.priced(str(terms.at_most + Decimal("0.01"))))
        wrong.append(scenario.priced("0.00"))
        for body in filter(None, wrong):
            amount, arrived = body["amount"], len(house.simulator.ledger.arrivals)
            try:
                await scenario.act(house, before, body)
            except Refused as refusal:
                if not any(one.path.startswith("amount") for one in refusal.fields):
                    fail("MONEY-02", f"{scenario.name}: {amount} is refused without naming it: {refusal}")
            else:
                fail("MONEY-02", f"{scenario.name}: {amount} was not refused")
            if len(house.simulator.ledger.arrivals) != arrived:
                fail("MONEY-02", f"{scenario.name}: something was sent before {amount} was refused")
