"""What an adapter is held to, as a table. An id never changes its meaning; what is no longer checked leaves no gap to
be filled by something else.

`as_markdown` renders it to docs/adapters/checks.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, TypeVar

__all__ = ["CHECKS", "INVARIANTS", "LEVELS", "Check", "Level", "as_markdown", "check", "fail"]

Level = Literal["bronze", "silver"]
LEVELS: Final[Mapping[str, str]] = {
    "draft": "it loads; a check of bronze is red",
    "bronze": "right on good days: every check of bronze is green or exempt",
    "silver": "safe on bad days: every check of bronze and silver is green or exempt",
}


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what holds, why it matters, where that is written, and what to do when it is red."""

    id: str
    level: Level
    sentence: str
    reason: str
    source: str
    remedy: str


_TABLE: Final = (
    Check(
        "CODE-01",
        "bronze",
        "Every declared code does to an operation what its meaning says, and nothing else.",
        "The table is the only place in which the partner's words become states.",
        "gateway/model/states.py, gateway/operations/facts.py",
        "Correct the code's meaning, or the status beside it, in the terms of the verb.",
    ),
    Check(
        "CODE-02",
        "bronze",
        "A code that nobody declared leaves an act unknown and is reported as drift.",
        "Partners add codes without notice; a guess about money is worse than a question.",
        "gateway/model/terms.py",
        "Do not map codes by default: list each, and leave the rest out.",
    ),
    Check(
        "CODE-03",
        "bronze",
        "On a good day `code(reply)` finds a code in every reply to an act, and facts carry declared codes only.",
        "The core reads the code by this function before the verb does; if it finds none, nothing is ever settled.",
        "gateway/adapters/adapter.py",
        "Make `code` read where this partner's replies keep their code, and declare what it finds.",
    ),
    Check(
        "COVER-01",
        "bronze",
        "Every declared verb runs in a scenario, every act in one that loses answers, callbacks in one that has them.",
        "What no scenario runs was checked by nobody.",
        "gateway/testing/conformance/scenario.py",
        "Write a scenario for the verb that is named, or do not declare the verb.",
    ),
    Check(
        "HAPPY-01",
        "bronze",
        "Each scenario ends as it says, with its effect once in the simulator's ledger.",
        "An adapter that does not work on a good day need not be tried on a bad one.",
        "gateway/sandbox/ledger.py",
        "Run `pytest -k HAPPY` and follow the operation's reason.",
    ),
    Check(
        "IMPORT-01",
        "bronze",
        "The adapter imports `gateway`, its own package and what is pure; no socket, clock, chance, loop or store.",
        "What an adapter cannot reach it cannot break; the core may change below the front door.",
        "DESIGN: a plugin imports `gateway`, nothing deeper",
        "Import the name from `gateway`; if it is not there, ask for it.",
    ),
    Check(
        "IO-01",
        "bronze",
        "Stepped by hand without an event loop, every verb awaits the wire alone, and ends with the same fact.",
        "A verb without I/O of its own can be replayed, timed and stopped by the core.",
        "docs/decisions/0001-the-core-steps-verbs-by-hand.md",
        "Take away whatever else the verb awaits or remembers between calls.",
    ),
    Check(
        "IO-02",
        "bronze",
        "The same question makes the same requests, byte for byte.",
        "A repeat under the same key must be the same message: partners refuse, or execute, another one.",
        "gateway/wire/exchange.py (a replay with another body is refused)",
        "Use `requested_at`, `partner_key` and `handoff`; draw no chance and read no clock.",
    ),
    Check(
        "MONEY-01",
        "bronze",
        "The partner is asked for exactly the amount of the call: at the smallest, at the limits, and at odd cents.",
        "0.29 is 28.999… in binary; a cent that is lost here is lost for everybody.",
        "gateway/model/money.py",
        "Use `amount.minor()` or the Decimal's own text; never a float.",
    ),
    Check(
        "MONEY-02",
        "bronze",
        "An amount outside the limits, or in another currency, is refused by field before anything leaves.",
        "A refusal that names the field costs nothing; one by the partner costs an operation.",
        "gateway/operations/requirements.py",
        "Declare `at_least`, `at_most` and `currencies` in the terms of the verb.",
    ),
    Check(
        "SETTINGS-01",
        "bronze",
        "A setting that is missing or does not exist is named by the error.",
        "An operator reads this once, at two in the morning.",
        "gateway/service/connect.py",
        "Extend `Settings`, and name the setting in the messages of own validators.",
    ),
    Check(
        "ASK-01",
        "silver",
        "An inquiry whose answer is lost, cut, altered or not HTTP leaves a doubt as it was.",
        "Only proven words settle; a proxy's page must not.",
        "gateway/wire/observed.py",
        "Check what the scheme proves and which codes the fetch verb declares.",
    ),
    Check(
        "CB-01",
        "silver",
        "A genuine callback brings the operation to where the partner says that it stands, without an inquiry.",
        "Callbacks are how most payments are heard of.",
        "gateway/operations/callbacks.py",
        "Return a fact with code, partner_key and amount from `read`.",
    ),
    Check(
        "CB-02",
        "silver",
        "The same callback again is acknowledged and changes nothing.",
        "Every partner repeats callbacks until it hears what it wants to hear.",
        "gateway/operations/callbacks.py",
        "Acknowledge what was merged; keep no state in the adapter.",
    ),
    Check(
        "CB-03",
        "silver",
        "A callback that is altered in any byte, or stripped of its headers, is not believed.",
        "Anybody can post to a public address.",
        "gateway/model/message.py (Scheme.verify_callback)",
        "Return from `verify_callback` exactly the bytes that the signature covers.",
    ),
    Check(
        "CB-04",
        "silver",
        "A genuine callback that states another amount changes no state and calls a person.",
        "Somebody paid something else than was asked for.",
        "gateway/operations/facts.py",
        "Let `read` state the amount that the message states.",
    ),
    Check(
        "CRASH-01",
        "silver",
        "A process that dies once its request has arrived leaves an act that the next process settles truthfully.",
        "Machines fail, and the money does not wait.",
        "gateway/operations/inquiry.py (recover)",
        "Let the fetch verb find an act by what is known before any answer came: its key, or its parent.",
    ),
    Check(
        "DOUBT-01",
        "silver",
        "Whatever becomes of the answer to an act, money moves at most once and the state tells no lie.",
        "The partner may have acted although nobody heard it: never failed then, and never succeeded otherwise.",
        "gateway/wire/retry.py",
        "Declare `key` as the partner promises it, and codes only for what they prove.",
    ),
    Check(
        "DOUBT-02",
        "silver",
        "Once the partner can be heard again, asking settles what was in doubt.",
        "A doubt that nobody settles is a person's work, each time.",
        "gateway/operations/inquiry.py",
        "Declare `inquiry`, and make the fetch verb find the act by what is known of it.",
    ),
    Check(
        "INTENT-01",
        "silver",
        "Every request that arrived at the partner was on record, byte for byte, before it left.",
        "What is not on record cannot be proven afterwards.",
        "gateway/store/work.py",
        "Report this: it is a fault of the core.",
    ),
    Check(
        "LOG-01",
        "silver",
        "After every case the log verifies, and every intent has its outcome.",
        "The log is what an auditor believes.",
        "gateway/audit/verify.py",
        "Report this: it is a fault of the core.",
    ),
    Check(
        "ONCE-01",
        "silver",
        "In no case does the partner's ledger hold an effect twice under the same key.",
        "This is what the gateway is for.",
        "gateway/sandbox/ledger.py",
        "Send the partner key where the partner looks for it.",
    ),
    Check(
        "PROOF-01",
        "silver",
        "A reply that is altered in any byte, cut, emptied or stripped of its headers is not believed.",
        "What a scheme lets through is taken for the partner's word.",
        "gateway/model/message.py (Scheme.verify)",
        "Return from `verify` exactly the bytes that the signature covers, and raise `NotProven` for all else.",
    ),
    Check(
        "RETURN-01",
        "silver",
        "What a browser brings back is not believed once any part of it is altered or missing.",
        "A browser belongs to a stranger; an authorisation code may have been swapped on the way.",
        "gateway/model/message.py (Scheme.verify_return)",
        "Prove every parameter that is used, or raise `NotProven` and let the partner be asked.",
    ),
    Check(
        "RETURN-02",
        "silver",
        "A browser that comes back twice, or at once in two windows, moves things on once.",
        "People reload pages.",
        "gateway/operations/returns.py",
        "Report this: it is a fault of the core.",
    ),
    Check(
        "SECRET-01",
        "silver",
        "No secret, private key or token stands in clear in records, logs or the store.",
        "Logs and backups travel further than anybody thinks.",
        "gateway/wire/attempt.py",
        "Write secrets by name (`Secret`), and let a grant place tokens.",
    ),
    Check(
        "SECRET-02",
        "silver",
        "No personal value of a call stands in clear in records or logs.",
        "Records are kept for years and shown to third parties.",
        "gateway/model/schema.py (PERSONAL)",
        "Put personal values into the body, never into a URL, a code, a reference or a log line.",
    ),
    Check(
        "TASK-01",
        "silver",
        "When the gateway is closed, no task is left running.",
        "A task that outlives its call acts when nobody watches.",
        "gateway/operations/engine.py",
        "Start nothing in an adapter or a simulator that its end does not stop.",
    ),
)
CHECKS: Final[Mapping[str, Check]] = {one.id: one for one in _TABLE}
INVARIANTS: Final = ("INTENT-01", "LOG-01", "ONCE-01", "TASK-01")
"""Checked after every case that opens a gateway, without being asked."""

F = TypeVar("F", bound=Callable[..., Any])


def check(*ids: str) -> Callable[[F], F]:
    """Mark a test as the one for these checks."""
    for id in ids:
        CHECKS[id]

    def mark(test: F) -> F:
        test.__checks__ = ids  # type: ignore[attr-defined]  # functions take attributes
        return test

    return mark


def fail(id: str, what: str) -> NoReturn:
    """Fail the case; `what` says what was seen. The message begins with the id, by which reports count."""
    import pytest

    __tracebackhide__ = True
    known = CHECKS[id]
    pytest.fail(f"{id}: {what}\n  it should hold that: {known.sentence}\n  what to do: {known.remedy}")


def as_markdown() -> str:
    """The page of all checks."""
    levels = "\n".join(f"- **{name}**: {meaning}" for name, meaning in LEVELS.items())
    head = (
        "# Checks\n\nRendered from `gateway/testing/conformance/checks.py`. `lendgate adapter check NAME` runs them;"
        " `--explain ID` shows one.\n\n"
    )
    pages = (
        f"## {one.id}\n\n*{one.level}* {one.sentence}\n\n- Why: {one.reason}\n- Source: {one.source}\n"
        f"- When it is red: {one.remedy}\n"
        for one in CHECKS.values()
    )
    return head + levels + "\n\n" + "\n".join(pages)
