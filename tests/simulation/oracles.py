"""What must hold in every story, whatever happens in it. Nothing here knows of a defect, only of promises.

Rules
- The truth is the bank's ledger and the rows of the database; the gateway's own words are what is judged.
- What can be judged at once, is; the rest when the faults have ended and everything is settled (`aftermath`).
- A violation does not end the story: the first one names the oracle that saw it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.model.message import Request
from gateway.model.states import FINAL, State
from gateway.store.operation import Operation
from gateway.wire.observed import Observed
from gateway.wire.transport import digest
from tests.simulation.bank import KINDS, Effect
from tests.simulation.instance import ASKING, Instance, Watch
from tests.simulation.partner import KEY_LIFE_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Oracles", "Violation"]

TOLERANCE_SECONDS = 15.0
"""How far the wall clocks of a story are apart at most, with a margin."""


@dataclass(frozen=True)
class Violation:
    """A promise that was broken: which, and how."""

    oracle: str
    detail: str


class Oracles(Watch):
    """Listens to a story and judges it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.violations: list[Violation] = []
        self._sends: Counter[str] = Counter()  # by digest
        self._first_sent: dict[tuple[str, str], float] = {}
        self._arrived_once: Counter[str] = Counter()
        self._answers: dict[tuple[str, str], str] = {}
        self._lanes: dict[tuple[str, str], _Lane] = {}
        self.settled: set[str] = set()  # operations that a person settled

    def broken(self, oracle: str, detail: str) -> None:
        """Note it, and say so in the trace."""
        self.violations.append(Violation(oracle, detail))
        self._world.trace(f"VIOLATION {oracle}: {detail}")

    # On the wire

    def sent(self, instance: Instance, request: Request) -> None:
        """No request leaves without an intent of its own that is durable; nothing outside the life of its key."""
        world, mark = self._world, digest(request)
        self._sends[mark] += 1
        durable = world.database.one("SELECT count(*) FROM records WHERE kind = 'intent' AND digest = ?", mark)
        world.trace(f"{instance.name} sends {request.method} {request.target[:24]}")
        if durable < self._sends[mark]:
            self.broken("intent", f"{request.method} {request.target} left without a durable intent")
        path = request.target.split("/")[1]
        if request.method != "POST" or path not in KINDS:
            return
        kind, key = KINDS[path], json.loads(request.body)["reference"]
        now, first = world.loop.seconds, self._first_sent.setdefault((kind, key), world.loop.seconds)
        if kind != "transfer" and now - first > KEY_LIFE_SECONDS + TOLERANCE_SECONDS:
            self.broken("key life", f"{kind} {key[:6]} was sent again {now - first:.0f} s after its first send")
        if ASKING.get():
            self._replayed(kind, key, mark)

    def _replayed(self, kind: str, key: str, mark: str) -> None:
        """A worker repeats an act only as long as nobody has learnt how it ended."""
        ask = self._world.database
        intents = "SELECT max(position) FROM records WHERE kind = 'intent' AND digest = ?"
        changes = "SELECT leaf FROM records WHERE kind = 'change' AND chain = ? AND position < ? ORDER BY position"
        operation = ask.one("SELECT id FROM operations WHERE kind = ? AND partner_key = ?", kind, key)
        leaves = ask.all(changes, operation, ask.one(intents, mark) or 0)
        if leaves and json.loads(leaves[-1][0])["after"] in FINAL:
            self.broken("replay", f"{kind} {key[:6]} was repeated although it had ended")

    def arrived(self, mark: str) -> None:
        """What arrives at the bank was intended, durably."""
        known = self._world.database.one("SELECT 1 FROM records WHERE kind = 'intent' AND digest = ?", mark)
        if not known:
            self.broken("intent", "something arrived at the bank that is not on record")

    def admitted(self, instance: Instance, verb: str, effect: bool) -> None:
        """What fails again and again is probed by questions; an act waits for thirty seconds."""
        lane = self._lanes.get((instance.process, verb))
        if lane is not None and lane.opened_at is not None and effect:
            rested = self._world.loop.seconds - lane.opened_at
            if rested < 29.99:
                self.broken("breaker", f"{verb} was let through {rested:.1f} s after it had been left alone")

    def recorded(self, instance: Instance, verb: str, observed: Observed | None, effect: bool) -> None:
        """Keep count as the breaker's rules say."""
        lane = self._lanes.setdefault((instance.process, verb), _Lane())
        if observed is None:
            return
        failed = observed in (Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN)
        lane.record(failed, self._world.loop.seconds)
        if not failed and not effect:  # a question that was answered closes whatever has rested
            for (process, _), other in self._lanes.items():
                if process == instance.process:
                    other.close()

    # States

    def changed(self, instance: Instance, operation: Operation, events: tuple[str, ...]) -> None:
        """What the door lets through is durable, and is the truth."""
        if events:
            self._world.trace(f"{instance.name} {operation.id[:4]}{operation.partner_key[:6]} {operation.state.value}")
        self._durable(operation)
        self._true(operation)

    def told(self, client: str, key: str, operation: Operation) -> None:
        """A platform was told this."""
        self._world.trace(f"told {client} {key} {operation.partner_key[:6]} {operation.state.value}")
        self._durable(operation)
        self._true(operation)
        if key and self._answers.setdefault((client, key), operation.id) != operation.id:
            self.broken("one key", f"{key} of {client} was answered with two operations")

    def _durable(self, operation: Operation) -> None:
        row = self._world.database.one("SELECT version, state FROM operations WHERE id = ?", operation.id)
        if row is None or row[0] < operation.version:
            self.broken("durable", f"{operation.state.value} was told of {operation.id} before it was durable")
        elif row[0] == operation.version and row[1] != operation.state.value:
            self.broken("durable", f"{operation.id} was told as {operation.state.value}, but is stored as {row[1]}")

    def _true(self, operation: Operation) -> None:
        effects = self._world.bank.effects(operation.kind, operation.partner_key)
        wrong = self._wrong(operation.state, effects)
        if wrong is not None:
            self.broken("truth", f"{operation.kind} {operation.partner_key[:6]} is {operation.state.value}: {wrong}")

    def _wrong(self, state: State, effects: list[Effect]) -> str | None:
        standing = [effect for effect in effects if effect.standing and not effect.late]
        if state is State.SUCCEEDED and not effects:
            return "no money has moved"
        if state is State.RETURNED and (standing or not effects):
            return "the money did not come back"
        if state in (State.FAILED, State.CANCELLED) and standing:
            return "the money has moved"
        return None

    def look_at_rows(self) -> None:
        """Whoever is open has its next question or its person, whenever one looks."""
        query = "SELECT id FROM operations WHERE open = 1 AND attention = 0 AND next_inquiry_at IS NULL"
        for (id_,) in self._world.database.all(query):
            self.broken("no rest", f"{id_} is open, and nobody will ever look at it")

    # In the end

    def aftermath(self, operations: list[Operation]) -> None:
        """The faults have ended and everything was settled: compare all that is known."""
        from tests.simulation.aftermath import judge

        judge(self._world, operations, self.broken)


class _Lane:
    """The documented rules of the breaker for one verb, kept apart from its code."""

    def __init__(self) -> None:
        self.recent: list[bool] = []
        self.opened_at: float | None = None

    def record(self, failed: bool, now: float) -> None:
        if self.opened_at is not None:
            if now - self.opened_at >= 9.99:
                if failed:
                    self.opened_at = min(now, self.opened_at)
                else:
                    self.close()
            return
        self.recent = [*self.recent, failed][-10:]
        if failed and sum(self.recent) >= 5:
            self.opened_at = now

    def close(self) -> None:
        if self.opened_at is not None:
            self.opened_at, self.recent = None, [True] * 4
