"""What adapter authors test with. Nothing here runs in production."""

from gateway.testing.clock import ManualClock

__all__ = ["ManualClock"]
