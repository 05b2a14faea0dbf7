"""The legacy envelope: encrypt the business members, then sign the public ones with SHA1withRSA.

Rules
- LEGACY: SHA-1 and RSAES-PKCS1-v1_5 are what this platform speaks; the adapter's setting `legacy_sha1` accepts that.
- A reply is proven when its signature fits, in the plain or in the stripped form, and it is fresh; a reply without a
  signature proves nothing (the public SDK lets it pass; that would let anybody decline or confirm a policy).
- What is handed on is `{errorCode, errorMsg, bizContent}` with bizContent opened.

Source: the platform's public SDKs (PHP, Java); steps are numbered as there: encrypt, collect, sign.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from urllib.parse import parse_qsl

from gateway import Keys, NotProven, NotUnderstood, Reply, Request, Scheme, Stamp

__all__ = ["BEIJING", "LegacyEnvelope", "canonical"]

BEIJING: Final = timezone(timedelta(hours=8))
SIGNATURE: Final = "RS1"  # RSASSA-PKCS1-v1_5 with SHA-1
ENCRYPTION: Final = "RSA1_5"
CONSTANT: Final = {"charset": "UTF-8", "format": "json", "signType": "RSA", "version": "1.0.0"}

SHOWN: Final = ("errorCode", "errorMsg", "errorMessage")


def canonical(members: Mapping[str, Any]) -> bytes:
    """Compact JSON: top-level names in byte order, UTF-8 as it is, slashes not escaped."""
    ordered = {name: members[name] for name in sorted(members, key=str.encode)}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True)
class LegacyEnvelope(Scheme):
    """Signs and opens messages of one merchant.

    A request comes as a form of `serviceName` and `bizContent` (the canonical plaintext) and leaves with all nine
    public fields. `block_bytes` is how much plaintext goes into one RSA block, `rsa_bits` the size of both keys.
    """

    app_key: str
    rsa_bits: int = 2048
    block_bytes: int = 117
    tolerance: timedelta = timedelta(minutes=10)
    name = "zhongan-legacy-sha1"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        asked = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        # 1. Encrypt the business members in blocks.
        plain = asked["bizContent"].encode()
        blocks = (plain[start : start + self.block_bytes] for start in range(0, len(plain), self.block_bytes))
        cipher = b"".join(keys.encrypt(block, ENCRYPTION) for block in blocks)
        # 2. Collect the public fields. None of them may hold a quote or a backslash: the two SDKs differ there.
        fields = {
            **CONSTANT,
            "serviceName": asked["serviceName"],
            "appKey": self.app_key,
            "timestamp": stamp.now.astimezone(BEIJING).strftime("%Y%m%d%H%M%S%f")[:17],
            "bizContent": base64.b64encode(cipher).decode(),
        }
        # 3. Sign their canonical form.
        fields["sign"] = base64.b64encode(keys.sign(canonical(fields), SIGNATURE)).decode()
        return request.with_body(Request.form(request.url, fields).body)

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        # 1. Read the members and take the signature out.
        members = self._members(reply)
        sign = _decoded("sign", members.pop("sign", None))
        # 2. The signature fits the plain form, or the form from which the PHP side strips every backslash.
        covered = canonical(members)
        try:
            keys.verify(covered, sign, SIGNATURE)
        except NotProven:
            keys.verify(covered.replace(b"\\", b""), sign, SIGNATURE)
        # 3. Replies are bound to no request, so an old one must not pass for a new one.
        self._check_fresh(members.get("timestamp"), reply.received_at)
        # 4. Open the business members.
        shown: dict[str, Any] = {name: value for name, value in members.items() if name in SHOWN}
        content = members.get("bizContent")
        return canonical({**shown, "bizContent": self._opened(content, keys) if content else {}})

    def _members(self, reply: Reply) -> dict[str, Any]:
        try:
            members = reply.json()
        except NotUnderstood as wrong:
            raise NotProven(f"the reply is not an envelope: {wrong}") from None
        if not isinstance(members, dict):
            raise NotProven("the reply is not an envelope: it is no JSON object")
        return members

    def _check_fresh(self, timestamp: object, received_at: datetime) -> None:
        try:
            if not isinstance(timestamp, str) or len(timestamp) != 17:
                raise ValueError("not 17 digits")
            said = datetime.strptime(f"{timestamp}000", "%Y%m%d%H%M%S%f").replace(tzinfo=BEIJING)
        except ValueError:
            raise NotProven("the timestamp of the reply is not yyyyMMddHHmmssSSS") from None
        if abs(said - received_at) > self.tolerance:
            raise NotProven(f"the reply was signed at {said.isoformat()}, too far from now: check the clocks")

    def _opened(self, content: object, keys: Keys) -> Any:
        cipher = _decoded("bizContent", content)
        if not cipher or len(cipher) % (self.rsa_bits // 8):
            raise NotProven(f"bizContent has {len(cipher)} bytes, no whole blocks of an RSA-{self.rsa_bits} key")
        try:
            return json.loads(keys.decrypt(cipher, ENCRYPTION).decode())
        except (ValueError, RecursionError):
            raise NotProven("bizContent does not hold JSON") from None


def _decoded(name: str, value: object) -> bytes:
    if not isinstance(value, str) or not value:
        raise NotProven(f"the reply has no {name}")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        raise NotProven(f"{name} is not base64") from None
