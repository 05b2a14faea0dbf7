"""The tokens of one connection: kept, refreshed early, and fetched by one call for all that wait.

Rules
- A token is sealed wherever it rests, durable before it is used, and shown nowhere: in no record, message or repr.
- Single flight: whoever needs a token while it is being fetched waits for the same fetch, which nobody's cancellation
  stops. A token that was refused is renewed only if nobody has renewed it since.
- A token belongs to no operation: its request has a Work, a chain (`tok_…`) and intents of its own.
- An authorisation code is exchanged once. It is never sent again once it may have arrived.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.crypto.seal import Sealer
from gateway.crypto.secrets import fill_secrets, names_of_secrets
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Code, Grant, Reply, Request, Secret, TokenPaths
from gateway.model.problems import ConsentRequired, NotProven, NotSent, NotUnderstood, PartnerError, TokenRefused
from gateway.model.terms import Proof
from gateway.store.interface import Store, TokenDropped, TokenKept
from gateway.store.work import Work
from gateway.wire.attempt import Judgement, Sender, Sending
from gateway.wire.exchange import Attempt, Exchange
from gateway.wire.observed import Observed
from gateway.wire.repeating import Call, Repeater
from gateway.wire.retry import Repeat

__all__ = ["Token", "Tokens"]

log = logging.getLogger(__name__)

EARLY: Final = timedelta(seconds=60)
EARLY_SHARE: Final = 0.1
"""A token is refreshed when 60 s or a tenth of its life are left, whichever is less."""

FETCH_SECONDS: Final = 20.0
MOST_HELD: Final = 4096
"""Tokens held in memory, since each consent has one of its own; further ones are read from the store again."""

REST_SECONDS: Final = 10.0
"""After an early refresh that failed, the old token serves for this long before the next try."""

CODE: Final = "authorisation_code"
REFRESH_TOKEN: Final = "refresh_token"
"""Names by which grants write what the core alone holds; no configured secret can stand in for them."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is held."""

    value: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    early_at: datetime | None = None


class Tokens:
    """Gets, keeps and renews tokens. `secrets` reveals a configured secret by its name."""

    def __init__(
        self,
        connection: str,
        store: Store,
        sealer: Sealer,
        sender: Sender,
        repeater: Repeater,
        clock: Clock,
        ids: Identifiers,
        secrets: Callable[[str], str],
    ) -> None:
        self._connection = connection
        self._store = store
        self._sealer = sealer
        self._sender = sender
        self._repeater = repeater
        self._clock = clock
        self._ids = ids
        self._secrets = secrets
        self._held: dict[str, Token] = {}
        self._flights: dict[tuple[str, str | None], asyncio.Task[Token]] = {}
        self._rest_until: dict[str, float] = {}

    async def get(self, grant: Grant, exchange: Exchange) -> Token:
        """The token for a request of `exchange`. Raises `NotSent`, `TokenRefused`, `ConsentRequired`."""
        if exchange.code is not None and _needs_code(grant):
            code, exchange.code = exchange.code, None
            return await self._share(grant, exchange, None, code)
        held = self._held.get(grant.name)
        if held is None:
            loaded = await self._load(grant.name)
            held = self._held.get(grant.name) or loaded
            if held is not None and held is loaded:
                self._hold(grant.name, held)
        now = self._clock.now()
        if held is None or _is_past(held.expires_at, now):
            return await self._share(grant, exchange, held)
        if not _is_past(held.early_at, now) or self._clock.monotonic() < self._rest_until.get(grant.name, 0.0):
            return held
        try:
            return await self._share(grant, exchange, held)
        except PartnerError as failure:
            log.warning("%s: the token %s was not refreshed early: %s", self._connection, grant.name, failure)
            self._rest_until[grant.name] = self._clock.monotonic() + REST_SECONDS
            return held

    async def renew(self, grant: Grant, refused: Token, exchange: Exchange) -> Token:
        """Another token than the one that was `refused`. Raises like `get`."""
        held = self._held.get(grant.name)
        if held is not None and held is not refused:
            return held
        return await self._share(grant, exchange, refused)

    def describe(self) -> dict[str, object]:
        """For people and metrics: names and ends of life, never a value."""
        return {
            name: {"expires_at": token.expires_at, "being_fetched": (name, None) in self._flights}
            for name, token in self._held.items()
        }

    async def _share(self, grant: Grant, exchange: Exchange, stale: Token | None, code: str | None = None) -> Token:
        """Wait for the one fetch of this token, begun here if there is none."""
        key = (grant.name, code)
        flight = self._flights.get(key)
        if flight is None:
            handed = Code(Secret(CODE), exchange.handoff) if code is not None and exchange.handoff else None
            flight = asyncio.create_task(self._fetch(grant, stale, handed, code or ""))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        left = exchange.conduct.deadline - self._clock.monotonic()
        await asyncio.wait({flight}, timeout=max(0.0, left))
        if not flight.done():
            raise NotSent(f"the token {grant.name!r} did not come in time; nothing else was sent")
        return flight.result()

    def _landed(self, key: tuple[str, str | None], flight: asyncio.Task[Token]) -> None:
        del self._flights[key]
        if not flight.cancelled() and flight.exception() is not None:  # looked at, so that asyncio does not complain
            log.warning("%s: there is no token %s: %s", self._connection, key[0], flight.exception())

    async def _fetch(self, grant: Grant, stale: Token | None, code: Code | None, code_value: str) -> Token:
        if code is None and stale is not None:
            held = await self._load(grant.name)
            if held is not None and held.value != stale.value and not _is_past(held.expires_at, self._clock.now()):
                self._hold(grant.name, held)
                return held  # another process was faster
        values = {CODE: code_value, REFRESH_TOKEN: (stale and stale.refresh) or ""}
        renewal = grant.renew(Secret(REFRESH_TOKEN)) if code is None and values[REFRESH_TOKEN] else None
        if renewal is not None:
            try:
                return await self._ask(grant, renewal, Repeat.SAFE, values)
            except TokenRefused as refusal:
                log.warning("%s: the refresh token of %s is refused: %s", self._connection, grant.name, refusal)
        try:
            request = grant.request(code)
        except ConsentRequired:
            await self._drop(grant.name, stale)
            raise
        return await self._ask(grant, request, Repeat.SAFE if code is None else Repeat.ONCE, values)

    async def _ask(self, grant: Grant, request: Request, repeat: Repeat, values: Mapping[str, str]) -> Token:
        """Send a token request and keep what it gives: durable before anybody may use it."""
        work = Work(self._store)
        sending = Sending(
            request=request,
            scheme=grant.scheme,
            work=work,
            chain=self._ids.new("tok"),
            client="",
            operation=None,
            verb="token",
            effect=False,
            proof=Proof.CHANNEL,
            deadline=self._clock.monotonic() + FETCH_SECONDS,
            attempts=[],
            secret_reply=True,
        )
        judgement = Judgement(once=repeat is Repeat.ONCE, longest_seconds=FETCH_SECONDS)

        async def once_more(before: Attempt | None) -> Attempt:
            return await self._sender.attempt(sending, judgement, lambda named: self._fill(named, values))

        try:
            last = await self._repeater.run(Call(once_more, lambda: repeat, sending.deadline))
            token = self._read(grant, last)
            if token.refresh is None and REFRESH_TOKEN in names_of_secrets(request):
                # RFC 6749 section 6: where the answer holds no other refresh token, the old one goes on.
                token = replace(token, refresh=values[REFRESH_TOKEN])
            work.add(self._kept(grant.name, token))
        finally:
            await work.commit()
        self._hold(grant.name, token)
        return token

    def _fill(self, named: Request, values: Mapping[str, str]) -> Request:
        return fill_secrets(named, lambda name: values[name] if name in values else self._secrets(name))

    def _read(self, grant: Grant, last: Attempt) -> Token:
        """The token in an answer, times counted from its arrival. Raises `NotSent`, `TokenRefused`."""
        reply = last.reply
        if last.observed is not Observed.GENUINE or reply is None:
            why = last.detail or last.observed.value
            raise NotSent(f"the token {grant.name!r} could not be fetched, so nothing else was sent: {why}")
        answer = _members(reply)
        error = _at(answer, grant.paths.error) if grant.paths.error else _at(answer, "error")
        value = _at(answer, grant.paths.token)
        if reply.status >= 400 or error not in (None, 0, "0", "") or not _fits_a_header(value):
            shown = f", {error!s:.60}" if isinstance(error, str | int) else ""
            raise TokenRefused(f"the partner did not give the token {grant.name!r} (status {reply.status}{shown})")
        return _token(answer, grant.paths, reply.received_at)

    async def _load(self, name: str) -> Token | None:
        stored = await self._store.token(self._connection, name)
        if stored is None:
            return None
        try:
            members = json.loads(self._sealer.open(stored.sealed, self._context(name)))
        except NotProven:
            log.exception("%s: the kept token %s cannot be opened; another is fetched", self._connection, name)
            return None
        early_at = members["early_at"] and datetime.fromisoformat(members["early_at"])
        return Token(members["value"], members["refresh"], stored.expires_at, early_at)

    def _kept(self, name: str, token: Token) -> TokenKept:
        early_at = token.early_at.isoformat() if token.early_at else None
        members = {"value": token.value, "refresh": token.refresh, "early_at": early_at}
        sealed = self._sealer.seal(json.dumps(members).encode(), self._context(name))
        return TokenKept(self._connection, name, sealed, token.expires_at)

    def _hold(self, name: str, token: Token) -> None:
        self._held.pop(name, None)
        self._held[name] = token
        self._rest_until.pop(name, None)
        while len(self._held) > MOST_HELD:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._rest_until.pop(oldest, None)

    async def _drop(self, name: str, stale: Token | None) -> None:
        """Forget a token that a person must authorise anew."""
        if self._held.pop(name, None) is not None or stale is not None:
            await self._store.commit([TokenDropped(self._connection, name)])

    def _context(self, name: str) -> bytes:
        return f"token {self._connection} {name}".encode()


def _needs_code(grant: Grant) -> bool:
    try:
        grant.request(None)
    except ConsentRequired:
        return True
    return False


def _is_past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now >= moment


def _members(reply: Reply) -> Mapping[str, Any]:
    try:
        answer = reply.json()
    except NotUnderstood:
        return {}
    return answer if isinstance(answer, dict) else {}


def _at(answer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = answer
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _fits_a_header(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 8000 and value.isascii() and value.isprintable()


def _token(answer: Mapping[str, Any], paths: TokenPaths, received_at: datetime) -> Token:
    refresh = _at(answer, paths.refresh)
    life = _seconds(_at(answer, paths.life))
    expires_at = early_at = None
    if life is not None:
        expires_at = received_at + life
        early_at = expires_at - min(EARLY, life * EARLY_SHARE)
    kept = refresh if isinstance(refresh, str) and refresh else None
    return Token(_at(answer, paths.token), kept, expires_at, early_at)


def _seconds(value: object) -> timedelta | None:
    """A life in seconds, which some partners write as text; None if none is stated."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 10**9:
        return timedelta(seconds=value)
    return None
