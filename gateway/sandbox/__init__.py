"""Simulated institutions: what a plugin's `simulator.py` builds on, and the host that serves it on loopback."""

from gateway.sandbox.certificates import DevelopmentCA, rsa_key
from gateway.sandbox.faults import Fault, Faults, Point
from gateway.sandbox.host import Running, serve
from gateway.sandbox.ledger import Arrival, Effect, Ledger
from gateway.sandbox.notifications import Notification, Notifier
from gateway.sandbox.simulator import Onboarding, Simulator

__all__ = [
    "Arrival",
    "DevelopmentCA",
    "Effect",
    "Fault",
    "Faults",
    "Ledger",
    "Notification",
    "Notifier",
    "Onboarding",
    "Point",
    "Running",
    "Simulator",
    "rsa_key",
    "serve",
]
