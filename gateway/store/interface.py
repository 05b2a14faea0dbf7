"""The store's interface: rows to commit, questions to ask, and what a refusal says.

Rules
- `commit` takes rows of one unit of work: all of them become durable, or none. Commits of different callers share a
  group commit, but never a fate.
- A unique key decides a race. The loser gets `Taken` with the name of what was taken, before its first byte leaves.
- `client` is part of every key. Identifiers are in order of time.
- A commit that fails for any other reason raises `StorageError`: nothing may be promised, and the process stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from gateway.model.problems import GatewayError
from gateway.store.log import LogQuestions
from gateway.store.operation import Operation
from gateway.store.quarantine import QuarantineRow, Quarantines
from gateway.store.subjects import SubjectRow, Subjects
from gateway.store.webhooks import WebhookRow, Webhooks

__all__ = [
    "CallbackSettled",
    "CallbackStored",
    "Claimed",
    "Draft",
    "Entry",
    "EventRow",
    "EventStaged",
    "Finish",
    "KeyClaimed",
    "OperationChanged",
    "OperationOpened",
    "Recorded",
    "Released",
    "Reserved",
    "Row",
    "Stale",
    "Store",
    "StoredCallback",
    "StoredToken",
    "Taken",
    "TokenDropped",
    "TokenKept",
    "Unchanged",
]


class Finish(Protocol):
    """Finishes a leaf inside the transaction: the writer alone knows these three.

    It must be pure: a commit that is tried again, alone or after `Stale`, finishes the same draft in another place.
    """

    def __call__(self, number: int, previous: str, counter: int) -> tuple[bytes, str]:
        """Running number in the chain (from 1), hash of the chain's previous leaf ("" at first), and the process's
        gapless counter; gives the leaf's bytes and its hash in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that only lacks its place. `chain` is the operation's id, or an id of its own."""

    id: str
    chain: str
    client: str
    kind: str  # intent, outcome, refusal, callback, act, …
    at: datetime
    finish: Finish
    digest: str | None = None  # intents: SHA-256 of method, target and body as handed to the socket
    content: str | None = None  # intents of an act: SHA-256 of the body before it was signed, for replays
    body: bytes | None = None  # the exact message, sealed, for the vault


@dataclass(frozen=True, slots=True)
class KeyClaimed:
    """An Idempotency-Key within its scope (client and route). Unique: (client, key)."""

    client: str
    key: str
    fingerprint: str  # SHA-256 of route and canonical body
    operation: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OperationOpened:
    """A new operation. Unique: (client, kind, reference), and (connection, kind, partner_key) among those
    that did not fail: an act that provably did not happen lets go of a business key that serves as the partner's.

    `siblings`: the canonical text of `links_to`, empty for none and for follow-ups; while another operation of the
    same client and kind with the same text is open and not in `despite`, this row is refused.
    """

    operation: Operation
    siblings: str = ""
    despite: tuple[str, ...] = ()
    state_key: str | None = None  # the handoff's `state`, by which a browser's return finds the operation
    in_flight: bool = True  # a call is about to begin; should the process die, `in_flight_to_doubt` finds it


@dataclass(frozen=True, slots=True)
class OperationChanged:
    """The next version of an operation; refused as `Stale` unless the stored one is exactly one older.

    The version is also what fences workers: `due` raises it, so one that lost its lease cannot write any more, whether
    or not the next holder has written yet. `in_flight`: a further call of the operation is about to begin.
    """

    operation: Operation
    in_flight: bool = False


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The commit is refused as `Stale` unless the stored version is exactly this one.

    Beside an intent it keeps a worker that lost its lease from sending: what was handed to another is changed.
    """

    operation: str
    version: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """Hold `amount` (minor units) of a parent for a follow-up, in the follow-up's first commit.

    Refused as `Taken("reservation")` unless the parent's state is `succeeded` and reserved + amount <= reservable.
    """

    client: str
    parent: str
    amount: int


@dataclass(frozen=True, slots=True)
class Released:
    """Give a reservation back: the follow-up provably did not happen.

    A negative amount takes it again, whatever is left: the success came late, and the truth is not refused.
    """

    client: str
    parent: str
    amount: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """A record for the log."""

    draft: Draft


@dataclass(frozen=True, slots=True)
class EventStaged:
    """Something that a platform is told. The store numbers events without gaps; the number is the cursor."""

    id: str
    client: str
    operation: str
    type: str
    at: datetime
    document: str  # JSON


@dataclass(frozen=True, slots=True)
class CallbackStored:
    """A callback as it came, before anything was done about it. Unique: (connection, digest); a repeat is `Taken`."""

    id: str
    connection: str
    digest: str
    at: datetime
    message: bytes  # sealed


@dataclass(frozen=True, slots=True)
class CallbackSettled:
    """What became of a callback: proven, doorbell, forged, unreadable, and how it was answered."""

    id: str
    verdict: str


@dataclass(frozen=True, slots=True)
class TokenKept:
    """A token, sealed, under its grant's name."""

    connection: str
    name: str
    sealed: bytes
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TokenDropped:
    connection: str
    name: str


Row = (
    KeyClaimed
    | OperationOpened
    | OperationChanged
    | Unchanged
    | Reserved
    | Released
    | Recorded
    | EventStaged
    | CallbackStored
    | CallbackSettled
    | TokenKept
    | TokenDropped
    | WebhookRow
    | QuarantineRow
    | SubjectRow
)


class Taken(GatewayError):
    """Somebody else was first. `operation` names what stands in the way, `fingerprint` belongs to a taken key."""

    def __init__(
        self,
        what: Literal["key", "reference", "partner_key", "sibling", "reservation", "callback", "operation", "endpoint"],
        operation: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        super().__init__(f"{what} is taken" + (f" by {operation}" if operation else ""))
        self.what = what
        self.operation = operation
        self.fingerprint = fingerprint


class Stale(GatewayError):
    """The operation was changed meanwhile: read it again and decide again."""

    def __init__(self, operation: str) -> None:
        super().__init__(f"{operation} was changed meanwhile")
        self.operation = operation


@dataclass(frozen=True, slots=True)
class Claimed:
    """An Idempotency-Key that was used before."""

    fingerprint: str
    operation: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as it is stored. `number` is its place in its chain, `position` its place in the store."""

    position: int
    id: str
    chain: str
    number: int
    client: str
    kind: str
    at: datetime
    leaf: bytes
    hash: str
    digest: str | None
    content: str | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event with its cursor."""

    cursor: int
    id: str
    client: str
    operation: str
    type: str
    at: datetime
    document: str


@dataclass(frozen=True, slots=True)
class StoredToken:
    sealed: bytes
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class StoredCallback:
    id: str
    connection: str
    at: datetime
    message: bytes
    verdict: str | None


class Store(Webhooks, Quarantines, Subjects, LogQuestions, Protocol):
    """What both back ends offer; one set of conformance tests runs over them."""

    async def commit(self, rows: Sequence[Row]) -> None:
        """Make `rows` durable together. Raises `Taken`, `Stale`, `StorageError`.

        A caller that is cancelled while it waits must not believe either: the rows may become durable all the same.
        """

    async def claimed(self, client: str, key: str) -> Claimed | None:
        """What an Idempotency-Key stands for."""

    async def operation(self, id: str, client: str | None = None) -> Operation | None:
        """One operation; `client` None reads across clients and is for the gateway itself and for operators."""

    async def operation_by_reference(self, client: str, kind: str, reference: str) -> Operation | None: ...

    async def operation_by_partner_key(self, connection: str, kind: str, partner_key: str) -> Operation | None: ...

    async def operation_by_state_key(self, connection: str, state_key: str) -> Operation | None: ...

    async def operations(
        self,
        *,
        client: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        connection: str | None = None,
        reference: str | None = None,
        link: tuple[str, str] | None = None,
        parent: str | None = None,
        attention: bool = False,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Operation]:
        """Newest first; `before` is the id of the last one seen."""

    async def due(self, now: datetime, until: datetime, worker: str, limit: int) -> list[Operation]:
        """Operations whose inquiry is due and that nobody holds; they are held for `worker` until `until`.

        Each comes with a version that is one higher, by which whoever held it before is fenced off.
        """

    async def release(self, operation: str, worker: str) -> None:
        """Let go of what `due` held."""

    async def next_due(self) -> datetime | None:
        """When the next inquiry is due."""

    async def in_flight_to_doubt(self, now: datetime) -> int:
        """After a start: every open operation left in the middle of a call is due for inquiry at once. How many.

        Calls that another living process is in the middle of are left to it.
        """

    async def entries(self, *, after: int = 0, limit: int = 1000) -> list[Entry]:
        """Records in the order of the store."""

    async def chain(self, chain: str) -> list[Entry]:
        """The records of one operation, in order."""

    async def events(
        self, client: str, *, after: int = 0, operation: str | None = None, limit: int = 100
    ) -> list[EventRow]:
        """Events of a client behind a cursor."""

    async def token(self, connection: str, name: str) -> StoredToken | None: ...

    async def callback(self, id: str) -> StoredCallback | None: ...

    async def close(self) -> None: ...
