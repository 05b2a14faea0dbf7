"""One run of a verb: drives the adapter over the channel and turns however it ends into something said.

Rules
- Whatever an adapter raises, returns or swallows, what the wire saw decides whether the act may have happened.
- A platform that hangs up, or an adapter that stumbles, never cancels an act: the engine owns the task.
- Losing a race (`Taken`, `Stale`) and a failing store pass through: then nothing has left.
"""

from __future__ import annotations

import logging
import traceback
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from gateway.adapters import step
from gateway.adapters.verbs import Verb
from gateway.model.clock import Clock
from gateway.model.facts import Fact, NextAction
from gateway.model.ids import Identifiers
from gateway.model.message import SignedLink, Stamp, Wire
from gateway.model.problems import (
    AdapterError,
    NotSent,
    PartnerError,
    Refused,
    StorageError,
    TokenRefused,
)
from gateway.model.states import Meaning
from gateway.model.terms import NoKey, Remembered, Terms
from gateway.operations.assemble import handoff_of
from gateway.operations.connections import Connection
from gateway.operations.facts import Said, Source
from gateway.store.interface import Stale, Taken
from gateway.store.operation import Operation, Reason
from gateway.store.work import Work
from gateway.wire.exchange import Conduct, Exchange
from gateway.wire.retry import Repeat

__all__ = ["Run", "Runner", "permission_of", "trail"]

log = logging.getLogger(__name__)
WIRE = Wire()


@dataclass(frozen=True, slots=True)
class Run:
    """What a run needs beside the verb and its question."""

    connection: Connection
    operation: Operation
    work: Work
    source: Source
    acts: bool = True  # False: a verb that reads; it gets a wire without `act`
    expected_content: str | None = None  # a replay: SHA-256 of the act's body before it was signed
    doubted: bool = False  # an earlier run may have acted, and nothing has settled it yet
    code: str | None = None  # the authorisation code that a browser brought back


class Runner:
    """Runs verbs. Knows no state machine: it says what was said."""

    def __init__(self, clock: Clock, ids: Identifiers) -> None:
        self._clock = clock
        self._ids = ids

    def exchange(self, run: Run, verb: Verb[Any, Any]) -> Exchange:
        """The record of one run that is about to begin."""
        adapter = run.connection.adapter
        terms = adapter.terms[verb.name].for_method(run.operation.method)
        repeat, until = self._repeat(terms, run.operation)
        consent, purpose = permission_of(run.operation)
        conduct = Conduct(
            repeat=repeat,
            key_until=until,
            codes=terms.codes,
            code=adapter.code,
            proof=terms.proof,
            deadline=self._clock.monotonic() + run.connection.deadline.total_seconds(),
            effects=run.acts,
            expected_content=run.expected_content,
            consent=consent,
            purpose=purpose,
        )
        return Exchange(
            work=run.work,
            conduct=conduct,
            chain=run.operation.id,
            client=run.operation.client,
            operation=run.operation.id,
            verb=verb.name,
            handoff=handoff_of(run.operation) if run.operation.handoff else None,
            code=run.code,
        )

    async def run(self, run: Run, verb: Verb[Any, Any], question: Any, exchange: Exchange) -> Said:
        """Run `verb` and say what came of it. Raises `Taken`, `Stale`, `StorageError`, and `Refused` by admission."""
        bound = verb.of(run.connection.adapter)
        if bound is None:
            raise AdapterError(f"{run.connection.partner} does not declare {verb.name}")
        channel = run.connection.channel

        try:
            fact = await step.run(bound(question, WIRE), lambda asked: channel.send(asked, exchange))
            if not isinstance(fact, Fact):
                raise AdapterError(f"{verb.name} returned {type(fact).__name__}, not a fact")
            return self._said(run, verb, fact, exchange)
        except (Taken, Stale, StorageError):
            raise
        except Refused as refusal:
            if run.work.committed:
                return self._stumbled(run, exchange, refusal)
            raise  # a field that the partner does not take: nothing was sent, and nothing is burnt
        except PartnerError as failure:
            return self._failed(run, exchange, failure)
        except Exception as failure:  # noqa: BLE001 - a plugin's code: whatever it raises, the wire saw what happened
            log.error("the adapter %s stumbled in %s (%s)", run.connection.partner, verb.name, trail(failure))
            return self._stumbled(run, exchange, failure)

    def _said(self, run: Run, verb: Verb[Any, Any], fact: Fact, exchange: Exchange) -> Said:
        terms = run.connection.adapter.terms[verb.name].for_method(run.operation.method)
        meaning = terms.meaning(fact.code)
        if meaning is Meaning.UNDECLARED:
            log.warning(
                "drift: %s answered %s with the undeclared code %.80r", run.connection.partner, verb.name, fact.code
            )
        if meaning is Meaning.UNDECLARED and run.acts and not self._doubt(run, exchange) and not exchange.acted:
            # A question that was not understood: nothing can have happened, so there is nothing to be in doubt about.
            meaning = Meaning.NOT_PROCESSED
        return Said(
            meaning=meaning,
            source=run.source,
            fact=fact,
            status=terms.statuses.get(fact.code or ""),
            in_doubt=self._doubt(run, exchange) or (exchange.acted and meaning is Meaning.UNDECLARED),
            proof=terms.proof.value,
            next_action=self._next_action(run, fact),
            evidence=exchange.evidence,
        )

    def _failed(self, run: Run, exchange: Exchange, failure: PartnerError) -> Said:
        """The wire's own word: nothing left, no answer came, or an act may have happened."""
        code = {NotSent: "not_sent", TokenRefused: "token_refused"}.get(type(failure), "no_answer")
        return self._without_fact(run, exchange, Reason(code=code, detail=str(failure)))

    def _stumbled(self, run: Run, exchange: Exchange, failure: Exception) -> Said:
        detail = f"the adapter {run.connection.partner} stumbled ({type(failure).__name__}); see the gateway's log"
        if isinstance(failure, AdapterError):
            detail = str(failure)
        return self._without_fact(run, exchange, Reason(code="adapter_error", detail=detail))

    def _without_fact(self, run: Run, exchange: Exchange, reason: Reason) -> Said:
        doubt = self._doubt(run, exchange) or exchange.acted_and_heard
        meaning = Meaning.UNDECLARED if doubt and run.acts else Meaning.NOT_PROCESSED
        return Said(meaning=meaning, source=run.source, reason=reason, in_doubt=doubt, evidence=exchange.evidence)

    def _doubt(self, run: Run, exchange: Exchange) -> bool:
        """The OR over all sends: of this run, and of earlier ones that nothing has settled yet."""
        return exchange.unsettled or run.doubted

    def _repeat(self, terms: Terms, operation: Operation) -> tuple[Repeat, datetime | None]:
        if isinstance(terms.key, NoKey):
            return Repeat.ONCE, None
        if isinstance(terms.key, Remembered) and terms.key.life is not None:
            return Repeat.KEYED, (operation.first_sent_at or self._clock.now()) + terms.key.life
        return Repeat.KEYED, None

    def _next_action(self, run: Run, fact: Fact) -> NextAction | None:
        action = fact.next_action
        if not isinstance(action, SignedLink):
            return action
        handoff = handoff_of(run.operation) if run.operation.handoff else None
        if handoff is None:
            raise AdapterError(f"{run.connection.partner} gave a link, but this operation has no handoff")
        stamp = Stamp(self._clock.now(), self._ids.nonce())
        url = run.connection.adapter.scheme.link(action, handoff, run.connection.keys, stamp)
        return NextAction(kind="redirect", url=url, life=action.life)


def permission_of(operation: Operation) -> tuple[str | None, str | None]:
    """What allows a bureau inquiry, and its purpose, for the record: a consent's id, the hash of what was agreed, or
    that the platform says so. Other operations need neither."""
    if operation.kind != "credit_report":
        return None, None
    permission = operation.body.get("permission") or {}
    document = permission.get("document_hash")
    shown = permission.get("consent") or (f"document sha256:{document}" if document else "stated by the platform")
    return shown, operation.body.get("purpose")


def trail(failure: BaseException) -> str:
    """Kind and places of a plugin's failure, the innermost first; its message could quote what a partner said."""
    frames = reversed(traceback.extract_tb(failure.__traceback__)[-4:])
    return " < ".join([type(failure).__name__, *(f"{PurePath(one.filename).name}:{one.lineno}" for one in frames)])
