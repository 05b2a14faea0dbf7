"""One statement gives a plugin its suite:

    TestRiverbank = conformance(Riverbank, simulator=RiverbankSimulator, scenarios=[Payment(), Refund()])

The result is a class: a single check may be overridden in a subclass, and `exempt={"CB-04": "why"}` takes one out; the
reason is shown wherever the result is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from gateway.adapters.adapter import Adapter
from gateway.sandbox import Simulator
from gateway.testing.conformance.bad_days import BadDays
from gateway.testing.conformance.callback_cases import CallbackCases
from gateway.testing.conformance.cases import Bench, Day
from gateway.testing.conformance.checks import CHECKS
from gateway.testing.conformance.crash_cases import CrashCases
from gateway.testing.conformance.declared import Declared
from gateway.testing.conformance.good_days import GoodDays
from gateway.testing.conformance.return_cases import ReturnCases
from gateway.testing.conformance.scenario import Scenario

__all__ = ["Conformance", "conformance"]


class Conformance(Declared, GoodDays, BadDays, CallbackCases, ReturnCases, CrashCases):
    """Every check. What it runs on stands in the attributes that `conformance` sets."""

    adapter: type[Adapter[Any]]
    simulator: type[Simulator]
    scenarios: Sequence[Scenario] = ()
    settings: Mapping[str, Any] = {}
    exempt: Mapping[str, str] = {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One case for each verb or scenario that a check asks for."""
        if "verb" in metafunc.fixturenames:
            metafunc.parametrize("verb", list(self.adapter.terms))
        for name, scenarios in {
            "scenario": list(self.scenarios),
            "lossy": [one for one in self.scenarios if one.loses_answers],
            "returning": [one for one in self.scenarios if type(one).location is not Scenario.location],
            "caller": [one for one in self.scenarios if one.calls_back],
        }.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, scenarios, ids=lambda scenario: scenario.name)

    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        """Keys are made once for all cases."""
        template = tmp_path_factory.mktemp("keys") / "partner"
        return Bench(cls.adapter, cls.simulator, cls.scenarios, cls.settings, template)

    @pytest.fixture(scope="class")
    @classmethod
    def day(cls, bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Day:
        """Every scenario once, in one house."""
        return bench.run_day(tmp_path_factory.mktemp("day"))

    @pytest.fixture(autouse=True)
    def _exempt(self, request: pytest.FixtureRequest) -> None:
        for id in getattr(request.function, "__checks__", ()):
            if id in self.exempt:
                pytest.skip(f"exempt: {self.exempt[id]}")


def conformance(
    adapter: type[Adapter[Any]],
    *,
    simulator: type[Simulator],
    scenarios: Sequence[Scenario],
    settings: Mapping[str, Any] | None = None,
    exempt: Mapping[str, str] | None = None,
) -> type[Conformance]:
    """The suite of one adapter. Raises `ValueError` for an exemption without a reason, or from no known check."""
    for id, reason in (exempt or {}).items():
        if id not in CHECKS or not reason.strip():
            raise ValueError(f"exempt {id!r}: name a check of docs/adapters/checks.md, and say why it cannot hold")
    names = [scenario.name for scenario in scenarios]
    if len(set(names)) != len(names):
        raise ValueError(f"two scenarios have the same name: {sorted(names)}")
    members = {
        "adapter": adapter,
        "simulator": simulator,
        "scenarios": tuple(scenarios),
        "settings": dict(settings or {}),
        "exempt": dict(exempt or {}),
        "__doc__": f"The conformance suite of {adapter.name}.",
    }
    return type(f"Conformance{adapter.__name__}", (Conformance,), members)
