"""Signed JSON Web Tokens that a partner issued, such as id tokens: verified, and their claims checked (RFC 7519).

Rules
- The time is handed in: a token is judged at the moment when it arrived, also when it is looked at again later.
- `jws` checks the form first, because PyJWT takes some tokens that we refuse; then PyJWT reads and verifies the token a
  second time, with the connection's keys behind its algorithm interface, so that a slip in either is no way in.
- Whatever is wrong raises `NotProven` (`UnknownKey` for a key id that is not held).

Steps after the signature
    (1) no claim occurs twice, at any depth
    (2) every required claim is there
    (3) `iss` is exactly the issuer, `aud` is or holds exactly our audience, and nobody else is the authorised party
    (4) `nonce` is the one of this hand-off
    (5) `exp` is ahead, but not too far; `iat` and `nbf` are not ahead
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import jwt
from jwt.algorithms import Algorithm

from gateway.crypto.jws import ACCEPTED, Accepted, read_object, to_base64url, verify
from gateway.model.message import Keys
from gateway.model.problems import NotProven

__all__ = ["Expected", "half_hash", "verify_claims", "verify_jwt"]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say.

    `required` are claims that must be there; `skew` is how far the partner's clock may be ahead of ours (FAPI 2.0:
    10 seconds are accepted, 60 are not); `longest_life` bounds `exp`.
    """

    issuer: str
    audience: str
    nonce: str | None = None
    required: frozenset[str] = frozenset({"iss", "aud", "exp", "iat"})
    accepted: Accepted = ACCEPTED
    skew: timedelta = timedelta(seconds=10)
    longest_life: timedelta = timedelta(hours=24)


def verify_jwt(token: str, keys: Keys, expected: Expected, now: datetime) -> Mapping[str, Any]:
    """The proven claims of `token` at the moment `now`. Raises `NotProven`, `UnknownKey`."""
    verified = verify(token, keys, expected.accepted)
    algorithm = str(verified.header["alg"])
    reader = jwt.PyJWS(algorithms=[])
    reader.register_algorithm(algorithm, _HeldKeys(keys, algorithm, verified.header.get("kid")))
    try:
        payload = reader.decode(token, "", algorithms=[algorithm])
    except jwt.PyJWTError as wrong:
        raise NotProven(f"the token does not verify ({type(wrong).__name__})") from None
    claims = read_object(payload, "token's payload")  # (1)
    verify_claims(claims, expected, now)
    return claims


def verify_claims(claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    """Steps (2) to (5), for claims that are proven already. Raises `NotProven`."""
    missing = sorted(expected.required - claims.keys())  # (2)
    if missing:
        raise NotProven(f"the token does not say {', '.join(missing)}")
    if claims.get("iss") != expected.issuer:  # (3) a text that begins like the issuer is another issuer
        raise NotProven(f"the token's issuer is not {expected.issuer!r}")
    _require_audience(claims, expected.audience)
    if expected.nonce is not None and claims.get("nonce") != expected.nonce:  # (4)
        raise NotProven("the token's nonce is not that of this hand-off")
    _require_times(claims, expected, int(now.timestamp()))  # (5)


def half_hash(value: str) -> str:
    """`c_hash`, `s_hash` and `at_hash` for algorithms with SHA-256: the left half of the digest (OpenID Connect Core,
    section 3.3.2.11; FAPI 1.0 Advanced, section 5.2.2.1)."""
    return to_base64url(hashlib.sha256(value.encode()).digest()[:16])


def _require_audience(claims: Mapping[str, Any], audience: str) -> None:
    said = claims.get("aud")
    audiences = [said] if isinstance(said, str) else said
    if (
        not isinstance(audiences, list)
        or audience not in audiences
        or not all(isinstance(one, str) for one in audiences)
    ):
        raise NotProven(f"the token is not meant for {audience!r}")
    # OpenID Connect Core section 3.1.3.7, steps 4 and 5: with several audiences `azp` says whose token it is.
    party = claims.get("azp", audience if len(audiences) == 1 else None)
    if party != audience:
        raise NotProven("the token has several audiences, and its authorised party (azp) is somebody else or missing")


def _require_times(claims: Mapping[str, Any], expected: Expected, now: int) -> None:
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool):
            raise NotProven(f"the token's {name} is no whole number of seconds")
    ahead = now + int(expected.skew.total_seconds())
    for name in ("iat", "nbf"):
        if claims.get(name, now) > ahead:
            raise NotProven(f"the token's {name} lies {claims[name] - now} seconds ahead; check both clocks")
    if "exp" in claims:
        if claims["exp"] <= now:
            raise NotProven(f"the token expired {now - claims['exp']} seconds before it came")
        if claims["exp"] > now + int(expected.longest_life.total_seconds()):
            raise NotProven("the token's exp is further ahead than such a token may live")


class _HeldKeys(Algorithm):
    """PyJWT's algorithm interface in front of `Keys`: PyJWT asks for a verdict and gets to see no key."""

    def __init__(self, keys: Keys, algorithm: str, key_id: str | None) -> None:
        self._keys = keys
        self._algorithm = algorithm
        self._key_id = key_id

    def prepare_key(self, key: Any) -> Any:
        return key

    def sign(self, msg: bytes, key: Any) -> bytes:
        raise NotImplementedError("tokens of our own are signed by gateway.crypto.jws")

    def verify(self, msg: bytes, key: Any, sig: bytes) -> bool:
        self._keys.verify(msg, sig, self._algorithm, self._key_id)
        return True

    @staticmethod
    def to_jwk(key_obj: Any, as_dict: Any = False) -> Any:
        raise NotImplementedError("keys stay with their provider")

    @staticmethod
    def from_jwk(jwk: Any) -> Any:
        raise NotImplementedError("keys stay with their provider")
