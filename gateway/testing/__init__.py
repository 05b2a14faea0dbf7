"""What adapter authors test with. Nothing here runs in production."""

from gateway.testing.clock import ManualClock
from gateway.testing.drive import Driven, drive, replied

__all__ = ["Driven", "ManualClock", "drive", "replied"]
