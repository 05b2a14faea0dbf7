"""The bank's token endpoint: private_key_jwt over mTLS, and who holds which token.

Rules
- A client assertion is PS256, its jti is used once, it is not from the future and has not expired.
- An access token is bound to the TLS client certificate under which it was asked for (RFC 8705).
- A code is used once; used again, it also ends the tokens that were issued from it (RFC 6749 section 4.1.2).
- Lifetimes are this bank's own choice; the standard fixes none.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeGuard

from cryptography.hazmat.primitives.asymmetric import rsa

from lendgate_openbanking_uk.simulator_consents import Consent
from lendgate_openbanking_uk.simulator_jose import Malformed, Signer, read_compact, signed_by

__all__ = ["CODE_LIFE", "BoundCode", "Client", "OAuthRefused", "Token", "TokenDesk", "is_number", "one_of_audience"]

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_TOKEN_LIFE: Final = timedelta(minutes=5)
PERSON_TOKEN_LIFE: Final = timedelta(hours=1)
CODE_LIFE: Final = timedelta(seconds=60)
ASSERTION_LIFE_AT_MOST: Final = timedelta(minutes=10)
CLOCK_SKEW: Final = timedelta(seconds=10)  # FAPI 2.0 section 5.3.2.1


class OAuthRefused(Exception):
    """An OAuth error (RFC 6749 section 5.2), which is not the OBIE envelope."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True)
class Client:
    """The one registered third party."""

    id: str
    keys: Mapping[str, rsa.RSAPublicKey]


@dataclass
class Token:
    """An access token. Without `consent` it is the client's own."""

    scope: str
    consent: Consent | None
    certificate: str  # x5t#S256
    until: datetime
    ended: bool = False


@dataclass
class BoundCode:
    """An authorisation code and what its exchange must match."""

    consent: Consent
    redirect_uri: str
    challenge: str
    nonce: str
    acr: str
    until: datetime
    used: bool = False
    tokens: list[Token] = field(default_factory=list)


def one_of_audience(aud: object, accepted: set[str]) -> bool:
    """Whether `aud` (text or list, RFC 7519 section 4.1.3) names one of `accepted`."""
    named = aud if isinstance(aud, list) else [aud]
    return any(isinstance(name, str) and name in accepted for name in named)


class TokenDesk:
    """Issues tokens and knows them again."""

    def __init__(self, issuer: str, client: Client, signer: Signer) -> None:
        self.issuer = issuer
        self.client = client
        self.tokens: dict[str, Token] = {}
        self.codes: dict[str, BoundCode] = {}
        self.refresh: dict[str, Consent] = {}
        self._signer = signer
        self._jti: dict[str, datetime] = {}

    def answer(self, form: Mapping[str, str], certificate: str | None, now: datetime) -> dict[str, Any]:
        """The body of a 200. Raises `OAuthRefused`."""
        if certificate is None:
            raise OAuthRefused("invalid_client", "a client certificate is needed", 401)
        self._authenticate(form, now)
        grants = {
            "client_credentials": self._client_credentials,
            "authorization_code": self._authorization_code,
            "refresh_token": self._refresh_token,
        }
        grant = grants.get(form.get("grant_type", ""))
        if grant is None:
            raise OAuthRefused("unsupported_grant_type", "client_credentials, authorization_code or refresh_token")
        return grant(form, certificate, now)

    def mint_code(self, code: BoundCode) -> str:
        value = secrets.token_urlsafe(32)
        self.codes[value] = code
        return value

    def id_token(self, code: BoundCode, now: datetime, **more: str) -> str:
        """`more` are c_hash and s_hash where the token travels in the front channel."""
        claims = {
            "iss": self.issuer,
            "sub": code.consent.id,
            "aud": self.client.id,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=5)).timestamp()),
            "auth_time": int(now.timestamp()),
            "nonce": code.nonce,
            "acr": code.acr,
            "openbanking_intent_id": code.consent.id,
            **more,
        }
        return self._signer.compact(claims)

    def end_tokens_of(self, consent: Consent) -> None:
        for token in self.tokens.values():
            if token.consent is consent:
                token.ended = True
        self.refresh = {value: kept for value, kept in self.refresh.items() if kept is not consent}

    def _authenticate(self, form: Mapping[str, str], now: datetime) -> None:
        def refuse(why: str) -> OAuthRefused:
            return OAuthRefused("invalid_client", why, 401)

        if form.get("client_assertion_type") != JWT_BEARER:
            raise refuse("client_assertion_type must be jwt-bearer")
        try:
            jws = read_compact(form.get("client_assertion", ""))
            claims = jws.claims()
        except Malformed as wrong:
            raise refuse(f"client_assertion: {wrong}") from None
        key = self.client.keys.get(str(jws.header.get("kid")))
        if jws.header.get("alg") != "PS256" or key is None or "crit" in jws.header:
            raise refuse("client_assertion: alg must be PS256 and kid a registered key")
        if not signed_by(key, jws):
            raise refuse("client_assertion: the signature does not fit")
        if claims.get("iss") != self.client.id or claims.get("sub") != self.client.id:
            raise refuse("client_assertion: iss and sub must be the client id")
        if form.get("client_id", self.client.id) != self.client.id:
            raise refuse("client_id is not the one of the assertion")
        if not one_of_audience(claims.get("aud"), {self.issuer, f"{self.issuer}/token"}):
            raise refuse("client_assertion: aud is somebody else")
        self._judge_times(claims, now, refuse)

    def _judge_times(self, claims: Mapping[str, Any], now: datetime, refuse: Any) -> None:
        at, exp, iat, jti = now.timestamp(), claims.get("exp"), claims.get("iat"), claims.get("jti")
        if not is_number(exp) or exp <= at or exp > (now + ASSERTION_LIFE_AT_MOST).timestamp():
            raise refuse("client_assertion: exp is past or more than ten minutes ahead")
        if not is_number(iat) or iat > at + CLOCK_SKEW.total_seconds():
            raise refuse("client_assertion: iat is missing or in the future")
        if not isinstance(jti, str) or not jti or self._jti.get(jti, now) > now:
            raise refuse("client_assertion: jti is missing or was used before")
        self._jti[jti] = datetime.fromtimestamp(exp, now.tzinfo)

    def _client_credentials(self, form: Mapping[str, str], certificate: str, now: datetime) -> dict[str, Any]:
        asked = set(form.get("scope", "").split()) - {"openid"}
        if len(asked) != 1 or not asked <= {"payments", "accounts"}:
            raise OAuthRefused("invalid_scope", "scope is payments or accounts")
        (scope,) = asked
        return self._issue(Token(scope, None, certificate, now + CLIENT_TOKEN_LIFE), CLIENT_TOKEN_LIFE)

    def _authorization_code(self, form: Mapping[str, str], certificate: str, now: datetime) -> dict[str, Any]:
        code = self.codes.get(form.get("code", ""))
        if code is None:
            raise OAuthRefused("invalid_grant", "the code is not known")
        if code.used:
            for token in code.tokens:
                token.ended = True
            raise OAuthRefused("invalid_grant", "the code was used before")
        if now > code.until:
            raise OAuthRefused("invalid_grant", "the code has expired")
        if form.get("redirect_uri") != code.redirect_uri:
            raise OAuthRefused("invalid_grant", "redirect_uri is another one")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            raise OAuthRefused("invalid_grant", "code_verifier does not fit code_challenge")
        code.used = True
        answer = self._person(code.consent, certificate, now)
        code.tokens.append(self.tokens[answer["access_token"]])
        if code.consent.scope == "accounts":
            answer["refresh_token"] = secrets.token_urlsafe(32)
            self.refresh[answer["refresh_token"]] = code.consent
        return {**answer, "id_token": self.id_token(code, now)}

    def _refresh_token(self, form: Mapping[str, str], certificate: str, now: datetime) -> dict[str, Any]:
        consent = self.refresh.get(form.get("refresh_token", ""))
        if consent is None or consent.status != "AUTH":
            raise OAuthRefused("invalid_grant", "the refresh token ended with its consent or was never issued")
        return self._person(consent, certificate, now)

    def _person(self, consent: Consent, certificate: str, now: datetime) -> dict[str, Any]:
        return self._issue(Token(consent.scope, consent, certificate, now + PERSON_TOKEN_LIFE), PERSON_TOKEN_LIFE)

    def _issue(self, token: Token, life: timedelta) -> dict[str, Any]:
        value = secrets.token_urlsafe(32)
        self.tokens[value] = token
        scope = token.scope if token.consent is None else f"openid {token.scope}"
        seconds = int(life.total_seconds())
        return {"access_token": value, "token_type": "Bearer", "expires_in": seconds, "scope": scope}


def is_number(value: object) -> TypeGuard[float]:
    """A NumericDate (RFC 7519 section 2)."""
    return isinstance(value, int | float) and not isinstance(value, bool)
