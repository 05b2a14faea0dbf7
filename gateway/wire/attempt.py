"""One attempt of one request, and nothing more: it never decides whether to send again.

Steps (numbered as in the design of the wire; admission and token come before, the retry table after)
    (3) the scheme signs, with a fresh timestamp and nonce; the transport admits host and form of what it made
    (4) `Work.intend` makes everything that is staged and the intent durable
    (5) the transport sends, against the proof that (4) gave
    (6) the scheme verifies; a key that is not held may be learnt once, and the same bytes are verified again
    (7) the outcome is staged, whatever happened, cancellation included: then it is silence

Secrets: a request names them, and so does its record. The scheme signs over the names, and the values come in after it,
so that plugin code sees none. A scheme whose signature covers the token or a secret says `covers_secrets = True`: then
the values are in place before it signs.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import PurePath
from typing import Final

from gateway.audit.journal import Journal
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Headers, Keys, Reply, Request, Scheme, Stamp
from gateway.model.problems import ConfigurationError, NotProven, UnknownKey
from gateway.model.states import Meaning
from gateway.model.terms import Proof
from gateway.store.interface import Draft, Recorded
from gateway.store.work import Work
from gateway.wire.exchange import Attempt
from gateway.wire.observed import Observed, Seen, Verdict, classify, may_have_acted
from gateway.wire.retry import retry_after_seconds
from gateway.wire.transport import Transport, TransportFailure, digest

__all__ = ["Fill", "Judgement", "LearnKeys", "Sender", "Sending"]

log = logging.getLogger(__name__)

LEARN_SECONDS: Final = 10.0
"""How long a reply waits for the key that it is signed with."""

LearnKeys = Callable[[str], Awaitable[bool]]
"""Fetch the partner's key of that id; True if it is held now."""

Fill = Callable[[Request], Request]
"""Puts the values where a request names secrets."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request, secrets by name, that is to be sent, and for whom. `attempts` collects what became of it."""

    request: Request
    scheme: Scheme
    work: Work
    chain: str
    client: str
    operation: str | None
    verb: str
    effect: bool
    proof: Proof
    deadline: float
    attempts: list[Attempt]
    content: str | None = None
    codes: Mapping[str, Meaning] = field(default_factory=dict)
    code: Callable[[Reply], str | None] | None = None
    consent: str | None = None
    purpose: str | None = None
    secret_reply: bool = False  # its body is recorded nowhere: it holds a token


@dataclass(frozen=True, slots=True)
class Judgement:
    """What `classify` needs beside the facts of the attempt, and how long to wait for the reply."""

    once: bool
    longest_seconds: float
    refused: frozenset[str | int] = frozenset()
    renewed: bool = False


@dataclass(slots=True)
class _Ended:
    """How an attempt ended. As it is made, it is silence: what a cancelled attempt must leave behind."""

    seen: Seen = field(default_factory=lambda: Seen(headers_sent=True))
    reply: Reply | None = None
    raw: bytes | None = None  # the reply as it came, for the record
    retry_after: float | None = None
    detail: str | None = "the call was cancelled while it was under way"


class Sender:
    """Makes single attempts for one connection."""

    def __init__(
        self,
        connection: str,
        partner: str,
        keys: Keys,
        transport: Transport,
        journal: Journal,
        clock: Clock,
        ids: Identifiers,
        learn_keys: LearnKeys | None = None,
    ) -> None:
        self.connection = connection
        self._partner = partner
        self._keys = keys
        self._transport = transport
        self._journal = journal
        self._clock = clock
        self._ids = ids
        self._learn_keys = learn_keys

    async def attempt(self, sending: Sending, judgement: Judgement, fill: Fill | None = None) -> Attempt:
        """Send once. Raises what signing and `Work.intend` raise; then nothing has left."""
        number = len(sending.attempts) + 1
        named, exact = self._sign(sending, fill)  # 3
        self._transport.admit(exact)
        intent = self._intent(sending, number, named, exact)
        durable = await sending.work.intend(intent)  # 4
        sent_at, ended = self._clock.now(), _Ended()
        try:
            seconds = min(sending.deadline - self._clock.monotonic(), judgement.longest_seconds)
            try:
                reply = await self._transport.send(exact, durable, seconds)  # 5
            except TransportFailure as failure:
                ended.seen = Seen(failure.headers_sent, failure.kind)
                ended.detail = failure.detail
            else:
                await self._look(sending, reply, named, ended)  # 6
        finally:
            attempt = self._end(sending, judgement, number, intent, sent_at, ended)  # 7
        return attempt

    def _sign(self, sending: Sending, fill: Fill | None) -> tuple[Request, Request]:
        """The request with secrets by name, as it is recorded, and with their values, as it leaves."""
        scheme, stamp = sending.scheme, Stamp(self._clock.now(), self._ids.nonce())
        if fill is None:
            signed = scheme.sign(sending.request, self._keys, stamp)
            return signed, signed
        if getattr(scheme, "covers_secrets", False):
            return sending.request, scheme.sign(fill(sending.request), self._keys, stamp)
        signed = scheme.sign(sending.request, self._keys, stamp)
        return signed, fill(signed)

    def _intent(self, sending: Sending, number: int, named: Request, exact: Request) -> Draft:
        return self._journal.intent(
            chain=sending.chain,
            client=sending.client,
            connection=self.connection,
            partner=self._partner,
            operation=sending.operation,
            verb=sending.verb,
            attempt=number,
            request=named,
            digest=digest(exact),
            content=sending.content,
            sealed_body=_message(f"{named.method} {named.target} HTTP/1.1", named.headers, named.body),
            scheme=sending.scheme.name,
            key_id=self._key_id(),
            effect=sending.effect,
            consent=sending.consent,
            purpose=sending.purpose,
        )

    async def _look(self, sending: Sending, reply: Reply, request: Request, ended: _Ended) -> None:
        body = b"" if sending.secret_reply else reply.body
        ended.raw = _message(f"HTTP/1.1 {reply.status}", reply.headers, body)
        after = next((value for name, value in reply.headers if name.lower() == "retry-after"), None)
        ended.retry_after = retry_after_seconds(after, reply.received_at)
        ended.detail = None
        ended.seen = Seen(True, None, reply.status, after is not None, Verdict.BAD)
        proven, verdict, ended.detail = await self._verify(sending.scheme, reply, request)
        code, meaning = None, Meaning.UNDECLARED
        if proven is not None:
            ended.reply = reply if proven is reply.body else replace(reply, body=proven)
            code = _code(sending, ended.reply)
            meaning = Meaning.UNDECLARED if code is None else sending.codes.get(code, Meaning.UNDECLARED)
        ended.seen = Seen(True, None, reply.status, after is not None, verdict, code, meaning)

    async def _verify(
        self, scheme: Scheme, reply: Reply, request: Request, *, may_learn: bool = True
    ) -> tuple[bytes | None, Verdict, str | None]:
        """Exactly what was proven, the verdict, and what was wrong."""
        try:
            return scheme.verify(reply, request, self._keys), Verdict.PROVEN, None
        except UnknownKey as unknown:
            if may_learn and await self._learnt(unknown.key_id):
                return await self._verify(scheme, reply, request, may_learn=False)
            return None, Verdict.UNKNOWN_KEY, str(unknown)
        except NotProven as wrong:
            return None, Verdict.BAD, str(wrong)
        # A scheme is a plugin's code too: a reply over which it stumbles proves nothing.
        except Exception as stumbled:  # noqa: BLE001 - see above
            detail = f"the scheme {scheme.name} stumbled over a reply ({_place(stumbled)})"
            log.warning("%s: %s", self.connection, detail)
            return None, Verdict.BAD, detail

    async def _learnt(self, key_id: str) -> bool:
        if self._learn_keys is None:
            return False
        try:
            async with asyncio.timeout(LEARN_SECONDS):
                return await self._learn_keys(key_id)
        # Not learning a key is no reason to lose what else is known about this reply.
        except Exception as failure:  # noqa: BLE001 - see above
            log.warning("%s: the key %r could not be fetched (%s)", self.connection, key_id[:80], _place(failure))
            return False

    def _end(
        self, sending: Sending, judgement: Judgement, number: int, intent: Draft, sent_at: datetime, ended: _Ended
    ) -> Attempt:
        seen = ended.seen
        observed = classify(
            seen,
            once=judgement.once,
            proof=sending.proof,
            refused=judgement.refused,
            renewed=judgement.renewed,
        )
        outcome = self._journal.outcome(
            intent=intent,
            observed=observed.name.lower(),
            status=seen.status,
            code=seen.code,
            verdict=seen.verdict.value,
            reply_bytes=ended.raw,
            detail=ended.detail,
        )
        sending.work.add(Recorded(outcome))
        attempt = Attempt(
            number=number,
            effect=sending.effect,
            observed=observed,
            may_have_acted=sending.effect and may_have_acted(observed, seen.meaning),
            sent_at=sent_at,
            status=seen.status,
            code=seen.code,
            meaning=seen.meaning,
            detail=ended.detail,
            retry_after=ended.retry_after,
            reply=ended.reply if observed in (Observed.GENUINE, Observed.BUSY) else None,
            intent=intent.id,
            outcome=outcome.id,
        )
        sending.attempts.append(attempt)
        return attempt

    def _key_id(self) -> str:
        try:
            return self._keys.key_id
        except ConfigurationError:
            return ""  # this connection signs with no key of its own


def _place(failure: Exception) -> str:
    """Kind and place of a failure; its message could show what a reply said."""
    frame = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__}, {PurePath(frame.filename).name}:{frame.lineno}"


def _code(sending: Sending, reply: Reply) -> str | None:
    if sending.code is None:
        return None
    try:
        return sending.code(reply)
    # An adapter's own code: what it cannot read, says nothing.
    except Exception:  # noqa: BLE001 - see above
        return None


def _message(first_line: str, headers: Headers, body: bytes) -> bytes:
    """The exact message for the record, in the form of RFC 9112; secrets stand there by name."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"{first_line}\r\n{head}\r\n".encode() + body
