"""The last judgement of a story: operations, ledger, events, records and reservations, each against the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gateway.audit.verify import Verifier
from gateway.model.states import FINAL, State
from gateway.store.operation import Operation
from gateway.store.sqlite_queries import Queries

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["judge"]

Broken = Callable[[str, str], None]

CORRECTIONS = {
    ("failed", "succeeded"),
    ("failed", "returned"),
    ("cancelled", "succeeded"),
    ("cancelled", "returned"),
    ("succeeded", "returned"),
}
"""How news may move what had ended; anything else needs a person."""


def judge(world: World, operations: list[Operation], broken: Broken) -> None:
    """Every comparison, in turn."""
    leaves = _audit(world, broken)
    _ended(world, operations, broken)
    _one_effect(world, operations, broken)
    _reservations(world, operations, broken)
    _changes(operations, leaves, broken)
    _events(world, operations, leaves, broken)
    _siblings(operations, leaves, broken)


def _ended(world: World, operations: list[Operation], broken: Broken) -> None:
    """Every operation has ended, and how it ended is what the ledger says."""
    for one in operations:
        effects = world.bank.effects(one.kind, one.partner_key)
        standing = any(effect.standing for effect in effects)
        heard = (one.kind, one.partner_key) in world.heard
        late = any(effect.late for effect in effects)  # nobody has to ask about what the bank has declined
        name = f"{one.kind} {one.partner_key[:6]}"
        if one.state not in FINAL:
            broken("end", f"{name} never ended: it is {one.state.value}")
        elif one.state is State.SUCCEEDED and not effects:
            broken("ledger", f"{name} succeeded, but no money has moved")
        elif one.state is State.RETURNED and (standing or not effects):
            broken("ledger", f"{name} is returned, but the money did not come back")
        elif one.state in (State.FAILED, State.CANCELLED) and standing and (heard or not late):
            broken("ledger", f"{name} is {one.state.value}, but the money has moved")
        elif one.state is State.SUCCEEDED and not standing and heard:
            broken("ledger", f"{name} succeeded, but the money came back")


def _one_effect(world: World, operations: list[Operation], broken: Broken) -> None:
    """At most one effect under a key, none that no operation stands for, and once-acts arrive once."""
    keys = {(one.kind, one.partner_key): one for one in operations}
    seen: set[tuple[str, str]] = set()
    for effect in world.bank.ledger:
        place = (effect.kind, effect.key)
        if place in seen:
            broken("once", f"{effect.kind} {effect.key[:6]} moved money twice")
        seen.add(place)
        operation = keys.get(place)
        if operation is None:
            broken("once", f"{effect.kind} {effect.key[:6]} moved money for no operation")
        elif operation.amount is None or operation.amount.minor() != effect.cents:
            broken("once", f"{effect.kind} {effect.key[:6]} moved another amount than was asked for")
    executed: set[str] = set()
    for arrival in world.bank.arrivals:
        if arrival.kind == "transfer":  # what the bank has refused to execute may be sent again; what it took may not
            if arrival.key in executed:
                broken("once", f"transfer {arrival.key[:6]} was sent again after the bank had taken it")
            if arrival.executed:
                executed.add(arrival.key)
    references = [(one.client, one.kind, one.reference) for one in operations]
    if len(set(references)) != len(references):
        broken("once", "two operations share a reference")


def _reservations(world: World, operations: list[Operation], broken: Broken) -> None:
    """Refunds never exceed their payment, at the bank and in the store."""
    for payment in operations:
        if payment.kind != "payment" or payment.amount is None:
            continue
        back = sum(e.cents for e in world.bank.ledger if e.of == payment.partner_key and e.standing)
        if back > payment.amount.minor():
            broken("refunds", f"{back} of {payment.amount.minor()} went back for {payment.partner_key[:6]}")
        moved_nothing = (State.FAILED, State.CANCELLED, State.RETURNED)
        held = sum(
            one.amount.minor()
            for one in operations
            if one.parent == payment.id and one.amount is not None and one.state not in moved_nothing
        )
        if held != payment.reserved:
            broken("refunds", f"{payment.partner_key[:6]} holds {payment.reserved} for refunds of {held}")


def _audit(world: World, broken: Broken) -> dict[str, list[dict[str, Any]]]:
    """The records verify; each act's intent has its outcome, unless its process was killed. Gives leaves by chain."""
    verifier, leaves = Verifier(), {}
    acts: dict[str, str] = {}
    for entry in Queries(world.database.connection).entries(0, 100_000):
        verifier.take(entry)
        leaf = json.loads(entry.leaf)
        leaves.setdefault(entry.chain, []).append({**leaf, "position": entry.position})
        if leaf["kind"] == "intent" and leaf["effect"]:
            acts[leaf["id"]] = leaf["process"]
    report = verifier.report()
    for finding in report.findings:
        broken("audit", finding.detail)
    for intent in report.unanswered:
        if intent in acts and acts[intent] not in world.crashed:
            broken("outcome", f"the outcome of {intent} was lost, although its process lived")
    return leaves


def _changes(operations: list[Operation], leaves: dict[str, list[dict[str, Any]]], broken: Broken) -> None:
    """States follow each other without a gap; what had ended moves only by a correction."""
    for one in operations:
        state = State.PROCESSING.value
        for leaf in leaves.get(one.id, ()):
            if leaf["kind"] != "change":
                continue
            before, after = leaf["before"], leaf["after"]
            name = f"{one.kind} {one.partner_key[:6]}"
            if before != state:
                broken("history", f"{name} went on from {before}, but stood as {state}")
            corrected = (before, after) in CORRECTIONS or leaf["source"] == "person"
            if before in FINAL and after != before and not corrected:
                broken("history", f"{name} had ended as {before} and became {after}")
            state = after
        if state != one.state.value:
            broken("history", f"{one.id} stands as {one.state.value}, but its records end with {state}")


def _events(world: World, operations: list[Operation], leaves: dict[str, list[dict[str, Any]]], broken: Broken) -> None:
    """Cursors have no gap; of each operation the events are numbered, and tell each change of state in order."""
    told: dict[str, list[dict[str, Any]]] = {}
    cursors = []
    for cursor, operation, document in world.database.all("SELECT cursor, operation, document FROM events"):
        cursors.append(cursor)
        told.setdefault(operation, []).append(json.loads(document))
    if cursors != list(range(1, len(cursors) + 1)):
        broken("events", "the feed has a gap")
    for one in operations:
        events = told.get(one.id, [])
        if [event["sequence"] for event in events] != list(range(1, len(events) + 1)):
            broken("events", f"the events of {one.id} are not numbered one by one")
        states = [e["type"].split(".")[1] for e in events if e["type"].split(".")[1] in set(State)]
        moved = [(c["before"], c["after"]) for c in leaves.get(one.id, ()) if c["kind"] == "change"]
        if states != [after for before, after in moved if before != after]:
            broken("events", f"{one.id} told {states}, but went through {moved}")


def _siblings(operations: list[Operation], leaves: dict[str, list[dict[str, Any]]], broken: Broken) -> None:
    """Of what is for the same obligation, one at a time is open, unless it was said otherwise."""
    spans: dict[tuple[str, str, str], list[tuple[int, int, Operation]]] = {}
    for one in operations:
        if not one.links_to or one.parent:
            continue
        chain = leaves.get(one.id, [])
        ends = [leaf["position"] for leaf in chain if leaf["kind"] == "change" and leaf["after"] in FINAL]
        span = (chain[0]["position"] if chain else 0, ends[0] if ends else 10**9, one)
        spans.setdefault((one.client, one.kind, json.dumps(dict(one.links_to))), []).append(span)
    for group in spans.values():
        group.sort(key=lambda span: span[0])
        for number, (began, _, one) in enumerate(group):
            for _, ended, earlier in group[:number]:
                if ended > began and earlier.id not in one.body.get("despite", ()):
                    broken("siblings", f"{one.id} began while {earlier.id} for the same obligation was open")
