"""A wire whose requests go to a `respx.Router`: for authors who think in mocked HTTP routes.

    with respx.mock(base_url="https://bank.example") as router:
        router.post("/payments").respond(json={"code": "PAID"})
        fact = await through(router, adapter.create_payment(payment, Wire()))

Rules
- Only respx's public API is used, and nothing is signed: what a route answers counts as proven.
- A request that no route matches fails the test, whatever the adapter catches.
- `ConnectError` and its like mean that nothing left; any other failure of an act means that it may have happened.
"""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.adapters.step import run
from gateway.model.message import Asked, Reply
from gateway.model.problems import NoAnswer, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    import respx

__all__ = ["through"]

A = TypeVar("A")


async def through(router: respx.Router, verb: Coroutine[Any, Any, A]) -> A:
    """Run `verb` with every request answered by `router`. Raises what the verb raises."""
    return await run(verb, lambda asked: _send(router, asked))


async def _send(router: respx.Router, asked: Asked) -> Reply:
    import httpx
    import pytest
    import respx

    request = asked.request
    wanted = httpx.Request(request.method, request.url, headers=list(request.headers), content=request.body)
    try:
        answer = await router.async_handler(wanted)
        body = await answer.aread()
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol) as failure:
        raise NotSent(f"nothing left: {failure}") from None
    except httpx.TransportError as failure:
        if asked.effect:
            raise OutcomeUnknown(f"no answer came to an act: {failure}") from None
        raise NoAnswer(f"no answer came: {failure}") from None
    except respx.models.AllMockedAssertionError:
        # An AssertionError is an Exception, and an adapter or the engine could make "unknown" of it. This gets through.
        pytest.fail(f"no route is mocked for {request.method} {request.url}")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers.raw)
    return Reply(answer.status_code, headers, body, datetime.now(UTC))
