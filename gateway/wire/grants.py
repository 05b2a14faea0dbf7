"""Stock grants: how most partners give out tokens, as values that an adapter names beside a request.

Rules
- A grant says how to ask and where the answer keeps its parts; it never sees a token, a code or a secret. Those are
  written as `Secret(name)`, and the core puts them in.
- Equal names share one token, so the name says all that distinguishes one token from another ("app",
  "consent:{id}").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote_plus

from gateway.crypto.schemes import Unsigned
from gateway.model.message import Bearer, Code, Grant, Placement, Request, Scheme, Secret, TokenPaths
from gateway.model.problems import ConsentRequired

__all__ = ["AppToken", "AuthorisationCode", "ClientAuthentication", "ClientCredentials"]

ClientAuthentication = Literal["body", "basic", "scheme", "certificate"]
"""How the client proves itself to the token endpoint.

`body` and `basic` send the secret (RFC 6749 section 2.3.1), `scheme` leaves it to the grant's scheme (such as
`ClientAssertion`), `certificate` is mutual TLS (RFC 8705 section 2).
"""


@dataclass(frozen=True)
class ClientCredentials(Grant):
    """A token for the client itself (RFC 6749 section 4.4). `secret` is the name of the client secret."""

    name: str
    url: str
    client_id: str
    authentication: ClientAuthentication
    scope: str = ""
    secret: str = "client_secret"
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    scheme: Scheme = field(default_factory=Unsigned)
    placement: Placement = field(default_factory=Bearer)
    paths: TokenPaths = field(default_factory=TokenPaths)
    refused: frozenset[str | int] = frozenset({401})

    def request(self, code: Code | None) -> Request:
        fields = {"grant_type": "client_credentials", **({"scope": self.scope} if self.scope else {})}
        return _token_request(self, {**fields, **self.parameters})


@dataclass(frozen=True)
class AuthorisationCode(Grant):
    """A token that a person authorised, with PKCE (RFC 6749 section 4.1, RFC 7636), renewed by its refresh token."""

    name: str
    url: str
    client_id: str
    authentication: ClientAuthentication
    secret: str = "client_secret"
    scheme: Scheme = field(default_factory=Unsigned)
    placement: Placement = field(default_factory=Bearer)
    paths: TokenPaths = field(default_factory=TokenPaths)
    refused: frozenset[str | int] = frozenset({401})

    def request(self, code: Code | None) -> Request:
        if code is None:
            raise ConsentRequired("a person must authorise first; send them to the partner's page")
        fields = {
            "grant_type": "authorization_code",
            "code": code.value,
            "redirect_uri": code.handoff.return_url,
            "code_verifier": code.handoff.code_verifier,
        }
        return _token_request(self, fields)

    def renew(self, refresh_token: Secret) -> Request:
        return _token_request(self, {"grant_type": "refresh_token", "refresh_token": refresh_token})


@dataclass(frozen=True)
class AppToken(Grant):
    """One token for the whole application, asked for by a JSON POST of `members`; secrets stand there as `Secret`."""

    name: str
    url: str
    members: Mapping[str, str | bool] = field(hash=False)
    scheme: Scheme = field(default_factory=Unsigned)
    placement: Placement = field(default_factory=Bearer)
    paths: TokenPaths = field(default_factory=TokenPaths)
    refused: frozenset[str | int] = frozenset({401})

    def request(self, code: Code | None) -> Request:
        return Request.post(self.url, dict(self.members))


def _token_request(grant: ClientCredentials | AuthorisationCode, fields: Mapping[str, str]) -> Request:
    if grant.authentication == "basic":
        # The core encodes what follows "Basic" once the secret is in place.
        credentials = f"Basic {quote_plus(grant.client_id)}:{Secret(grant.secret)}"
        return Request.form(grant.url, fields, Accept="application/json", Authorization=credentials)
    identified = {**fields, "client_id": grant.client_id}
    if grant.authentication == "body":
        identified["client_secret"] = Secret(grant.secret)
    return Request.form(grant.url, identified, Accept="application/json")
