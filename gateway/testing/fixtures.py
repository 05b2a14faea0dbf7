"""The pytest plugin for adapter authors: `-p gateway.testing.fixtures` (a new plugin's pyproject says so).

Rules
- Whatever a test does not say itself is the same in every run: time, keys, ids.
- Nothing leaves the machine: `partner` answers from routes and fails the test where there is none; a `house` has the
  simulator on a loopback socket.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.model.ids import Identifiers
from gateway.testing.clock import ManualClock
from gateway.testing.questions import question as _question

if TYPE_CHECKING:
    import respx

    from gateway.testing.house import House

__all__ = ["OpenHouse", "Partner", "Question", "clock", "house", "ids", "partner", "question"]

Question = Callable[..., Any]
"""`question("create_payment", amount=…)`: see `gateway.testing.questions`."""

OpenHouse = Callable[..., "Awaitable[House[Any]]"]
"""`await house(Riverbank, RiverbankSimulator)`: a whole gateway around the adapter."""


class Partner:
    """A partner made of routes: `partner.routes` is a `respx.Router`, `await partner(verb)` runs a verb before it."""

    def __init__(self, routes: respx.Router) -> None:
        self.routes = routes

    async def __call__(self, verb: Coroutine[Any, Any, Any]) -> Any:
        """What the verb returns. A request that no route matches fails the test."""
        from gateway.testing.respx_bridge import through

        return await through(self.routes, verb)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still until the test moves it."""
    return ManualClock()


@pytest.fixture
def ids(clock: ManualClock) -> Identifiers:
    """Identifiers that come in the same order in every run."""
    count = itertools.count(1)
    return Identifiers(clock.now, lambda size: next(count).to_bytes(size, "big"))


@pytest.fixture
def question() -> Question:
    """Builds what the core would ask a verb."""
    return _question


@pytest.fixture
def partner() -> Iterator[Partner]:
    """A partner made of routes."""
    import respx

    with respx.mock(assert_all_called=False) as router:
        yield Partner(router)


@pytest.fixture
async def house(tmp_path: Path, clock: ManualClock) -> AsyncIterator[OpenHouse]:
    """Opens a gateway around an adapter and its simulator, on a loopback socket, and closes it at the end."""
    from gateway.testing.house import adapter_house

    async with AsyncExitStack() as stack:

        async def opened(adapter: Any, simulator: Any, **more: Any) -> House[Any]:
            return await stack.enter_async_context(adapter_house(adapter, simulator, tmp_path, clock=clock, **more))

        yield opened
