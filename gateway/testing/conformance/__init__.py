"""The conformance suite: `TestRiverbank = conformance(Riverbank, simulator=RiverbankSimulator, scenarios=…)`.

All that a plugin's scenarios need is here.
"""

from gateway.model.states import State
from gateway.store.operation import Operation
from gateway.testing.conformance.checks import CHECKS, Check
from gateway.testing.conformance.scenario import Body, Reading, Scenario
from gateway.testing.conformance.suite import Conformance, conformance
from gateway.testing.house import House

__all__ = [
    "CHECKS",
    "Body",
    "Check",
    "Conformance",
    "House",
    "Operation",
    "Reading",
    "Scenario",
    "State",
    "conformance",
]
