"""The event loop that every process of a run has: uvloop where it is installed, as in `lendgate serve`."""

from __future__ import annotations

import asyncio
from importlib import import_module

__all__ = ["loop_name", "new_loop"]


def new_loop() -> asyncio.AbstractEventLoop:
    """A loop of the kind that `loop_name` names."""
    try:
        loop: asyncio.AbstractEventLoop = import_module("uvloop").new_event_loop()
    except ImportError:
        return asyncio.new_event_loop()
    return loop


def loop_name() -> str:
    """`uvloop 0.23.0`, or `asyncio`."""
    try:
        return f"uvloop {import_module('uvloop').__version__}"
    except ImportError:
        return "asyncio"
