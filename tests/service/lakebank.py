"""A fictional bank that signs each reply with its current key and publishes certificates: adapter and institution."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway import (
    SUCCEEDED,
    Adapter,
    FetchKeys,
    FetchPartnerBalance,
    Keys,
    Model,
    Money,
    NotProven,
    PartnerBalance,
    PartnerKeys,
    Proof,
    Reply,
    Request,
    Scheme,
    Settings,
    Stamp,
    Unsigned,
    Wire,
    hookimpl,
    partner_balance_terms,
    partner_keys_terms,
)
from gateway.sandbox import DevelopmentCA


class LakebankSettings(Settings):
    url: str


class Signed(Scheme):
    """ES256 over the body in X-Signature, under the key that X-Key-Id names."""

    name = "lakebank"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        signature = reply.header("X-Signature")
        if signature is None:
            raise NotProven("there is no signature")
        keys.verify(reply.body, base64.b64decode(signature), "ES256", reply.header("X-Key-Id"))
        return reply.body


class Published(Model):
    pem: str


class Standing(Model):
    available: str


class Lakebank(Adapter[LakebankSettings], FetchPartnerBalance, FetchKeys):
    """Lakebank, first edition."""

    name = "lakebank"
    scheme = Signed()

    def code(self, reply: Reply) -> str | None:
        return "OK"

    @partner_balance_terms(codes={"OK": SUCCEEDED})
    async def fetch_partner_balance(self, nothing: None, wire: Wire) -> PartnerBalance:
        reply = await wire.ask(Request.get(f"{self.settings.url}/balance"))
        return PartnerBalance(available=Money.of(reply.parse(Standing).available, "CNY"))

    @partner_keys_terms(proof=Proof.CHANNEL, codes={"OK": SUCCEEDED})
    async def fetch_keys(self, key_id: str, wire: Wire) -> PartnerKeys:
        reply = await wire.ask(replace(Request.get(f"{self.settings.url}/keys/{key_id}"), scheme=Unsigned()))
        return PartnerKeys(keys={key_id: reply.parse(Published).pem})


@hookimpl
def adapters() -> Sequence[type[Any]]:
    return [Lakebank]


class Bank:
    """Serves a balance, signed with the key `current`; `authority` has issued its certificates."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.authority = DevelopmentCA(directory)
        self.current = "k1"
        self.fetched: list[str] = []
        self.url = ""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Bank]:
        app = web.Application()
        app.add_routes([web.get("/balance", self._balance), web.get("/keys/{id}", self._key)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield self
        await runner.cleanup()

    def certificate(self, key_id: str) -> str:
        path = self._directory / f"{key_id}.pem"
        self.authority.issue(path, f"bank {key_id}")
        return path.read_text()

    async def _balance(self, request: web.Request) -> web.Response:
        body = json.dumps({"available": "100.00"}).encode()
        self.certificate(self.current)
        key = load_pem_private_key((self._directory / f"{self.current}.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        r, s = decode_dss_signature(key.sign(body, ec.ECDSA(hashes.SHA256())))
        signature = base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()
        return web.Response(body=body, headers={"X-Signature": signature, "X-Key-Id": self.current})

    async def _key(self, request: web.Request) -> web.Response:
        self.fetched.append(request.match_info["id"])
        return web.json_response({"pem": self.certificate(request.match_info["id"])})
