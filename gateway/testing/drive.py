"""Steps a verb by hand, with no event loop: what it asks is collected, and what comes back is the test's own choice.

Rules
- A verb may await the wire and nothing else. Anything else that it awaits fails the drive at once, and so does a verb
  that asks for more than there are replies.
- Replies are given as proven: signatures belong to the scheme and are tested there.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from gateway.model.message import Asked, Reply
from gateway.model.problems import AdapterError, PartnerError

__all__ = ["Driven", "Heard", "drive", "replied"]

A = TypeVar("A")

Heard = Reply | PartnerError
"""What comes back for one request: a proven reply, or what the wire raises where none came."""


@dataclass(slots=True)
class Driven(Generic[A]):
    """What the verb returned, and every request that it made, in order."""

    fact: A
    asked: list[Asked] = field(default_factory=list)


def replied(body: bytes | str, status: int = 200, *headers: tuple[str, str]) -> Reply:
    """A proven reply with that body."""
    raw = body.encode() if isinstance(body, str) else body
    return Reply(status, headers, raw, datetime(2026, 1, 1, tzinfo=UTC))


def drive(verb: Coroutine[Any, Any, A], replies: Iterable[Heard] | Callable[[Asked], Heard]) -> Driven[A]:
    """Run `verb` to its end. `replies` come one for each request, or from a function of the request.

    Raises what the verb raises, and `AdapterError` if it awaits something foreign, asks for more than there is, or
    leaves replies unasked for.
    """
    rest = None if callable(replies) else list(replies)
    asked: list[Asked] = []
    heard: Heard | None = None
    try:
        while True:
            try:
                wanted = verb.throw(heard) if isinstance(heard, PartnerError) else verb.send(heard)
            except StopIteration as done:
                return _ended(done.value, asked, rest)
            if not isinstance(wanted, Asked):
                raise AdapterError(f"the verb awaited {wanted!r}; a verb awaits the wire and nothing else")
            asked.append(wanted)
            heard = replies(wanted) if callable(replies) else _next(rest or [], wanted, len(asked))
    finally:
        verb.close()


def _ended(fact: Any, asked: list[Asked], rest: list[Heard] | None) -> Driven[Any]:
    if rest:
        raise AdapterError(f"the verb ended with {len(rest)} replies left that it never asked for")
    return Driven(fact, asked)


def _next(rest: list[Heard], wanted: Asked, number: int) -> Heard:
    if not rest:
        request = wanted.request
        raise AdapterError(f"request {number} of the verb ({request.method} {request.url}) has no reply in this drive")
    return rest.pop(0)
