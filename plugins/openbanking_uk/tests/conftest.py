"""The bank on a real socket with mutual TLS, the published vectors, and what does the core's part for the adapter."""

from __future__ import annotations

import itertools
import json
import ssl
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway import (
    Asked,
    Code,
    ConsentInitiation,
    Continuation,
    Grant,
    Handoff,
    Known,
    Money,
    Reply,
    Request,
    Returned,
    Secret,
    SignedLink,
    Stamp,
    TransferInitiation,
    TransferInquiry,
    Wire,
)
from gateway.adapters.step import run
from gateway.crypto.keys import KeyRing
from gateway.sandbox import DevelopmentCA, Running, serve
from gateway.testing import ManualClock
from lendgate_openbanking_uk.adapter import OpenBankingUK
from lendgate_openbanking_uk.settings import OpenBankingUKSettings
from lendgate_openbanking_uk.simulator import OpenBankingUKSimulator

A = TypeVar("A")
WIRE = Wire()
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456"  # 31 characters, as the core derives them
HANDOFF = Handoff("af0ifjsldkj", "n-0S6_WzA2Mj", "v" * 43, "http://127.0.0.1:9/v1/returns/bank", "http://127.0.0.1:9/c")


@dataclass
class Desk:
    """One connection to the bank."""

    adapter: OpenBankingUK
    keys: KeyRing
    bank: OpenBankingUKSimulator
    session: aiohttp.ClientSession
    clock: ManualClock
    tokens: dict[str, str] = field(default_factory=dict)
    refresh: dict[str, str] = field(default_factory=dict)
    code: str | None = None
    sent: list[Request] = field(default_factory=list)
    chance: Any = field(default_factory=lambda: itertools.count(1))

    def stamp(self) -> Stamp:
        return Stamp(self.clock.now(), f"{next(self.chance):032x}")

    async def send(self, asked: Asked) -> Reply:
        assert asked.access is not None
        if asked.access.name not in self.tokens:
            await self.fetch_token(asked.access)
        request = asked.request.with_header("Authorization", f"Bearer {self.tokens[asked.access.name]}")
        return await self.exchange(request, request.scheme or self.adapter.scheme)

    async def fetch_token(self, grant: Grant) -> None:
        code = Code(Secret("code"), HANDOFF) if self.code else None
        request = grant.request(code)
        filled = request.body.replace(b"__secret.code__", (self.code or "").encode())
        answer = (await self.exchange(request.with_body(filled), grant.scheme)).json()
        self.tokens[grant.name] = answer[grant.paths.token]
        if grant.paths.refresh in answer:
            self.refresh[grant.name] = answer[grant.paths.refresh]

    async def exchange(self, request: Request, scheme: Any) -> Reply:
        signed = scheme.sign(request, self.keys, self.stamp())
        self.sent.append(signed)
        headers = dict(signed.headers)
        async with self.session.request(signed.method, signed.url, data=signed.body or None, headers=headers) as answer:
            told = tuple((name, value) for name, value in answer.headers.items())
            reply = Reply(answer.status, told, await answer.read(), self.clock.now())
        return replace(reply, body=scheme.verify(reply, signed, self.keys))

    async def run(self, verb: Coroutine[Any, Any, A]) -> A:
        return await run(verb, self.send)

    def link(self, link: SignedLink) -> str:
        return self.adapter.scheme.link(link, HANDOFF, self.keys, self.stamp())

    async def person(self, link: Any, approve: bool = True) -> Returned:
        """Opens the link, decides, and comes back; what comes back is proven."""
        assert isinstance(link, SignedLink)
        body = {"url": self.link(link), "approve": approve}
        async with self.session.post(f"{self.bank.url}/_sandbox/authorise", json=body) as reply:
            place = (await reply.json())["url"]
        returned = Returned(dict(parse_qsl(urlsplit(place).fragment)), self.clock.now())
        proven = self.adapter.scheme.verify_return(returned, HANDOFF, self.keys)
        self.code = proven.parameters["code"]
        return proven

    def transfer(self, amount: str = "250.00", name: str = "B Orrower", **more: Any) -> TransferInitiation:
        account = {"scheme": "sort_code_account_number", "identification": "20-32-54 12345678"}
        told = {"amount": Money.of(amount, "GBP"), "creditor": {"name": name, "account": account}, **more}
        return TransferInitiation(**told, **self.filled("LN-1001-D1"))

    def consent(self, **more: Any) -> ConsentInitiation:
        told = {"type": "account_access", "scopes": ("accounts", "balances", "transactions"), **more}
        return ConsentInitiation(**told, **self.filled("CN-1001"))

    def filled(self, reference: str) -> dict[str, Any]:
        core = {"partner_key": KEY, "requested_at": self.clock.now(), "handoff": HANDOFF}
        return {"connection": "bank", "reference": reference, **core}

    async def create(self, **more: Any) -> Any:
        return await self.run(self.adapter.create_transfer(self.transfer(**more), WIRE))

    async def submit(self, created: Any, returned: Returned | None, **more: Any) -> Any:
        step = Continuation(self.transfer(**more), created.memory, returned, created.references)
        return await self.run(self.adapter.continue_transfer(step, WIRE))

    async def fetch(self, *facts: Any) -> Any:
        references = {name: value for fact in facts for name, value in fact.references.items()}
        known: Any = {"partner_key": KEY, "requested_at": self.clock.now(), "partner_references": references}
        return await self.run(self.adapter.fetch_transfer(TransferInquiry(**known, memory=facts[0].memory), WIRE))

    async def account_consent(self, **more: Any) -> Known:
        asked: Any = await self.run(self.adapter.create_consent(self.consent(**more), WIRE))
        returned = await self.person(asked.next_action)
        step = Continuation(self.consent(**more), asked.memory, returned, asked.references)
        given: Any = await self.run(self.adapter.continue_consent(step, WIRE))
        assert OpenBankingUK.terms["continue_consent"].statuses[given.code] == "active"
        return Known(partner_key=KEY, requested_at=self.clock.now(), memory=given.memory)

    async def paid(self, **magic: Any) -> tuple[Any, Any]:
        created = await self.create(**magic)
        return created, await self.submit(created, await self.person(created.next_action), **magic)


@pytest.fixture(params=["v4.0", "v3.1.11"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def desk(
    running: Running[OpenBankingUKSimulator], keys_at: Path, clock: ManualClock, version: str, tls: Any
) -> AsyncIterator[Desk]:
    told = running.onboarding
    adapter = OpenBankingUK(OpenBankingUKSettings.model_validate({**told.settings, "version": version}))
    assert told.signing_key is not None
    keys = KeyRing.load(
        "bank",
        key_id=told.signing_key[0],
        private_key=Path(told.signing_key[1].removeprefix("file:")).read_text(),
        partner_keys={name: Path(at.removeprefix("file:")).read_text() for name, at in told.partner_keys.items()},
    )
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls), trust_env=False) as session:
        yield Desk(adapter, keys, running.simulator, session, clock)


def client_context(directory: Path, certificate: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    if certificate:
        context.load_cert_chain(directory / f"{certificate}.pem", directory / f"{certificate}.key")
    return context


@pytest.fixture(scope="session")
def keys_at(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the keys of both sides are made once."""
    directory = tmp_path_factory.mktemp("bank")
    OpenBankingUKSimulator.onboard(directory, "https://127.0.0.1:1")
    DevelopmentCA(directory).issue(directory / "other.pem", "somebody else", client=True)
    return directory


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def running(keys_at: Path, clock: ManualClock) -> AsyncIterator[Running[OpenBankingUKSimulator]]:
    async with await serve(OpenBankingUKSimulator, keys_at, clock=clock) as server:
        yield server


@pytest.fixture
def other_tls(keys_at: Path) -> ssl.SSLContext:
    """Shows another certificate of the same authority."""
    return client_context(keys_at, "other")


@pytest.fixture
def tls(running: Running[OpenBankingUKSimulator], keys_at: Path) -> ssl.SSLContext:
    """Trusts the bank and shows our transport certificate."""
    return client_context(keys_at, "tpp-transport")


@pytest.fixture(scope="session")
def vectors() -> Any:
    return json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def vector_key(vectors: Any) -> rsa.RSAPrivateKey:
    """The published test key, from its primes."""
    p, q, e = int(vectors["key"]["p"], 16), int(vectors["key"]["q"], 16), vectors["key"]["e"]
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()
