"""Faults on demand: what networks and institutions do to a caller, by order of a test.

A fault is armed for an operation (a shell pattern over the simulator's own name for it), fires `times` times after
letting `skip` matching requests pass, and is then spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

__all__ = ["Fault", "Faults", "Point"]


class Point(StrEnum):
    """Where in a request's life the fault strikes."""

    CLOSE_BEFORE = "close_before"  # the request is read, nothing is done, the connection drops
    CLOSE_AFTER = "close_after"  # the institution commits, then the connection drops
    BAD_GATEWAY_BEFORE = "bad_gateway_before"  # an intermediary answers 502 in HTML; nothing was done
    BAD_GATEWAY_AFTER = "bad_gateway_after"  # the same answer, but the institution had committed
    TRUNCATE = "truncate"  # committed; half of the reply arrives
    TAMPER = "tamper"  # committed; one byte of the reply's body is flipped
    GARBAGE = "garbage"  # committed; bytes that are not HTTP arrive
    DELAY_BEFORE = "delay_before"  # the institution is slow to begin
    DELAY_AFTER = "delay_after"  # it commits at once and answers late
    BUSY = "busy"  # 429 with Retry-After: 1, nothing was done


@dataclass(slots=True)
class Fault:
    """One armed fault."""

    point: Point
    operation: str = "*"
    times: int = 1
    skip: int = 0
    seconds: float = 0.0  # for the two delays


class Faults:
    """The faults that are armed at one simulator, in the order in which they were armed."""

    def __init__(self) -> None:
        self.armed: list[Fault] = []

    def arm(self, point: Point, operation: str = "*", *, times: int = 1, skip: int = 0, seconds: float = 0.0) -> None:
        self.armed.append(Fault(point, operation, times, skip, seconds))

    def clear(self) -> None:
        self.armed.clear()

    def strike(self, operation: str) -> Fault | None:
        """The fault that hits this request, if any; it is counted as spent."""
        for fault in self.armed:
            if fault.times > 0 and fnmatchcase(operation, fault.operation):
                if fault.skip > 0:
                    fault.skip -= 1
                    return None
                fault.times -= 1
                return fault
        return None
