"""Keeps what an adapter was asked, what it asked, and what came back, while a whole gateway runs it.

What was kept can be run again by hand (`drive`), and every reply can be changed and put before the scheme again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from gateway.adapters.adapter import Adapter
from gateway.model.message import Asked, Callback, Handoff, Keys, Reply, Request, Returned, Scheme, SignedLink, Stamp
from gateway.model.problems import AdapterError, PartnerError
from gateway.testing.drive import Heard
from gateway.testing.signatures import KeyUse, WatchedKeys

__all__ = ["Ran", "Signed", "Unproven", "Verified", "Watched", "WatchedScheme", "watch"]

Bound = Callable[[Any, Any], Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class Ran:
    """One run of a verb. `verb` is the adapter's own method, `raised` what ended it where it returned nothing."""

    name: str
    verb: Bound
    question: Any
    asked: list[Asked] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    fact: Any = None
    raised: Exception | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """One reply that a scheme proved, as it came, and the bytes that it proved."""

    reply: Reply
    request: Request
    proven: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """One request before and after the scheme, and every string for which it used a key."""

    request: Request
    signed: Request
    uses: tuple[KeyUse, ...]


@dataclass(frozen=True, slots=True)
class Unproven:
    """One reply that a scheme did not believe, why, and every string for which it used a key."""

    reply: Reply
    why: str
    uses: tuple[KeyUse, ...]


@dataclass(slots=True)
class Watched:
    """Everything that was kept, in order."""

    runs: list[Ran] = field(default_factory=list)
    replies: list[Verified] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)  # before they were signed, tokens in place
    signed: list[Signed] = field(default_factory=list)
    unproven: list[Unproven] = field(default_factory=list)

    def of(self, verb: str) -> list[Ran]:
        """The runs of one verb that came to an end with an answer."""
        return [ran for ran in self.runs if ran.name == verb and ran.ended and ran.raised is None]


def watch(adapter: Adapter[Any], watched: Watched) -> None:
    """Keep every run of every verb of this instance from now on."""
    for name, verb in list(adapter.verbs.items()):
        adapter.verbs[name] = _watching(name, verb, watched)


def _watching(name: str, verb: Bound, watched: Watched) -> Bound:
    async def run(question: Any, wire: Any) -> Any:
        ran = Ran(name, verb, question)
        watched.runs.append(ran)
        try:
            ran.fact = await _forward(verb(question, wire), ran)
        except Exception as failure:
            ran.raised = failure
            raise
        finally:
            ran.ended = True
        return ran.fact

    return run


async def _forward(inner: Coroutine[Any, Any, Any], ran: Ran) -> Any:
    """Pass each request on to whoever steps us, and what comes back on to the verb."""
    heard: Heard | None = None
    try:
        while True:
            try:
                asked = inner.throw(heard) if isinstance(heard, PartnerError) else inner.send(heard)
            except StopIteration as done:
                return done.value
            if not isinstance(asked, Asked):
                raise AdapterError(f"{ran.name} awaited {asked!r}; a verb may await nothing but the wire")
            ran.asked.append(asked)
            try:
                heard = await asked
            except PartnerError as failure:
                heard = failure
            ran.heard.append(heard)
    finally:
        inner.close()


class WatchedScheme(Scheme):
    """The adapter's own scheme; what passes through it is kept."""

    def __init__(self, scheme: Scheme, watched: Watched) -> None:
        self._scheme = scheme
        self._watched = watched
        self.name = scheme.name
        self.covers_secrets = bool(getattr(scheme, "covers_secrets", False))

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        self._watched.requests.append(request)
        seen = WatchedKeys(keys)
        signed = self._scheme.sign(request, seen, stamp)
        self._watched.signed.append(Signed(request, signed, tuple(seen.uses)))
        return signed

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        seen = WatchedKeys(keys)
        try:
            proven = self._scheme.verify(reply, request, seen)
        except Exception as failure:
            self._watched.unproven.append(Unproven(reply, str(failure), tuple(seen.uses)))
            raise
        self._watched.replies.append(Verified(reply, request, proven))
        return proven

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        return self._scheme.verify_callback(callback, keys)

    def verify_return(self, returned: Returned, handoff: Handoff, keys: Keys) -> Returned:
        return self._scheme.verify_return(returned, handoff, keys)

    def link(self, link: SignedLink, handoff: Handoff, keys: Keys, stamp: Stamp) -> str:
        return self._scheme.link(link, handoff, keys, stamp)
