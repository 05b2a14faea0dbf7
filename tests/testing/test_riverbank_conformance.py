"""The smallest whole adapter under the suite that every adapter is held to."""

from __future__ import annotations

from gateway.testing.conformance import conformance
from tests.riverbank import Riverbank
from tests.riverbank_simulator import RiverbankSimulator
from tests.testing.riverbank_scenarios import SCENARIOS

TestRiverbank = conformance(Riverbank, simulator=RiverbankSimulator, scenarios=SCENARIOS)
