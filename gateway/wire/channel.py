"""The way out of one connection: a request of a verb goes in, a proven reply comes out, or what is known without one.

A send, step by step
  1. admission: may this verb do that; is there time; the breaker; a place under the limit
  2. the token is placed by name; its value comes in after signing
  3. the scheme signs; the host must be allowed       \\
  4. the intent becomes durable with all that waits   |
  5. the transport sends                              |  `attempt`, anew for each attempt
  6. the scheme verifies                              |
  7. the outcome is staged                            /
  8. the retry table decides whether to send again: `repeating`, within attempts, budget, Retry-After and deadline

Rules
- What is raised speaks about the act as a whole: once a send of it may have arrived, nothing but `OutcomeUnknown` is
  raised, whatever became of later sends.
- What a platform wrote is never searched for secrets. In a verb's own request only the token and headers that are a
  `Secret` as a whole are filled in.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

from gateway.audit.journal import Journal
from gateway.crypto.seal import Sealer
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Asked, Bearer, Keys, Placement, Reply, Request, Scheme, Secret
from gateway.model.problems import AdapterError, NoAnswer, NotSent, OutcomeUnknown, PartnerError, TokenRefused
from gateway.model.states import Meaning
from gateway.store.interface import Store
from gateway.wire.attempt import Fill, Judgement, LearnKeys, Sender, Sending
from gateway.wire.breaker import Breaker
from gateway.wire.budget import Budget
from gateway.wire.exchange import Attempt, Exchange
from gateway.wire.limits import Limit
from gateway.wire.observed import Observed
from gateway.wire.repeating import Call, Repeater
from gateway.wire.retry import Pace, Repeat
from gateway.wire.tokens import Token, Tokens
from gateway.wire.transport import Transport

__all__ = ["Channel"]

TOKEN = Secret("access_token")
"""What stands in a request, and in its record, where the token's value goes out."""


class Channel:
    """Sends for one connection. `open` puts one together; `learn_keys` fetches a partner's key by its id."""

    def __init__(
        self,
        *,
        connection: str,
        scheme: Scheme,
        transport: Transport,
        sender: Sender,
        tokens: Tokens,
        repeater: Repeater,
        clock: Clock,
        breaker: Breaker,
        limit: Limit,
        budget: Budget,
        secrets: Callable[[str], str],
    ) -> None:
        self.connection = connection
        self.tokens = tokens
        self.transport = transport
        self.observed: Counter[tuple[str, str]] = Counter()  # (verb, what was observed), for metrics
        self._scheme = scheme
        self._sender = sender
        self._repeater = repeater
        self._clock = clock
        self._breaker = breaker
        self._limit = limit
        self._budget = budget
        self._secrets = secrets

    @classmethod
    def open(
        cls,
        *,
        connection: str,
        partner: str,
        scheme: Scheme,
        keys: Keys,
        transport: Transport,
        store: Store,
        sealer: Sealer,
        journal: Journal,
        clock: Clock,
        ids: Identifiers,
        secrets: Callable[[str], str],
        learn_keys: LearnKeys | None = None,
        pace: Pace | None = None,
        breaker: Breaker | None = None,
        limit: Limit | None = None,
        budget: Budget | None = None,
        chance: Callable[[], float] = random.random,
    ) -> Channel:
        """Put a channel together. `secrets` reveals a configured secret by name; `chance` draws from [0, 1)."""
        budget = budget or Budget()
        repeater = Repeater(pace or Pace(), budget, clock, chance)
        sender = Sender(connection, partner, keys, transport, journal, clock, ids, learn_keys)
        tokens = Tokens(connection, store, sealer, sender, repeater, clock, ids, secrets)
        return cls(
            connection=connection,
            scheme=scheme,
            transport=transport,
            sender=sender,
            tokens=tokens,
            repeater=repeater,
            clock=clock,
            breaker=breaker or Breaker(connection, clock),
            limit=limit or Limit(connection),
            budget=budget,
            secrets=secrets,
        )

    async def send(self, asked: Asked, exchange: Exchange) -> Reply:
        """Send what a verb asks for and give back the proven reply.

        Raises `OutcomeUnknown`, `NoAnswer`, `NotSent`, `TokenRefused` and `ConsentRequired`, as the `Wire` promises its
        adapters; `AdapterError` for what the verb must not do; and what `Work.intend` raises.
        """
        # 1. Admission: nothing is signed or recorded before it.
        exchange.begin(asked, self._clock.now())
        left = exchange.conduct.deadline - self._clock.monotonic()
        if left < self._repeater.pace.shortest_seconds:
            raise NotSent("the time for this call was over before it left")
        self._breaker.admit(exchange.verb, effect=asked.effect)
        observed: Observed | None = None
        try:
            await self._limit.enter(exchange.verb, left)
            try:
                last = await self._run(asked, exchange)
                observed = last.observed
            except NotSent:
                observed = Observed.NOT_SENT
                raise
            finally:
                self._limit.leave(exchange.verb)
        except PartnerError as failure:
            # No token can be had: nothing of this attempt left, but something of an earlier one may have arrived.
            if asked.effect and exchange.unsettled:
                raise _unknown(exchange, str(failure)) from failure
            raise
        finally:
            self._breaker.record(exchange.verb, observed, effect=asked.effect)
        return _told(asked, exchange, last)

    def describe(self) -> dict[str, object]:
        """For `/v1/partners` and metrics."""
        return {
            "breaker": self._breaker.describe(),
            "limit": self._limit.describe(),
            "budget": self._budget.describe(),
            "tokens": self.tokens.describe(),
        }

    async def close(self) -> None:
        """Close the connections. What is under way fails."""
        await self.transport.close()

    async def _run(self, asked: Asked, exchange: Exchange) -> Attempt:
        """Steps 2 to 8."""
        grant = asked.access
        sending = self._sending(asked, exchange)
        token: Token | None = None
        renewed = False

        def repeat() -> Repeat:
            now, left = self._clock.now(), sending.deadline - self._clock.monotonic()
            return exchange.repeat(asked, now, left)

        async def once_more(before: Attempt | None) -> Attempt:
            nonlocal token, renewed
            if grant is not None:  # 2
                if before is not None and before.observed is Observed.TOKEN_STALE and token is not None:
                    token, renewed = await self.tokens.renew(grant, token, exchange), True
                else:
                    token = await self.tokens.get(grant, exchange)
            once = repeat() is Repeat.ONCE
            judgement = Judgement(
                once=once,
                # Where a repetition could act twice, waiting longer is better than being left in doubt.
                longest_seconds=math.inf if once else self._repeater.pace.attempt_seconds,
                refused=grant.refused if grant is not None else frozenset(),
                renewed=renewed,
            )
            fill = self._fill(sending.request, grant.placement if grant is not None else None, token)
            attempt = await self._sender.attempt(sending, judgement, fill)
            self.observed[exchange.verb, attempt.observed.name.lower()] += 1
            return attempt

        return await self._repeater.run(Call(once_more, repeat, sending.deadline))

    def _sending(self, asked: Asked, exchange: Exchange) -> Sending:
        conduct, request = exchange.conduct, asked.request
        return Sending(
            request=request if asked.access is None else _placed(request, asked.access.placement),
            scheme=request.scheme or self._scheme,
            work=exchange.work,
            chain=exchange.chain,
            client=exchange.client,
            operation=exchange.operation,
            verb=exchange.verb,
            effect=asked.effect,
            proof=conduct.proof,
            deadline=conduct.deadline,
            attempts=exchange.attempts,
            content=exchange.content if asked.effect else None,
            codes=conduct.codes,
            code=conduct.code,
            consent=conduct.consent,
            purpose=conduct.purpose,
        )

    def _fill(self, request: Request, placement: Placement | None, token: Token | None) -> Fill | None:
        """What puts the values in, or None where there are none."""
        if token is None and not any(isinstance(value, Secret) for _, value in request.headers):
            return None

        def fill(named: Request) -> Request:
            headers = tuple(
                (name, self._secrets(_name_of(value)) if isinstance(value, Secret) else value)
                for name, value in named.headers
            )
            named = replace(named, headers=headers)
            return named if placement is None or token is None else _with_token(named, placement, token)

        return fill


def _name_of(secret: Secret) -> str:
    return secret.removeprefix("__secret.").removesuffix("__")


def _placed(request: Request, placement: Placement) -> Request:
    """The request with its token by name."""
    if isinstance(placement, Bearer):
        return request.with_header("Authorization", f"Bearer {TOKEN}")
    return request.with_url(f"{request.url}{'&' if '?' in request.url else '?'}{placement.parameter}={TOKEN}")


def _with_token(request: Request, placement: Placement, token: Token) -> Request:
    if isinstance(placement, Bearer):
        return request.with_header("Authorization", f"Bearer {token.value}")
    # The last one is ours: what a platform wrote stands before it.
    before, found, after = request.url.rpartition(TOKEN)
    if not found:
        raise AdapterError("the scheme took the token's place out of the query; it must leave what it does not sign")
    return request.with_url(f"{before}{quote(token.value, safe='')}{after}")


def _told(asked: Asked, exchange: Exchange, last: Attempt) -> Reply:
    """The proven reply, or what is known without one."""
    declared = last.observed is Observed.BUSY and last.meaning is Meaning.BUSY
    if last.reply is not None and (last.observed is Observed.GENUINE or declared):
        return last.reply
    why = f"{last.observed.value}{f' ({last.detail})' if last.detail else ''}"
    if asked.effect and exchange.unsettled:
        raise _unknown(exchange, why)
    if last.observed is Observed.TOKEN_REFUSED:
        raise TokenRefused(f"{exchange.verb}: {why}; check the credentials of this connection, or the consent")
    if last.observed is Observed.NOT_SENT or (last.observed is Observed.BUSY and asked.effect):
        raise NotSent(f"{exchange.verb}: {why}; nothing happened, so it may be tried again")
    raise NoAnswer(f"{exchange.verb}: {why}")


def _unknown(exchange: Exchange, why: str) -> OutcomeUnknown:
    sends = sum(1 for attempt in exchange.attempts if attempt.may_have_acted)
    return OutcomeUnknown(
        f"{exchange.verb} may have happened: {sends} of its sends may have arrived without a genuine answer; "
        f"at last: {why}. The partner is asked what became of it"
    )
