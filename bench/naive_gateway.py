"""The same call as most people would write it: FastAPI, httpx, aiosqlite, each as its documentation teaches.

It keeps the same promises about one call: the key is checked, the body is validated, Idempotency-Key and reference are
unique, the request is signed, a hash-chained intent is durable before it leaves, the answer is verified, and a chained
outcome and the payment's state are durable before the caller hears. It lacks what only the gateway has: doubt,
inquiries, sealed messages, events, retries, a Merkle log.

- One httpx client and one aiosqlite connection for the life of the application (lifespan), WAL and synchronous=FULL.
- A lock around each transaction: without it, statements of different calls would mix in one.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import aiosqlite
import httpx
import uvicorn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS payments (
    id TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, state TEXT NOT NULL, body TEXT NOT NULL, answer TEXT);
CREATE TABLE IF NOT EXISTS keys (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, payment TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS records (
    number INTEGER PRIMARY KEY, payment TEXT NOT NULL, kind TEXT NOT NULL, leaf TEXT NOT NULL, hash TEXT NOT NULL);
"""


class Money(BaseModel):
    amount: Decimal = Field(gt=0)
    currency: str = Field(pattern="^[A-Z]{3}$")


class Method(BaseModel):
    type: Literal["wallet_qr", "wallet_app"]


class Identifier(BaseModel):
    scheme: str
    value: str
    country: str | None = None


class Payer(BaseModel):
    name: str
    identifiers: list[Identifier] = []


class NewPayment(BaseModel):
    connection: str
    reference: str = Field(pattern=r"^[A-Za-z0-9._:/\-]{1,64}$")
    amount: Money
    method: Method
    description: str = Field(max_length=140)
    links_to: dict[str, str] = {}
    payer: Payer | None = None
    subject: str | None = None
    metadata: dict[str, str] = {}


class Records:
    """The database: payments, idempotency keys and the hash chain."""

    def __init__(self, database: aiosqlite.Connection) -> None:
        self._database = database
        self._lock = asyncio.Lock()
        self._number, self._last = 0, ""

    async def go_on(self) -> None:
        """Take up the chain where the last process left it."""
        async with self._database.execute("SELECT number, hash FROM records ORDER BY number DESC LIMIT 1") as found:
            row = await found.fetchone()
        if row is not None:
            self._number, self._last = row

    async def begin(self, id: str, key: str, fingerprint: str, payment: NewPayment, order: bytes) -> str | None:
        """Store payment, key and intent. Gives the id of the payment that the key stands for, if it was used before."""
        async with self._lock:
            async with self._database.execute("SELECT fingerprint, payment FROM keys WHERE key = ?", (key,)) as found:
                claimed = await found.fetchone()
            if claimed is not None:
                if claimed[0] != fingerprint:
                    raise HTTPException(422, "this Idempotency-Key was used for another call")
                return str(claimed[1])
            try:
                await self._database.execute(
                    "INSERT INTO payments (id, reference, state, body) VALUES (?, ?, 'processing', ?)",
                    (id, payment.reference, payment.model_dump_json()),
                )
                await self._database.execute("INSERT INTO keys VALUES (?, ?, ?)", (key, fingerprint, id))
            except aiosqlite.IntegrityError:
                await self._database.rollback()
                raise HTTPException(409, "this reference was used before") from None
            await self._record(id, "intent", hashlib.sha256(order).hexdigest())
            await self._database.commit()
            return None

    async def end(self, id: str, state: str, answer: dict[str, Any], reply: bytes) -> None:
        """Store the outcome and the new state."""
        async with self._lock:
            await self._database.execute(
                "UPDATE payments SET state = ?, answer = ? WHERE id = ?", (state, json.dumps(answer), id)
            )
            await self._record(id, "outcome", hashlib.sha256(reply).hexdigest())
            await self._database.commit()

    async def answer(self, id: str) -> dict[str, Any]:
        """What the first call of a key was told."""
        async with self._database.execute("SELECT answer FROM payments WHERE id = ?", (id,)) as found:
            row = await found.fetchone()
        if row is None or row[0] is None:
            raise HTTPException(409, "the first call is still running")
        told: dict[str, Any] = json.loads(row[0])
        return told

    async def _record(self, id: str, kind: str, digest: str) -> None:
        at = datetime.now(UTC).isoformat()
        fields = {"payment": id, "kind": kind, "at": at, "digest": digest, "previous": self._last}
        leaf = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        self._number, self._last = self._number + 1, hashlib.sha256(leaf.encode()).hexdigest()
        await self._database.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?)", (self._number, id, kind, leaf, self._last)
        )


router = APIRouter()


async def authenticated(request: Request, authorization: Annotated[str, Header()]) -> str:
    """The client behind an API key."""
    key = authorization.removeprefix("Bearer ")
    if hashlib.sha256(key.encode()).hexdigest() != request.app.state.known:
        raise HTTPException(401, "this is no API key")
    return "shop"


@router.post("/v1/payments", status_code=201)
async def pay(
    payment: NewPayment,
    request: Request,
    client: Annotated[str, Depends(authenticated)],
    idempotency_key: Annotated[str, Header()],
) -> Any:
    """One payment, from the body to the answer."""
    state, records = request.app.state, request.app.state.records
    id = f"pay_{uuid.uuid4().hex}"
    fingerprint = hashlib.sha256(payment.model_dump_json().encode()).hexdigest()
    cents = int(payment.amount.amount * 100)
    order = {"order": id, "cents": cents, "currency": payment.amount.currency, "subject": payment.description}
    body = json.dumps(order).encode()
    signature = base64.b64encode(state.private.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
    before = await records.begin(id, f"{client} {idempotency_key}", fingerprint, payment, body)
    if before is not None:
        return await records.answer(before)
    headers = {"Content-Type": "application/json", "X-Signature": signature}
    reply = await state.client.post(state.partner, content=body, headers=headers)
    try:
        proof = base64.b64decode(reply.headers["X-Signature"])
        state.public.verify(proof, reply.content, padding.PKCS1v15(), hashes.SHA256())
    except (KeyError, InvalidSignature):
        return JSONResponse({"id": id, "state": "unknown"}, 202)
    told = _told(id, payment, reply.json())
    await records.end(id, told["state"], told, reply.content)
    return told


def _told(id: str, payment: NewPayment, said: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": id,
        "state": "succeeded" if said["code"] == "PAID" else "failed",
        "reference": payment.reference,
        "amount": payment.amount.model_dump(mode="json"),
        "method": payment.method.type,
        "links_to": payment.links_to,
        "partner_references": {"transaction": said["transaction"]},
        "metadata": payment.metadata,
    }


def create_app(partner: str, folder: Path, api_key: str) -> FastAPI:
    """The application. `folder` holds the two keys and gets the database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.private = load_pem_private_key((folder / "own.pem").read_bytes(), None)
        app.state.public = load_pem_public_key((folder / "partner.pem").read_bytes())
        app.state.partner = partner
        app.state.known = hashlib.sha256(api_key.encode()).hexdigest()
        async with httpx.AsyncClient() as client, aiosqlite.connect(folder / "naive.db") as database:
            await database.executescript(TABLES)
            app.state.client, app.state.records = client, Records(database)
            await app.state.records.go_on()
            yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(router)
    return app


def main() -> None:
    """Serve until the process is ended. Prints the port."""
    options = argparse.ArgumentParser()
    options.add_argument("partner")
    options.add_argument("folder", type=Path)
    options.add_argument("key")
    arguments = options.parse_args()
    listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listening.getsockname()[1], flush=True)
    app = create_app(arguments.partner, arguments.folder, arguments.key)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main()
