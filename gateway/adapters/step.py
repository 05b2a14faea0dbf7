"""Steps a verb by hand: it runs until it awaits the wire, and the driver decides what comes back.

Both the engine and the test kit drive verbs this way, so an adapter cannot await anything else: a foreign await (a
sleep, a socket, a lock) is caught at once, also without an event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from gateway.model.message import Asked, Reply
from gateway.model.problems import AdapterError, PartnerError

__all__ = ["run"]

A = TypeVar("A")


async def run(verb: Coroutine[Any, Any, A], send: Callable[[Asked], Awaitable[Reply]]) -> A:
    """Drive `verb`, sending what it asks by `send`; its replies, and the `PartnerError`s it raises, go back in.

    Raises `AdapterError` if the verb awaits anything but the wire; whatever else it raises passes through.
    """
    resume: Callable[[], Any] = lambda: verb.send(None)  # noqa: E731 - rebound below
    try:
        while True:
            try:
                asked = resume()
            except StopIteration as done:
                answer: A = done.value
                return answer
            if not isinstance(asked, Asked):
                raise AdapterError("the adapter awaited something other than the wire; a verb may await nothing else")
            try:
                reply = await send(asked)
            except PartnerError as refusal:
                resume = _thrower(verb, refusal)
            else:
                resume = _sender(verb, reply)
    finally:
        verb.close()


def _sender(verb: Coroutine[Any, Any, A], reply: Reply) -> Callable[[], Any]:
    return lambda: verb.send(reply)


def _thrower(verb: Coroutine[Any, Any, A], refusal: PartnerError) -> Callable[[], Any]:
    return lambda: verb.throw(refusal)
