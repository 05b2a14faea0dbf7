"""The bank's authorisation endpoint: the page on which a person approves or refuses, and the way back.

Hybrid flow of FAPI 1.0 Advanced: everything stands in a signed request object, what also stands outside must agree with
it, and `code id_token` goes back in the fragment. PKCE S256 is required inside the request object.
"""

from __future__ import annotations

import html
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from lendgate_openbanking_uk.simulator_consents import Consent, ConsentBook
from lendgate_openbanking_uk.simulator_jose import Malformed, hash_half, read_compact, signed_by
from lendgate_openbanking_uk.simulator_tokens import CODE_LIFE, BoundCode, TokenDesk, is_number, one_of_audience

__all__ = ["ConsentPage", "PageRefused"]

ACR: Final = ("urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca")
REQUEST_LIFE_AT_MOST_SECONDS: Final = 3600  # FAPI 1.0 part 2 section 5.2.2.13
LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}


class PageRefused(Exception):
    """The request is wrong and there is nowhere to go back to: the person sees the reason."""


@dataclass(frozen=True)
class Visit:
    """A person who stands on the page, and what the request object asked for."""

    consent: Consent
    redirect_uri: str
    state: str
    nonce: str
    challenge: str
    acr: str


class ConsentPage:
    """Opens the page for a request and takes the person's decision.

    `redirect_uris`: None takes any address on loopback; a set is compared exactly, as real banks do.
    """

    def __init__(self, desk: TokenDesk, consents: ConsentBook, approved: Callable[[Consent, datetime], None]) -> None:
        self.visits: dict[str, Visit] = {}
        self.redirect_uris: set[str] | None = None
        self._desk = desk
        self._consents = consents
        self._approved = approved

    def open(self, query: Mapping[str, str], now: datetime) -> tuple[str, str]:
        """The ticket of a new visit and the page's HTML. Raises `PageRefused`."""
        visit = self._judge(query, now)
        ticket = secrets.token_urlsafe(24)
        self.visits[ticket] = visit
        return ticket, page(ticket, visit.consent)

    def latest(self, consent_id: str) -> str | None:
        """The ticket of the last visit that is about this consent."""
        return next((t for t, v in reversed(self.visits.items()) if v.consent.id == consent_id), None)

    def decide(self, ticket: str, approve: bool, now: datetime) -> str:
        """Where the browser goes next. Raises `PageRefused` for a ticket that is unknown or was used."""
        visit = self.visits.pop(ticket, None)
        if visit is None or visit.consent.status != "AWAU":
            raise PageRefused("this page was answered before, or never opened")
        if not approve:
            visit.consent.move("RJCT", now, {"StatusReasonDescription": "the person refused"})
            refusal = {"error": "access_denied", "error_description": "the person refused", "state": visit.state}
            return f"{visit.redirect_uri}#{urlencode(refusal)}"
        visit.consent.move("AUTH", now)
        self._approved(visit.consent, now)
        bound = BoundCode(visit.consent, visit.redirect_uri, visit.challenge, visit.nonce, visit.acr, now + CODE_LIFE)
        code = self._desk.mint_code(bound)
        token = self._desk.id_token(bound, now, c_hash=hash_half(code), s_hash=hash_half(visit.state))
        return f"{visit.redirect_uri}#{urlencode({'code': code, 'id_token': token, 'state': visit.state})}"

    def _judge(self, query: Mapping[str, str], now: datetime) -> Visit:
        """(1) signature, (2) who and for whom, (3) time, (4) the flow, (5) outside equals inside, (6) the intent."""
        claims = self._signed_claims(query.get("request", ""))  # (1)
        client = self._desk.client.id
        if claims.get("iss") != client or claims.get("client_id") != client:  # (2)
            raise PageRefused("iss and client_id must be the registered client")
        if not one_of_audience(claims.get("aud"), {self._desk.issuer}):
            raise PageRefused("aud must be the issuer")
        judge_times(claims, now)  # (3)
        if claims.get("response_type") != "code id_token":  # (4)
            raise PageRefused("response_type must be code id_token")
        self._judge_redirect(claims.get("redirect_uri"))
        for name in ("state", "nonce", "code_challenge"):
            if not isinstance(claims.get(name), str) or not claims[name]:
                raise PageRefused(f"{name} is missing in the request object")
        if claims.get("code_challenge_method") != "S256":
            raise PageRefused("code_challenge_method must be S256")
        for name in ("client_id", "response_type", "scope"):  # (5)
            if name not in query:
                raise PageRefused(f"{name} must stand beside the request object too")
        for name, value in query.items():
            if name != "request" and claims.get(name) != value:
                raise PageRefused(f"{name[:40]} differs from the request object")
        return self._visit(claims)  # (6)

    def _signed_claims(self, token: str) -> Mapping[str, Any]:
        try:
            jws = read_compact(token)
            claims = jws.claims()
        except Malformed as wrong:
            raise PageRefused(f"the request object is {wrong}") from None
        key = self._desk.client.keys.get(str(jws.header.get("kid")))
        if jws.header.get("alg") != "PS256" or key is None or "crit" in jws.header or not signed_by(key, jws):
            raise PageRefused("the request object is not signed with PS256 by a registered key")
        return claims

    def _judge_redirect(self, uri: object) -> None:
        if not isinstance(uri, str) or "#" in uri:
            raise PageRefused("redirect_uri is missing or has a fragment")
        registered = urlsplit(uri).hostname in LOOPBACK if self.redirect_uris is None else uri in self.redirect_uris
        if not registered:
            raise PageRefused("redirect_uri is not registered")

    def _visit(self, claims: Mapping[str, Any]) -> Visit:
        wanted = claims.get("claims")
        token = wanted.get("id_token") if isinstance(wanted, dict) else None
        intent = token.get("openbanking_intent_id") if isinstance(token, dict) else None
        acr = token.get("acr") if isinstance(token, dict) else None
        if not isinstance(intent, dict) or intent.get("essential") is not True:
            raise PageRefused("claims.id_token.openbanking_intent_id must be there and essential")
        consent = self._consents.consents.get(str(intent.get("value")))
        if consent is None or consent.status != "AWAU":
            raise PageRefused("the intent is not known or no longer waits for authorisation")
        if set(str(claims.get("scope")).split()) != {"openid", consent.scope}:
            raise PageRefused(f"scope must be openid {consent.scope}")
        named = acr.get("values") if isinstance(acr, dict) else None
        offered = [value for value in named or [] if value in ACR]
        if not offered:
            raise PageRefused(f"claims.id_token.acr must name one of {', '.join(ACR)}")
        return Visit(
            consent, claims["redirect_uri"], claims["state"], claims["nonce"], claims["code_challenge"], offered[0]
        )


def judge_times(claims: Mapping[str, Any], now: datetime) -> None:
    at, nbf, exp = now.timestamp(), claims.get("nbf"), claims.get("exp")
    if not is_number(nbf) or not is_number(exp):
        raise PageRefused("nbf and exp are required")
    if nbf > at or exp <= at or exp - nbf > REQUEST_LIFE_AT_MOST_SECONDS:
        raise PageRefused("the request object is not valid now, or for more than an hour")


def page(ticket: str, consent: Consent) -> str:
    """A page without scripts: it works in a browser, and with a plain form POST."""
    if consent.scope == "payments":
        initiation = consent.given["Initiation"]
        amount, payee = initiation["InstructedAmount"], initiation["CreditorAccount"]
        what = f"Pay {amount['Amount']} {amount['Currency']} to {payee['Name']} ({payee['Identification']})"
    else:
        what = "Share your accounts: " + ", ".join(consent.given["Permissions"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sandbox Bank</title>
<meta name="viewport" content="width=device-width"><style>body{{font:1rem system-ui;margin:3rem auto;max-width:32rem}}
button{{font:inherit;padding:.6rem 1.2rem;margin-right:1rem}}</style></head>
<body><h1>Sandbox Bank</h1><p>A DEVELOPMENT bank. No money moves here.</p>
<p><strong>{html.escape(what)}</strong></p>
<form method="post" action="/authorize/decision"><input type="hidden" name="ticket" value="{ticket}">
<button name="decision" value="approve">Approve</button><button name="decision" value="refuse">Refuse</button></form>
</body></html>
"""
