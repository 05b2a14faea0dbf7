"""What is signed in UK Open Banking, and how the way through the person's browser is proven.

Rules
- Payments: a detached PS256 JWS over the exact body, both ways, in `x-jws-signature`; no `b64` since version 3.1.4.
  A bank's 401 without a body is taken as it is: it can only cause a new token, never settle anything.
- Accounts and tokens: nothing is signed; the mutually authenticated TLS channel is the proof.
- The browser carries a signed request object out and a signed `id_token` back (FAPI 1.0 Advanced, hybrid flow).

Steps of verifying a signed answer (OBIE v3.1.11 and v4.0, "Message Signing")
    (1) the header is there  (2) PS256, crit names iat, iss and tan, kid is held, and the signature fits the body
    (3) iss is the bank, tan the trust anchor                    (4) iat is a number that does not lie ahead
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from gateway import (
    Accepted,
    Handoff,
    Keys,
    NotProven,
    Reply,
    Request,
    Returned,
    Scheme,
    SignedLink,
    Stamp,
    Unsigned,
    required_header,
    sign_detached,
    sign_jwt,
    verify_detached,
)

__all__ = ["ACR", "INTENT", "MessageSigning", "TLSOnly"]

SIGNATURE: Final = "x-jws-signature"
IAT: Final = "http://openbanking.org.uk/iat"
ISS: Final = "http://openbanking.org.uk/iss"
TAN: Final = "http://openbanking.org.uk/tan"
ACCEPTED: Final = Accepted(
    algorithms=frozenset({"PS256"}), critical=frozenset({IAT, ISS, TAN}), types=frozenset({None, "JOSE"})
)
ID_TOKEN: Final = Accepted(algorithms=frozenset({"PS256"}))
INTENT: Final = "openbanking_intent_id"
ACR: Final = ("urn:openbanking:psd2:sca", "urn:openbanking:psd2:ca")
CLAIMS: Final = frozenset({"iss", "aud", "exp", "iat", "nonce", "acr", INTENT, "c_hash", "s_hash"})
REQUEST_LIFE_AT_MOST: Final = timedelta(minutes=60)  # FAPI 1.0 Advanced section 5.2.2
AHEAD_SECONDS: Final = 10  # how far the bank's clock may be ahead (FAPI 2.0 section 5.3.2.1)


@dataclass(frozen=True)
class TLSOnly(Unsigned):
    """Account requests: unsigned, with an interaction id."""

    name = "openbanking-uk-tls"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return interacting(request, stamp)


@dataclass(frozen=True)
class MessageSigning(Scheme):
    """Payment messages, the link to the bank's page, and the return from it.

    `organisation` and `bank` are the `iss` of our signatures and of the bank's.
    """

    name = "openbanking-uk"
    client_id: str
    issuer: str
    organisation: str
    bank: str
    trust_anchor: str

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        request = interacting(request, stamp)
        if not request.body:
            return request
        critical = {IAT: int(stamp.now.timestamp()), ISS: self.organisation, TAN: self.trust_anchor}
        return request.with_header(SIGNATURE, sign_detached(request.body, keys, "PS256", critical=critical))

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if reply.status == 401 and not reply.body:
            return reply.body
        token = required_header(reply, SIGNATURE)  # (1)
        header = verify_detached(token, reply.body, keys, ACCEPTED)  # (2)
        if (header[ISS], header[TAN]) != (self.bank, self.trust_anchor):  # (3)
            raise NotProven(f"the signature's iss and tan are not {self.bank!r} and {self.trust_anchor!r}")
        require_past(header[IAT], reply.received_at)  # (4)
        return reply.body

    def link(self, link: SignedLink, handoff: Handoff, keys: Keys, stamp: Stamp) -> str:
        """The page's URL with a request object that holds every parameter (FAPI 1.0 Advanced section 5.2.2)."""
        now, life = int(stamp.now.timestamp()), min(link.life, REQUEST_LIFE_AT_MOST)
        outside = {
            "response_type": "code id_token",
            "client_id": self.client_id,
            "scope": str(link.claims["scope"]),
            "redirect_uri": handoff.return_url,
            "state": handoff.state,
            "nonce": handoff.nonce,
        }
        claims = {
            "iss": self.client_id,
            "aud": self.issuer,
            **outside,
            "code_challenge": handoff.code_challenge,
            "code_challenge_method": "S256",
            "nbf": now,
            "iat": now,
            "exp": now + int(life.total_seconds()),
            **link.claims,
        }
        query = {**outside, link.parameter: sign_jwt(claims, keys, "PS256")}
        return f"{link.url}{'&' if '?' in link.url else '?'}{urlencode(query)}"

    def verify_return(self, returned: Returned, handoff: Handoff, keys: Keys) -> Returned:
        """Code, state and the intent that was authorised. An error proves nothing: it comes unsigned."""
        from gateway import Expected, half_hash, verify_jwt  # a JWT library that only returns need

        told = returned.parameters
        missing = [name for name in ("code", "id_token", "state") if not told.get(name)]
        if "error" in told or missing:
            why = f"carries the error {told['error'][:40]!r}" if "error" in told else f"lacks {', '.join(missing)}"
            raise NotProven(f"the return {why}, and nothing in it is signed; ask for the consent instead")
        if told["state"] != handoff.state:
            raise NotProven("the return's state is another one")
        expected = Expected(self.issuer, self.client_id, handoff.nonce, CLAIMS, ID_TOKEN)
        claims = verify_jwt(told["id_token"], keys, expected, returned.received_at)
        # OpenID Connect Core section 3.3.2.11 and FAPI 1.0 Advanced section 5.2.2.1.
        if claims["c_hash"] != half_hash(told["code"]) or claims["s_hash"] != half_hash(told["state"]):
            raise NotProven("the id_token belongs to another code or state")
        if claims["acr"] not in ACR:
            raise NotProven("the id_token names another way of authentication than was asked for")
        proven = {"code": told["code"], "state": told["state"], INTENT: intent_of(claims)}
        return replace(returned, parameters=proven)


def interacting(request: Request, stamp: Stamp) -> Request:
    """x-fapi-interaction-id, an RFC 4122 UUID, fresh for each attempt."""
    return request.with_header("x-fapi-interaction-id", str(uuid.UUID(hex=stamp.nonce, version=4)))


def require_past(issued_at: object, received_at: datetime) -> None:
    """`iat` may have a fraction (real banks send one). Raises `NotProven`."""
    if isinstance(issued_at, bool) or not isinstance(issued_at, int | float):
        raise NotProven("the signature's iat is no number")
    if issued_at > received_at.timestamp() + AHEAD_SECONDS:
        raise NotProven("the signature's iat lies ahead of our clock; check both clocks")


def intent_of(claims: Mapping[str, Any]) -> str:
    """Raises `NotProven`."""
    intent = claims[INTENT]
    if not isinstance(intent, str):
        raise NotProven(f"{INTENT} is no text")
    return intent
