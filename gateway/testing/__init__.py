"""What adapter authors test with. Nothing here runs in production."""

from gateway.testing.clock import ManualClock
from gateway.testing.drive import Driven, drive, replied
from gateway.testing.keyrings import keys
from gateway.testing.questions import question

__all__ = ["Driven", "ManualClock", "drive", "keys", "question", "replied"]
