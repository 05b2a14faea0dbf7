"""Seals what could tell about a person wherever it rests, and opens it where it is read.

It stands in front of a store and is one itself: what is behind it holds operations and events whose personal part is
sealed by the key of their person (see `audit.vault`), what is before it sees them whole.

What is sealed
- of an operation: the body of the call, metadata, subject, the partner's result and words, the next action, the
  adapter's memory and the handoff. In clear stay what the core decides by: states, amounts, times, references, keys.
- of an event: the same members of the operation that it shows.

Rules
- What is new is sealed: a member that could tell about a person belongs into the lists below.
- A subject is found by a keyed tag; the subject itself rests sealed.
- Where the key was destroyed an operation is `erased`: the sealed members are empty, everything else is as it was.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from gateway.audit.vault import Erased, Vault
from gateway.crypto.envelope import key_id_of
from gateway.model.facts import NextAction
from gateway.store.interface import EventRow, EventStaged, OperationChanged, OperationOpened, Row, Store
from gateway.store.operation import Operation, Reason
from gateway.store.subjects import SubjectTagged
from gateway.store.webhooks import Due

__all__ = ["SealedStore", "Traces", "event_place", "operation_place", "sealed_store"]

ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

PLAIN: Final = ("body", "metadata", "result", "memory", "handoff", "subject")
"""Members of an operation that are JSON as they are; `reason` and `next_action` are models."""

BLANK: Final[dict[str, Any]] = {
    "body": {},
    "metadata": {},
    "result": {},
    "memory": None,
    "handoff": None,
    "subject": None,
    "next_action": None,
}

SHOWN: Final = ("subject", "metadata", "result", "next_action", "reason")
"""The sealed members as they are shown in events."""

SEALED_EVENT: Final = '{"sealed":'


def operation_place(id_: str) -> bytes:
    """The context of an operation's sealed members."""
    return f"operation {id_}".encode()


def event_place(id_: str) -> bytes:
    """The context of an event's sealed members."""
    return f"event {id_}".encode()


def sealed_store(store: Store, vault: Vault) -> Store:
    """`store` behind a seal."""
    return cast(Store, SealedStore(store, vault))  # what it does not name itself is the inner store's


class SealedStore:
    """A `Store`: what is not about operations or events passes through unchanged. `inner` is what it stands before."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self.inner = self._store = store
        self._vault = vault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, rows: Sequence[Row]) -> None:
        """See `Store.commit`."""
        for row in rows:
            if isinstance(row, OperationOpened | OperationChanged):
                one = row.operation
                await self._vault.bind(one.id, one.client, one.subject)
        await self._store.commit([sealed for row in rows for sealed in self._sealed(row)])

    def _sealed(self, row: Row) -> Iterable[Row]:
        if isinstance(row, OperationOpened):
            one = row.operation
            yield replace(row, operation=_seal(one, self._vault))
            if one.subject is not None:
                yield SubjectTagged(one.client, self._vault.tag(one.client, one.subject), one.id)
        elif isinstance(row, OperationChanged):
            yield replace(row, operation=_seal(row.operation, self._vault))
        elif isinstance(row, EventStaged):
            yield replace(row, document=_seal_event(row, self._vault))
        else:
            yield row

    # Reading

    async def operation(self, id: str, client: str | None = None) -> Operation | None:
        return await self._one(await self._store.operation(id, client))

    async def operation_by_reference(self, client: str, kind: str, reference: str) -> Operation | None:
        return await self._one(await self._store.operation_by_reference(client, kind, reference))

    async def operation_by_partner_key(self, connection: str, kind: str, partner_key: str) -> Operation | None:
        return await self._one(await self._store.operation_by_partner_key(connection, kind, partner_key))

    async def operation_by_state_key(self, connection: str, state_key: str) -> Operation | None:
        return await self._one(await self._store.operation_by_state_key(connection, state_key))

    async def operations(self, **wanted: Any) -> list[Operation]:
        return await self._all(await self._store.operations(**wanted))

    async def due(self, now: datetime, until: datetime, worker: str, limit: int) -> list[Operation]:
        return await self._all(await self._store.due(now, until, worker, limit))

    async def events(
        self, client: str, *, after: int = 0, operation: str | None = None, limit: int = 100
    ) -> list[EventRow]:
        rows = await self._store.events(client, after=after, operation=operation, limit=limit)
        return [replace(row, document=text) for row, text in zip(rows, await self._texts(rows), strict=True)]

    async def lease_deliveries(self, endpoint: str, now: datetime, until: datetime, limit: int) -> list[Due]:
        held = await self._store.lease_deliveries(endpoint, now, until, limit)
        texts = await self._texts([_Event(one.event, one.operation, one.document) for one in held])
        return [replace(one, document=text) for one, text in zip(held, texts, strict=True)]

    async def _one(self, operation: Operation | None) -> Operation | None:
        if operation is None:
            return None
        (opened,) = await self._all([operation])
        return opened

    async def _all(self, operations: list[Operation]) -> list[Operation]:
        values = [_bytes(one.sealed) for one in operations]
        await self._vault.fetch([value for value in values if value])
        opened = [_open(one, value, self._vault) for one, value in zip(operations, values, strict=True)]
        for one, value in zip(operations, values, strict=True):
            if value:
                self._vault.resume(one.id, value)
        return opened

    async def _texts(self, events: Sequence[EventRow | _Event]) -> list[str]:
        parsed = [json.loads(one.document) if one.document.startswith(SEALED_EVENT) else None for one in events]
        values = [b"" if members is None else base64.b64decode(members.pop("sealed")) for members in parsed]
        await self._vault.fetch([value for value in values if value])
        for one, value in zip(events, values, strict=True):
            if value:
                self._vault.resume(one.operation, value)
        return [
            one.document if members is None else _open_event(one.id, members, value, self._vault)
            for one, members, value in zip(events, parsed, values, strict=True)
        ]


class Traces:
    """Finds the keys that sealed anything about an operation. `store` is the one behind the seal."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keys(self, operations: Iterable[str]) -> tuple[set[str], int]:
        """Their ids, and how many values no key sealed that can be destroyed."""
        found = [key_id_of(value) for id_ in operations for value in await self._values(id_)]
        return {id_ for id_ in found if id_ is not None}, found.count(None)

    async def _values(self, id_: str) -> list[bytes]:
        operation = await self._store.operation(id_)
        if operation is None:
            return []
        values = [_bytes(operation.sealed)]
        values += await self._event_values(operation)
        chains = [id_]
        for callback in await self._store.callbacks_about(id_):
            stored = await self._store.callback(callback)
            values += [stored.message] if stored is not None else []
            chains.append(callback)
        for chain in chains:
            values += [entry.body for entry in await self._store.chain(chain) if entry.body is not None]
        return values

    async def _event_values(self, operation: Operation) -> list[bytes]:
        values, after = list[bytes](), 0
        while page := await self._store.events(operation.client, after=after, operation=operation.id):
            for event in page:
                sealed = event.document.startswith(SEALED_EVENT)
                values.append(_bytes(json.loads(event.document)["sealed"]) if sealed else b"")
            after = page[-1].cursor
        return values


class _Event:
    """What is needed of an event to open it."""

    __slots__ = ("document", "id", "operation")

    def __init__(self, id_: str, operation: str, document: str) -> None:
        self.id = id_
        self.operation = operation
        self.document = document


def _bytes(sealed: str | None) -> bytes:
    return b"" if sealed is None else base64.b64decode(sealed)


def _seal(operation: Operation, vault: Vault) -> Operation:
    """The operation as it rests."""
    told: dict[str, Any] = {name: value for name in PLAIN if (value := getattr(operation, name))}
    for name in ("reason", "next_action"):
        model = getattr(operation, name)
        if model is not None:
            told[name] = model.model_dump(mode="json", exclude_none=True)
    text = ENCODER.encode(told).encode()
    sealed = base64.b64encode(vault.seal(operation.id, text, operation_place(operation.id))).decode()
    return operation.model_copy(update={**BLANK, "reason": _outline(operation.reason), "sealed": sealed})


def _open(operation: Operation, value: bytes, vault: Vault) -> Operation:
    if not value:
        return operation
    try:
        told = json.loads(vault.open(value, operation_place(operation.id)))
    except Erased:
        return operation.model_copy(update={"sealed": None, "erased": True})
    for name, model in (("reason", Reason), ("next_action", NextAction)):
        if name in told:
            told[name] = model.model_validate_json(json.dumps(told[name]))
    return operation.model_copy(update={**told, "sealed": None})


def _outline(reason: Reason | None) -> Reason | None:
    """What stays of a reason: codes. Sentences, ours and the partner's, may name somebody."""
    return None if reason is None else Reason(code=reason.code, partner_code=reason.partner_code)


def _seal_event(event: EventStaged, vault: Vault) -> str:
    members = json.loads(event.document)
    shown = members.get("data", {})
    told = {name: shown.pop(name) for name in SHOWN if name in shown}
    if "reason" in told:
        shown["reason"] = {name: told["reason"][name] for name in ("code", "partner_code") if name in told["reason"]}
    sealed = vault.seal(event.operation, ENCODER.encode(told).encode(), event_place(event.id))
    return ENCODER.encode({"sealed": base64.b64encode(sealed).decode(), **members})


def _open_event(id_: str, members: dict[str, Any], value: bytes, vault: Vault) -> str:
    try:
        members["data"] |= json.loads(vault.open(value, event_place(id_)))
    except Erased:
        members["data"]["erased"] = True
    return ENCODER.encode(members)
