"""A third party written for these tests alone: it shares no line with the adapter."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.sandbox import Running
from gateway.testing import ManualClock
from lendgate_openbanking_uk.simulator import (
    BANK_KEY,
    CLIENT_ID,
    CLIENT_KEY,
    CLIENT_ORGANISATION,
    OpenBankingUKSimulator,
)

OB = "http://openbanking.org.uk/"
RETURN_URL = "http://127.0.0.1:9/v1/returns/bank"
VERIFIER = "v" * 43


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ps256(key: rsa.RSAPrivateKey, message: str, salt: int = 32) -> str:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
    return b64(key.sign(message.encode(), pss, hashes.SHA256()))


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@dataclass
class Heard:
    """An answer of the bank."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        """The first error code."""
        return str(self.body["Errors"][0]["ErrorCode"])

    @property
    def status_said(self) -> str:
        return str(self.body["Data"]["Status"])


@dataclass
class ThirdParty:
    """Speaks the protocol by the book, and wrongly where a test says so."""

    bank: OpenBankingUKSimulator
    session: aiohttp.ClientSession
    key: rsa.RSAPrivateKey
    clock: ManualClock
    version: str = "v4.0"
    tokens: dict[str, str] = field(default_factory=dict)

    def now(self) -> int:
        return int(self.clock.now().timestamp())

    def jwt(self, claims: Mapping[str, Any], **header: Any) -> str:
        signed = f"{b64(dumps({'alg': 'PS256', 'kid': CLIENT_KEY, **header}))}.{b64(dumps(claims))}"
        return f"{signed}.{ps256(self.key, signed)}"

    def message_header(self, **changed: Any) -> dict[str, Any]:
        claims = {OB + "iat": self.now(), OB + "iss": CLIENT_ORGANISATION, OB + "tan": "openbanking.org.uk"}
        header = {"alg": "PS256", "kid": CLIENT_KEY, **claims, "crit": list(claims), **changed}
        return {name: value for name, value in header.items() if value is not None}

    def signature(self, body: bytes, **changed: Any) -> str:
        header = b64(dumps(self.message_header(**changed)))
        return f"{header}..{ps256(self.key, f'{header}.{b64(body)}')}"

    def assertion(self, **changed: Any) -> str:
        now = self.now()
        claims = {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": f"{self.bank.url}/token", "jti": str(uuid.uuid4())}
        return self.jwt({**claims, "iat": now, "exp": now + 60, **changed})

    async def token(self, grant: Mapping[str, str], assertion: str | None = None) -> Heard:
        form = {
            **grant,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion or self.assertion(),
        }
        async with self.session.post(f"{self.bank.url}/token", data=form) as reply:
            return Heard(reply.status, reply.headers, await reply.read())

    async def own_token(self, scope: str) -> str:
        if scope not in self.tokens:
            heard = await self.token({"grant_type": "client_credentials", "scope": scope})
            self.tokens[scope] = heard.body["access_token"]
        return self.tokens[scope]

    async def exchange(self, returned: Mapping[str, str]) -> Heard:
        grant = {"grant_type": "authorization_code", "code": returned["code"], "redirect_uri": RETURN_URL}
        return await self.token({**grant, "code_verifier": VERIFIER})

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        body: Any = None,
        key: str | None = None,
        signed: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> Heard:
        api = "pisp" if "payment" in path else "aisp"
        url = path if path.startswith("https") else f"{self.bank.url}/open-banking/{self.version}/{api}/{path}"
        raw = body if isinstance(body, bytes) else b"" if body is None else dumps(body)
        bearer = token or await self.own_token("payments" if api == "pisp" else "accounts")
        told = {"Authorization": f"Bearer {bearer}", "x-fapi-interaction-id": str(uuid.uuid4())}
        if raw:
            told["Content-Type"] = "application/json"
            if signed and api == "pisp":
                told["x-jws-signature"] = self.signature(raw)
        if key:
            told["x-idempotency-key"] = key
        told.update(headers or {})
        kept = {name: value for name, value in told.items() if value}
        async with self.session.request(method, url, data=raw or None, headers=kept) as reply:
            return Heard(reply.status, reply.headers, await reply.read())

    # The steps of the protocol

    def initiation(self, amount: str = "250.00", name: str = "B Orrower", key: str = "LN1001D1") -> dict[str, Any]:
        account = {"SchemeName": "UK.OBIE.SortCodeAccountNumber", "Identification": "20325412345678", "Name": name}
        ids = {"InstructionIdentification": key, "EndToEndIdentification": key}
        return {**ids, "InstructedAmount": {"Amount": amount, "Currency": "GBP"}, "CreditorAccount": account}

    def consent_body(self, **changed: Any) -> dict[str, Any]:
        return {
            "Data": {"Initiation": self.initiation(**changed)},
            "Risk": {"PaymentContextCode": "TransferToThirdParty"},
        }

    async def payment_consent(self, key: str = "key-consent", **changed: Any) -> Heard:
        return await self.call("POST", "domestic-payment-consents", body=self.consent_body(**changed), key=key)

    def request_claims(self, consent_id: str, scope: str = "payments", **changed: Any) -> dict[str, Any]:
        now, challenge = self.now(), b64(hashlib.sha256(VERIFIER.encode()).digest())
        acr = ["urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca"]
        wanted = {
            "openbanking_intent_id": {"value": consent_id, "essential": True},
            "acr": {"essential": True, "values": acr},
        }
        claims = {
            "iss": CLIENT_ID,
            "aud": self.bank.url,
            "client_id": CLIENT_ID,
            "response_type": "code id_token",
            "redirect_uri": RETURN_URL,
            "scope": f"openid {scope}",
            "state": "af0ifjsldkj",
            "nonce": "n-0S6_WzA2Mj",
            "nbf": now,
            "iat": now,
            "exp": now + 900,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "claims": {"id_token": wanted},
        }
        return {name: value for name, value in {**claims, **changed}.items() if value is not None}

    def link(self, claims: Mapping[str, Any], **outside: str) -> str:
        names = ("client_id", "response_type", "scope", "redirect_uri", "state", "nonce")
        query = {name: claims[name] for name in names if name in claims}
        return f"{self.bank.url}/authorize?{urlencode({**query, **outside, 'request': self.jwt(claims)})}"

    async def people(self, what: str, **body: Any) -> Any:
        async with self.session.post(f"{self.bank.url}/_sandbox/{what}", json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def authorise(self, consent_id: str, scope: str = "payments", approve: bool = True) -> dict[str, str]:
        """What stands in the fragment of the return."""
        url = self.link(self.request_claims(consent_id, scope))
        answer = await self.people("authorise", url=url, approve=approve)
        return dict(parse_qsl(urlsplit(answer["url"]).fragment))

    async def authorised_payment(self, **changed: Any) -> tuple[dict[str, Any], str]:
        """The body of a payment that may be submitted now, and the token for it."""
        consent = (await self.payment_consent(**changed)).body["Data"]
        heard = await self.exchange(await self.authorise(consent["ConsentId"]))
        wanted = self.consent_body(**changed)
        wanted["Data"]["ConsentId"] = consent["ConsentId"]
        return wanted, heard.body["access_token"]

    async def pay(self, body: Any, token: str, key: str = "key-payment", **how: Any) -> Heard:
        return await self.call("POST", "domestic-payments", body=body, token=token, key=key, **how)

    async def account_token(self, *permissions: str, **data: str) -> tuple[str, dict[str, Any]]:
        """Consent id and token answer of an authorised account consent."""
        wanted = {"Data": {"Permissions": list(permissions), **data}, "Risk": {}}
        consent = (await self.call("POST", "account-access-consents", body=wanted)).body["Data"]["ConsentId"]
        return consent, (await self.exchange(await self.authorise(consent, "accounts"))).body


@pytest.fixture
async def tpp(
    running: Running[OpenBankingUKSimulator], keys_at: Path, clock: ManualClock, tls: ssl.SSLContext
) -> AsyncIterator[ThirdParty]:
    key = serialization.load_pem_private_key((keys_at / "tpp-signing.key").read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    connector = aiohttp.TCPConnector(ssl=tls)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield ThirdParty(running.simulator, session, key, clock)


@pytest.fixture
async def stranger(tpp: ThirdParty, other_tls: ssl.SSLContext) -> AsyncIterator[ThirdParty]:
    """The same client with another TLS certificate of the same authority."""
    connector = aiohttp.TCPConnector(ssl=other_tls)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield ThirdParty(tpp.bank, session, tpp.key, tpp.clock)


@pytest.fixture(scope="session")
def bank_key_id() -> str:
    return BANK_KEY
