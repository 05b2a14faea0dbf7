"""JSON Web Signatures in compact form (RFC 7515), attached and detached, with b64=true and b64=false (RFC 7797).

Rules
- Keys are handles; nothing here holds key material, and nothing in a message can choose or bring a key but by the id of
  one that is already held.
- The verifier is stricter than the RFC where the RFC leaves a choice. It raises `NotProven` (`UnknownKey` for a key id
  that is not held) and nothing else, whatever it is given.
- The caller says what it accepts (`Accepted`) and still checks what the members mean: issuer, time, audience.

Steps of verifying
    (1) at most 64 KiB, in three segments; detached: the middle one is empty
    (2) every segment is base64url without padding, in its one canonical form
    (3) the header is one JSON object, in which no member occurs twice
    (4) `alg` is one of those that the caller accepts
    (5) `crit` lists exactly what the caller understands
    (6) nothing in the header brings a key along
    (7) `kid` names a key
    (8) the signature fits, under that key, the bytes as they came
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.model.message import Keys
from gateway.model.problems import NotProven

__all__ = [
    "ACCEPTED",
    "Accepted",
    "Verified",
    "from_base64url",
    "read_object",
    "sign",
    "sign_detached",
    "sign_jwt",
    "to_base64url",
    "verify",
    "verify_detached",
]

TOKEN_BYTES_AT_MOST: Final = 64 * 1024
HEADER_BYTES_AT_MOST: Final = 8 * 1024
KEY_ID_CHARACTERS_AT_MOST: Final = 256
BRINGS_A_KEY: Final = ("jku", "jwk", "x5u", "x5c")  # RFC 7515 sections 4.1.2, 4.1.3, 4.1.5 and 4.1.6
BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a verifier takes.

    `critical`: the names that `crit` must list, no more and no fewer (`b64` aside); the caller understands and checks
    them. `key_id` False: the header may do without `kid`, then every key of the partner is tried. `types`: what `typ`
    may say (None: anything), so that one kind of token cannot stand in for another (RFC 8725 section 3.11).
    """

    algorithms: frozenset[str] = frozenset({"PS256", "ES256", "EdDSA"})
    critical: frozenset[str] = frozenset()
    key_id: bool = True
    types: frozenset[str | None] | None = None


@dataclass(frozen=True, slots=True)
class Verified:
    """A proven header and payload."""

    header: Mapping[str, Any]
    payload: bytes


ACCEPTED: Final = Accepted()
"""What FAPI 2.0 takes (section 5.4.1), with a key id."""


def sign(payload: bytes, keys: Keys, algorithm: str, header: Mapping[str, Any] | None = None) -> str:
    """A compact JWS. `header` is added behind `alg` and `kid`."""
    protected = _protected(keys, algorithm, header or {})
    signed = f"{protected}.{to_base64url(payload)}"
    return f"{signed}.{to_base64url(keys.sign(signed.encode(), algorithm))}"


def sign_jwt(claims: Mapping[str, Any], keys: Keys, algorithm: str, *, typ: str = "JWT") -> str:
    """A signed JSON Web Token (RFC 7519): the caller gives every claim, times included."""
    return sign(_json(claims), keys, algorithm, {"typ": typ})


def sign_detached(
    payload: bytes,
    keys: Keys,
    algorithm: str,
    *,
    critical: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    b64: bool = True,
) -> str:
    """A compact JWS with an empty middle (RFC 7515 appendix F).

    `critical` members stand in the header and are listed in `crit`; `header` members only stand there. With `b64` False
    the payload is signed as it stands (RFC 7797), which `crit` says too.
    """
    members: dict[str, Any] = {**({} if b64 else {"b64": False}), **(critical or {})}
    crit = {"crit": list(members)} if members else {}
    protected = _protected(keys, algorithm, {**(header or {}), **members, **crit})
    signature = keys.sign(_detached_input(protected, payload, b64), algorithm)
    return f"{protected}..{to_base64url(signature)}"


def verify(token: str, keys: Keys, accepted: Accepted = ACCEPTED) -> Verified:
    """Verify an attached JWS. Raises `NotProven`, `UnknownKey`."""
    protected, middle, last = _segments(token)  # (1)
    payload, signature = from_base64url(middle, "payload"), from_base64url(last, "signature")  # (2)
    header = _header(protected, accepted, b64=True)  # (2)-(7)
    _require_signature(f"{protected}.{middle}".encode(), signature, header, keys)  # (8)
    return Verified(header, payload)


def verify_detached(
    token: str, payload: bytes, keys: Keys, accepted: Accepted = ACCEPTED, *, b64: bool = True
) -> Mapping[str, Any]:
    """Verify a detached JWS over `payload` and give its header. Raises `NotProven`, `UnknownKey`."""
    protected, middle, last = _segments(token)  # (1)
    if middle:
        raise NotProven("the JWS carries a payload of its own; a detached one has nothing between its two dots")
    signature = from_base64url(last, "signature")  # (2)
    header = _header(protected, accepted, b64=b64)  # (2)-(7)
    _require_signature(_detached_input(protected, payload, b64), signature, header, keys)  # (8)
    return header


def to_base64url(raw: bytes) -> str:
    """Without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str, name: str = "value") -> bytes:
    """The bytes of the one canonical encoding. Raises `NotProven` for padding, spaces, or bits that should be zero."""
    if not BASE64URL.match(text) or len(text) % 4 == 1:
        raise NotProven(f"the {name} of {len(text)} characters is not base64url without padding")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if to_base64url(raw) != text:
        raise NotProven(f"the {name} of {len(text)} characters is not the canonical base64url of its bytes")
    return raw


def read_object(raw: bytes, name: str) -> dict[str, Any]:
    """`raw` as one JSON object in which no member occurs twice, at any depth. Raises `NotProven`."""
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotProven(f"the {name} of {len(raw)} bytes is not JSON, or a member occurs twice in it") from None
    if not isinstance(value, dict):
        raise NotProven(f"the {name} is no JSON object")
    return value


def _segments(token: str) -> tuple[str, str, str]:
    if len(token) > TOKEN_BYTES_AT_MOST:
        raise NotProven(f"a JWS of {len(token)} characters is too long; {TOKEN_BYTES_AT_MOST} are taken")
    segments = token.split(".")
    if len(segments) != 3:
        raise NotProven(f"a compact JWS has three segments; there are {len(segments)} in {len(token)} characters")
    return segments[0], segments[1], segments[2]


def _header(protected: str, accepted: Accepted, *, b64: bool) -> Mapping[str, Any]:
    # (2), (3) "the header must be a completely valid JSON object" (RFC 7515 section 5.2, step 3).
    if len(protected) > HEADER_BYTES_AT_MOST:
        raise NotProven(f"a JWS header of {len(protected)} characters is too long; {HEADER_BYTES_AT_MOST} are taken")
    header = read_object(from_base64url(protected, "header"), "JWS header")
    # (4) RFC 8725 section 3.1: the caller's list decides, never the header.
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in accepted.algorithms:
        raise NotProven(f"alg is {_shown(algorithm)}; {', '.join(sorted(accepted.algorithms))} is accepted here")
    if accepted.types is not None and header.get("typ") not in accepted.types:
        raise NotProven(f"typ is {_shown(header.get('typ'))}; this is another kind of token")
    _require_critical(header, accepted.critical, b64=b64)  # (5)
    # (6) Whoever may bring the key that proves his message, has proven nothing.
    for name in BRINGS_A_KEY:
        if name in header:
            raise NotProven(f"the header brings a key along ({name}); only keys that are already held are used")
    _require_key_id(header, required=accepted.key_id)  # (7)
    return header


def _require_critical(header: Mapping[str, Any], understood: frozenset[str], *, b64: bool) -> None:
    """RFC 7515 section 4.1.11: a non-empty list of distinct names, each in the header and each understood."""
    wanted = understood if b64 else understood | {"b64"}
    listed = header.get("crit", [])
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise NotProven("crit is no list of names")
    if ("crit" in header and not listed) or len(set(listed)) != len(listed):
        raise NotProven("crit is empty or names a member twice")
    if set(listed) != wanted:
        raise NotProven(
            f"crit lists {sorted(name[:60] for name in listed)[:8]}; "
            f"{sorted(wanted)} must be listed, no more and no fewer"
        )
    for name in listed:
        if name not in header:
            raise NotProven(f"crit lists {name!r}, which the header does not hold")
    # RFC 7797 section 6: b64 counts only where crit lists it. Where it is not awaited, it must not stand at all.
    if header.get("b64", True) is not b64 or (b64 and "b64" in header):
        raise NotProven(f"b64 is {_shown(header.get('b64'))}; a payload with b64={str(b64).lower()} is expected")


def _require_key_id(header: Mapping[str, Any], *, required: bool) -> None:
    key_id = header.get("kid")
    if key_id is None and "kid" not in header and not required:
        return
    if not isinstance(key_id, str) or not 0 < len(key_id) <= KEY_ID_CHARACTERS_AT_MOST or not key_id.isprintable():
        raise NotProven(f"kid is {_shown(key_id)}; a text of 1 to {KEY_ID_CHARACTERS_AT_MOST} characters is expected")


def _require_signature(signed: bytes, signature: bytes, header: Mapping[str, Any], keys: Keys) -> None:
    keys.verify(signed, signature, header["alg"], header.get("kid"))


def _detached_input(protected: str, payload: bytes, b64: bool) -> bytes:
    return protected.encode() + b"." + (to_base64url(payload).encode() if b64 else payload)


def _protected(keys: Keys, algorithm: str, header: Mapping[str, Any]) -> str:
    return to_base64url(_json({"alg": algorithm, "kid": keys.key_id, **header}))


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _shown(value: object) -> str:
    """A member that an unproven header holds: short, and never a structure, however deep it may be."""
    if value is None:
        return "missing"
    return repr(value)[:60] if isinstance(value, str | int | float) else f"a {type(value).__name__}"
