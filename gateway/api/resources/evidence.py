"""Evidence: where a record stands in the log, what was sent and received, and bundles to take away.

Rules
- A platform sees the place of its own records, so that its receipts can be checked; the rest is for auditors.
- Bodies and bundles are given for a reason, and the reading is recorded before the answer.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints, model_validator

from gateway.api.answers import found
from gateway.api.auth import ALL, visible_to
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.problems import not_found, wrong_parameter
from gateway.api.query import NoQuery
from gateway.api.receipts import place_of
from gateway.api.resources.operations import Word, readable
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.evidence import Disclosure
from gateway.audit.note import parse_note
from gateway.model.schema import Instant, Line, Model
from gateway.service.auditing import Asked
from gateway.store.interface import Entry

__all__ = ["ROUTES"]

TAG: Final = "Audit"
AUDITOR: Final = frozenset({"auditor"})

Reason = Annotated[
    Line, StringConstraints(min_length=3), Field(description="Why; kept for ever", examples=["Complaint C-17"])
]


class RecordProof(Model):
    """A record and its proof. `leaf` is exactly what is hashed; without `index` it is not published yet: ask again."""

    id: str
    chain: str
    number: int
    leaf: str
    leaf_hash: Annotated[str, Field(description="SHA-256 of 0x00 and the leaf (RFC 6962), in hexadecimal")]
    index: int | None = None
    size: Annotated[int | None, Field(description="Of the log, in the checkpoint that the proof leads to")] = None
    proof: Annotated[str | None, Field(description="A C2SP tlog-proof, with the signed checkpoint")] = None


class ShownRecord(Model):
    """A record, and what was sent or received where that was asked for and its key is held."""

    number: int
    id: str
    kind: str
    at: Instant
    hash: str
    record: dict[str, Any]
    body: Annotated[str | None, Field(description="The exact message; bytes that are no UTF-8 are replaced")] = None
    body_unavailable: Annotated[str | None, Field(description="Why there is none")] = None


class Shown(Model):
    """The records of one operation, in order."""

    operation: str
    records: list[ShownRecord]


class ShowQuery(Model):
    """`bodies` needs a `reason`: it is recorded with the key that asks."""

    bodies: bool = False
    reason: Reason | None = None


class EvidenceRequest(Model):
    """What to enclose: the records of an `operation`, or those from a moment on and before another one."""

    operation: Word | None = None
    begin: Annotated[Instant | None, Field(alias="from")] = None
    end: Annotated[Instant | None, Field(alias="to")] = None
    bodies: Annotated[bool, Field(description="Enclose what was sent and received")] = False
    reason: Reason

    @model_validator(mode="after")
    def _one_scope(self) -> EvidenceRequest:
        if (self.operation is None) == (self.begin is None and self.end is None):
            raise ValueError("give either `operation`, or `from` and `to`")
        return self


class EvidenceBundle(Model):
    """A zip with everything in it that verifies it; `record` is the record of this export."""

    name: str
    records: int
    sha256: str
    record: str
    zip: Annotated[str, Field(description="The file, in base64")]


async def record(call: Inbound[None, NoQuery]) -> Answer:
    """One record by its place in its chain, with the proof that the log has it."""
    chain, number = call.path["chain"], call.path["number"]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise not_found("record", f"{chain}/{number}"[:80])
    placed = await call.gateway.auditing.placed(chain, int(number))
    if placed is None or visible_to(call.client) not in (None, placed.entry.client):
        raise not_found("record", f"{chain}/{number}"[:80])
    entry, proof = placed.entry, placed.proof
    body: dict[str, Any] = {
        "id": entry.id,
        "chain": entry.chain,
        "number": entry.number,
        "leaf": entry.leaf.decode(),
        "leaf_hash": entry.hash,
    }
    if proof is not None:
        size = Checkpoint.parse(parse_note(proof.checkpoint).text).size
        body |= {"index": proof.index, "size": size, "proof": proof.format().decode()}
    return Answer(body)


async def show(call: Inbound[None, ShowQuery]) -> Answer:
    """An operation's records, for an auditor with what was sent and received."""
    operation = await found(call)
    bodies: dict[str, Disclosure] = {}
    if call.query.bodies:
        if call.query.reason is None:
            raise wrong_parameter("reason", "is needed with `bodies`: it is recorded")
        bodies = await call.gateway.auditing.bodies(operation.id, call.client.actor, call.query.reason)
    records = await call.gateway.store.chain(operation.id)
    return Answer({"operation": operation.id, "records": [_shown(entry, bodies.get(entry.id)) for entry in records]})


def _shown(entry: Entry, opened: Disclosure | None) -> dict[str, Any]:
    shown = readable(entry)
    if opened is not None and opened.unavailable is not None:
        shown["body_unavailable"] = opened.unavailable
    elif opened is not None and opened.body is not None:
        shown["body"] = opened.body.decode("utf-8", "replace")
    return shown


async def evidence(call: Inbound[EvidenceRequest, NoQuery]) -> Answer:
    """Make a bundle. It is recorded with the key that asks, and why."""
    asked = call.body
    made = await call.gateway.auditing.evidence(
        Asked(asked.operation, asked.begin, asked.end, asked.bodies, asked.reason, call.client.actor)
    )
    name = f"evidence-{asked.operation or made.made}.zip"
    return Answer(
        {
            "name": name,
            "records": made.records,
            "sha256": made.sha256,
            "record": made.made,
            "zip": base64.b64encode(made.packed).decode(),
        }
    )


ROUTES: Final = (
    Route(
        "GET",
        place_of("{chain}", "{number}"),
        "Read a record's place in the log",
        record,
        TAG,
        {200: RecordProof},
        ALL,
        description="Where an `Audit-Receipt` leads. A platform reads its own records.",
    ),
    Route(
        "GET",
        "/v1/audit/operations/{id}",
        "Read an operation's records, with bodies",
        show,
        TAG,
        {200: Shown},
        AUDITOR,
        query=ShowQuery,
        description="Reading bodies is recorded, with the reason.",
    ),
    Route(
        "POST",
        "/v1/audit/evidence",
        "Take evidence away",
        evidence,
        TAG,
        {200: EvidenceBundle},
        AUDITOR,
        body=EvidenceRequest,
        problems=("overloaded",),
        description="The export is recorded before it is made.",
    ),
)
