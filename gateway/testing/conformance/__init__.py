"""The conformance suite: `TestRiverbank = conformance(Riverbank, simulator=RiverbankSimulator, scenarios=…)`."""

from gateway.testing.conformance.checks import CHECKS, Check
from gateway.testing.conformance.scenario import Reading, Scenario
from gateway.testing.conformance.suite import Conformance, conformance

__all__ = ["CHECKS", "Check", "Conformance", "Reading", "Scenario", "conformance"]
