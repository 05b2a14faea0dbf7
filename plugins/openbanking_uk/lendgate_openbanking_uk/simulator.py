"""A bank that speaks OBIE v4.0 and v3.1.11 at the same time, over mutual TLS on loopback.

Rules
- It knows one third party: its client id, its signing key, its organisation. Tokens are bound to its certificate.
- Payments are signed both ways, errors included; accounts are not. Every answer carries x-fapi-interaction-id.
- Access is judged before content: certificate, token, grant and scope, headers, signature, then the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.model.clock import Clock
from gateway.sandbox import DevelopmentCA, Effect, Onboarding, Simulator, rsa_key
from lendgate_openbanking_uk.simulator_access import certificate_of, interaction_of, judge_headers, parsed
from lendgate_openbanking_uk.simulator_accounts import AccountDesk
from lendgate_openbanking_uk.simulator_consent_page import ConsentPage, PageRefused
from lendgate_openbanking_uk.simulator_consents import Consent, ConsentBook
from lendgate_openbanking_uk.simulator_jose import Signer
from lendgate_openbanking_uk.simulator_payments import PaymentDesk, Posted
from lendgate_openbanking_uk.simulator_refusals import Refused, RefusedBare, envelope
from lendgate_openbanking_uk.simulator_seal import Seal
from lendgate_openbanking_uk.simulator_tokens import Client, OAuthRefused, Token, TokenDesk

__all__ = ["OpenBankingUKSimulator"]

CLIENT_ID: Final = "lendgate-sandbox-tpp"
CLIENT_KEY: Final = "lendgate-sandbox-signing-1"
CLIENT_ORGANISATION: Final = "001580000000000AAA/AAAAAAAAAAAAAAAAAAAAAA"  # organisation / software statement
BANK_KEY: Final = "sandbox-bank-signing-1"
BANK_ORGANISATION: Final = "001580000000000BNK"
TRUST_ANCHOR: Final = "openbanking.org.uk"
VERSION: Final = r"{version:v3\.1|v4\.0}"

Answer = tuple[int, Mapping[str, Any] | None]
Handler = Callable[[web.Request, str, datetime], Awaitable[Answer]]


class OpenBankingUKSimulator(Simulator):
    """The sandbox bank.

    Magic amounts: pence .13 → accepted, later rejected; pence .14, and more than 25,000 → rejected at once.
    Magic payee names, beginning with: `SIM HELD` → PDNG, and `SIM BLOCKED` → BLCK, until `/_sandbox/settle`;
    `SIM CUTOFF` → refused, U012; `SIM ERROR` → executed, but answered with 500 U000.

    People: a browser on `/authorize`, or POST `/_sandbox/authorise` {"consent_id" | "url", "approve": bool} → {"url"},
    where the browser would go next. POST `/_sandbox/settle` {"payment_id"?} moves payments a step on; POST
    `/_sandbox/withdraw` {"consent_id"} withdraws an account consent at the bank; POST `/_sandbox/rules`
    {"changed_body_gives_first"?, "redirect_uris"?} changes what the standard leaves to the bank.
    """

    name: ClassVar[str] = "openbanking_uk"
    tls: ClassVar[bool] = True
    client_certificates: ClassVar[bool] = True

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        key = load_pem_public_key((directory / "tpp-signing.pub").read_bytes())
        assert isinstance(key, rsa.RSAPublicKey)
        signer = Signer(BANK_KEY, rsa_key(directory / "bank-signing.key"))
        self.consents = ConsentBook()
        self.tokens = TokenDesk(url, Client(CLIENT_ID, {CLIENT_KEY: key}), signer)
        self.seal = Seal({CLIENT_KEY: key}, CLIENT_ORGANISATION, BANK_ORGANISATION, TRUST_ANCHOR, signer)
        self.payments = PaymentDesk(url, self.consents, self.ledger)
        self.accounts = AccountDesk(url, self.consents, self.clock.now())
        self.page = ConsentPage(self.tokens, self.consents, self._approved)

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        authority = DevelopmentCA(directory, "sandbox bank")
        authority.issue(directory / "server.pem", "sandbox bank")
        authority.issue(directory / "tpp-transport.pem", CLIENT_ID, client=True)
        for name in ("tpp-signing", "bank-signing"):
            rsa_key(directory / f"{name}.key")
        return Onboarding(
            settings={
                "version": "v4.0",
                "base_url": url,
                "issuer": url,
                "authorization_endpoint": f"{url}/authorize",
                "token_endpoint": f"{url}/token",
                "client_id": CLIENT_ID,
                "organisation": CLIENT_ORGANISATION,
                "bank_organisation": BANK_ORGANISATION,
                "trust_anchor": TRUST_ANCHOR,
            },
            hosts=(url.removeprefix("https://"),),
            signing_key=(CLIENT_KEY, f"file:{directory / 'tpp-signing.key'}"),
            partner_keys={BANK_KEY: f"file:{directory / 'bank-signing.pub'}"},
            tls={
                "ca": f"file:{directory / 'ca.pem'}",
                "certificate": f"file:{directory / 'tpp-transport.pem'}",
                "key": f"file:{directory / 'tpp-transport.key'}",
            },
        )

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        base = f"/open-banking/{VERSION}"
        pisp, aisp, signed, plain = f"{base}/pisp", f"{base}/aisp", self._signed, self._plain
        consents, payments = f"{pisp}/domestic-payment-consents", f"{pisp}/domestic-payments"
        access = f"{aisp}/account-access-consents"
        return [
            web.post("/token", self._token),
            web.get("/authorize", self._authorize),
            web.post("/authorize/decision", self._decision),
            web.post(consents, signed(self._create_payment_consent)),
            web.get(f"{consents}/{{id}}", signed(self._fetch_payment_consent)),
            web.get(f"{consents}/{{id}}/funds-confirmation", signed(self._funds)),
            web.post(payments, signed(self._create_payment)),
            web.get(f"{payments}/{{id}}", signed(self._fetch_payment)),
            web.get(f"{payments}/{{id}}/payment-details", signed(self._payment_details)),
            web.post(access, plain(self._create_access)),
            web.get(f"{access}/{{id}}", plain(self._fetch_access)),
            web.delete(f"{access}/{{id}}", plain(self._delete_access)),
            web.get(f"{aisp}/accounts", plain(self._accounts)),
            web.get(f"{aisp}/accounts/{{account}}", plain(self._accounts)),
            web.get(f"{aisp}/balances", plain(self._balances)),
            web.get(f"{aisp}/accounts/{{account}}/balances", plain(self._balances)),
            web.get(f"{aisp}/transactions", plain(self._transactions)),
            web.get(f"{aisp}/accounts/{{account}}/transactions", plain(self._transactions)),
            web.post("/_sandbox/authorise", self._people_authorise),
            web.post("/_sandbox/settle", self._people_settle),
            web.post("/_sandbox/withdraw", self._people_withdraw),
            web.post("/_sandbox/rules", self._people_rules),
        ]

    def operation(self, request: web.Request, body: bytes) -> str:
        found = re.fullmatch(r"/open-banking/v[\d.]+/[a-z]+/([a-z-]+)(?:/[^/]+)?(/[a-z-]+)?", request.path)
        if found is None:
            return super().operation(request, body)
        single = request.path.count("/") > 4
        return f"{request.method} {found[1]}{'/{id}' if single else ''}{found[2] or ''}"

    def state(self) -> Mapping[str, Any]:
        consents = [
            {"id": c.id, "scope": c.scope, "version": c.version, "status": c.status}
            for c in self.consents.consents.values()
        ]
        payments = [
            {"id": p.id, "consent": p.consent.id, "key": p.key, "status": p.status, "way": p.way}
            for p in self.payments.payments.values()
        ]
        return {"consents": consents, "payments": payments, "visits": len(self.page.visits)}

    def decide(self, link: str, approve: bool) -> str:
        """A person opens `link` and decides: where the browser goes next. Raises `PageRefused`."""
        now = self.clock.now()
        ticket, _ = self.page.open(dict(parse_qsl(urlsplit(link).query)), now)
        return self.page.decide(ticket, approve, now)

    # Authorisation

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            body, status = self.tokens.answer(form, certificate_of(request), self.clock.now()), 200
        except OAuthRefused as no:
            body, status = {"error": no.error, "error_description": no.description}, no.status
        return web.json_response(body, status=status, headers={"Cache-Control": "no-store"})

    async def _authorize(self, request: web.Request) -> web.Response:
        try:
            _, text = self.page.open(request.query, self.clock.now())
        except PageRefused as no:
            return web.Response(status=400, text=f"Sandbox Bank cannot open this request: {no}\n")
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _decision(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("decision") not in ("approve", "refuse"):
            return web.Response(status=400, text="decision is approve or refuse\n")
        try:
            place = self.page.decide(str(form.get("ticket")), form["decision"] == "approve", self.clock.now())
        except PageRefused as no:
            return web.Response(status=400, text=f"Sandbox Bank: {no}\n")
        return web.Response(status=303, headers={"Location": place})

    def _approved(self, consent: Consent, now: datetime) -> None:
        if consent.scope == "accounts":
            self.ledger.record(Effect("consent", consent.id, now))

    # Payments

    async def _create_payment_consent(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "payments", now)
        return 201, self.payments.create_consent(await self._posted(request, version, now), now)

    async def _fetch_payment_consent(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "payments", now)
        return 200, self.consents.find(request.match_info["id"], "payments", version).body(str(request.url))

    async def _funds(self, request: web.Request, version: str, now: datetime) -> Answer:
        granted = self._person(request, "payments", now)
        if granted.id != request.match_info["id"]:
            raise RefusedBare(403)
        return 200, self.payments.funds(granted, now)

    async def _create_payment(self, request: web.Request, version: str, now: datetime) -> Answer:
        granted = self._person(request, "payments", now)
        return 201, self.payments.create_payment(await self._posted(request, version, now), granted, now)

    async def _fetch_payment(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "payments", now)
        return 200, self.payments.fetch(request.match_info["id"], version, now)

    async def _payment_details(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "payments", now)
        return 200, self.payments.details(request.match_info["id"], version)

    async def _posted(self, request: web.Request, version: str, now: datetime) -> Posted:
        raw = await request.read()
        self.seal.check(request.headers.get("x-jws-signature"), raw, now)
        return Posted(version, request.path, request.headers.get("x-idempotency-key"), raw, parsed(raw))

    # Accounts

    async def _create_access(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "accounts", now)
        if "x-jws-signature" in request.headers:
            raise Refused.because("U020", "account requests are not signed", "x-jws-signature")
        return 201, self.accounts.create_consent(version, parsed(await request.read()), now)

    async def _fetch_access(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "accounts", now)
        consent = self._expired(self.consents.find(request.match_info["id"], "accounts", version), now)
        return 200, consent.body(self.accounts.place(consent))

    async def _delete_access(self, request: web.Request, version: str, now: datetime) -> Answer:
        self._access(request, "accounts", now)
        consent = self.consents.find(request.match_info["id"], "accounts", version)
        self.tokens.end_tokens_of(consent)
        del self.consents.consents[consent.id]
        return 204, None

    async def _accounts(self, request: web.Request, version: str, now: datetime) -> Answer:
        return 200, self.accounts.list_accounts(self._reader(request, version, now), request.match_info.get("account"))

    async def _balances(self, request: web.Request, version: str, now: datetime) -> Answer:
        return 200, self.accounts.balances(self._reader(request, version, now), request.match_info.get("account"), now)

    async def _transactions(self, request: web.Request, version: str, now: datetime) -> Answer:
        consent = self._reader(request, version, now)
        return 200, self.accounts.transactions(consent, request.match_info.get("account"), request.query)

    def _reader(self, request: web.Request, version: str, now: datetime) -> Consent:
        consent = self._expired(self._person(request, "accounts", now), now)
        if consent.status != "AUTH" or consent.version != version:
            raise RefusedBare(403)
        return consent

    def _expired(self, consent: Consent, now: datetime) -> Consent:
        until = consent.expires()
        if consent.status == "AUTH" and until is not None and now >= until:
            consent.move("EXPD", now)
        return consent

    # Access

    def _access(self, request: web.Request, scope: str, now: datetime, *, person: bool = False) -> Token:
        """The token of this request. Raises `RefusedBare`, and `Refused` for an expired one in v4."""
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        token = self.tokens.tokens.get(value) if kind == "Bearer" else None
        if token is None or token.ended or token.certificate != certificate_of(request):
            raise RefusedBare(401)
        if now >= token.until:
            if request.match_info["version"] == "v4.0":
                raise Refused.because("TKXP", "the access token has expired", "Authorization", 401)
            raise RefusedBare(401)
        if token.scope != scope or (token.consent is not None) != person:
            raise RefusedBare(403)
        return token

    def _person(self, request: web.Request, scope: str, now: datetime) -> Consent:
        consent = self._access(request, scope, now, person=True).consent
        assert consent is not None
        return consent

    # Answers

    def _signed(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        return self._answering(handler, signed=True)

    def _plain(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        return self._answering(handler, signed=False)

    def _answering(self, handler: Handler, *, signed: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            now, version = self.clock.now(), request.match_info["version"]
            try:
                judge_headers(request)
                status, body = await handler(request, version, now)
            except Refused as no:
                status, body = no.status, envelope(version, no.status, no.problems)
            except RefusedBare as no:
                status, body = no.status, None
            headers = {"x-fapi-interaction-id": interaction_of(request)}
            if body is None:
                return web.Response(status=status, headers=headers)
            raw = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            if signed:
                headers["x-jws-signature"] = self.seal.put(raw, now)
            return web.Response(
                status=status, body=raw, headers=headers, content_type="application/json", charset="utf-8"
            )

        return answer

    # What people do

    async def _people_authorise(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        approve = bool(wanted.get("approve", True))
        try:
            if "url" in wanted:
                return web.json_response({"url": self.decide(str(wanted["url"]), approve)})
            ticket = self.page.latest(str(wanted.get("consent_id"))) or ""
            return web.json_response({"url": self.page.decide(ticket, approve, self.clock.now())})
        except PageRefused as no:
            return web.Response(status=409, text=f"{no}; open the link first, or give it as url\n")

    async def _people_settle(self, request: web.Request) -> web.Response:
        wanted = await request.json() if request.can_read_body else {}
        return web.json_response({"moved": self.payments.settle(self.clock.now(), wanted.get("payment_id"))})

    async def _people_withdraw(self, request: web.Request) -> web.Response:
        consent = self.consents.consents.get(str((await request.json()).get("consent_id")))
        if consent is None or consent.scope != "accounts" or consent.status != "AUTH":
            return web.Response(status=409, text="that is no account consent that stands\n")
        consent.move("CANC", self.clock.now(), {"StatusReasonDescription": "withdrawn at the bank"})
        return web.json_response({"status": consent.status})

    async def _people_rules(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if "changed_body_gives_first" in wanted:
            self.payments.changed_body_gives_first = bool(wanted["changed_body_gives_first"])
        if "redirect_uris" in wanted:
            self.page.redirect_uris = None if wanted["redirect_uris"] is None else set(wanted["redirect_uris"])
        return web.json_response({"rules": sorted(wanted)})
