"""The insurer's side of the legacy envelope: opens what merchants send, seals and signs what it answers.

Rules
- bizContent: RSAES-PKCS1-v1_5 blocks of at most 117 plaintext bytes, concatenated, base64.
- sign: SHA1withRSA over the compact JSON object of all other public members, names in byte order, raw UTF-8.
- A form is refused before it is decrypted when a public field is missing, foreign, stale or badly signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1

__all__ = ["BEIJING", "InsurerEnvelope", "Refused"]

BEIJING: Final = timezone(timedelta(hours=8))
BLOCK: Final = 117
PUBLIC_FIELDS: Final = frozenset(
    {"serviceName", "appKey", "format", "signType", "charset", "version", "timestamp", "bizContent", "sign"}
)
FIXED: Final = {"format": "json", "signType": "RSA", "charset": "UTF-8", "version": "1.0.0"}
TOLERANCE: Final = timedelta(minutes=10)  # not published; an assumption of this simulator


class Refused(Exception):
    """The insurer says no, with a code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class InsurerEnvelope:
    """Holds the insurer's private key and the one merchant that it knows."""

    def __init__(self, insurer: rsa.RSAPrivateKey, merchant: rsa.RSAPublicKey, app_key: str) -> None:
        self.insurer = insurer
        self.merchant = merchant
        self.app_key = app_key
        self.signature_form = "plain"  # or "stripped" (as the PHP side does) or "none"

    def open(self, form: Mapping[str, str], now: datetime) -> tuple[str, dict[str, Any]]:
        """Service name and business members of a genuine request; raises `Refused`."""
        if set(form) != PUBLIC_FIELDS:
            raise Refused("SIM_FIELD", f"public fields differ: {sorted(set(form) ^ PUBLIC_FIELDS)}")
        for name, value in FIXED.items():
            if form[name] != value:
                raise Refused("SIM_FIELD", f"{name} must be {value}")
        if form["appKey"] != self.app_key:
            raise Refused("SIM_APP_KEY", "appKey is not known")
        if abs(moment(form["timestamp"]) - now) > TOLERANCE:
            raise Refused("SIM_TIMESTAMP", "timestamp is too far from now")
        unsigned = {name: value for name, value in form.items() if name != "sign"}
        try:
            self.merchant.verify(
                base64.b64decode(form["sign"], validate=True), canonical(unsigned), padding.PKCS1v15(), SHA1()
            )
        except (InvalidSignature, ValueError):
            raise Refused("SIM_SIGN", "sign does not fit") from None
        return form["serviceName"], self._decrypt(form["bizContent"])

    def seal(self, business: Mapping[str, Any] | None, error: Refused | None, now: datetime) -> bytes:
        """The signed reply: members that are encrypted for the merchant, or an error in clear."""
        reply = {"charset": "UTF-8", "format": "json", "signType": "RSA", "timestamp": stamp(now)}
        if business is not None:
            reply["bizContent"] = self._encrypt(canonical(business))
        if error is not None:
            reply |= {"errorCode": error.code, "errorMsg": error.message}
        if self.signature_form != "none":
            covered = canonical(reply)
            if self.signature_form == "stripped":
                covered = covered.replace(b"\\", b"")
            reply["sign"] = base64.b64encode(self.insurer.sign(covered, padding.PKCS1v15(), SHA1())).decode()
        return json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()

    def _decrypt(self, content: str) -> dict[str, Any]:
        size = self.insurer.key_size // 8
        try:
            cipher = base64.b64decode(content, validate=True)
            if not cipher or len(cipher) % size:
                raise ValueError("not whole blocks")
            blocks = [
                self.insurer.decrypt(cipher[start : start + size], padding.PKCS1v15())
                for start in range(0, len(cipher), size)
            ]
            members = json.loads(b"".join(blocks).decode())
        except ValueError:
            raise Refused("SIM_DECRYPT", "bizContent cannot be opened") from None
        if any(len(block) > BLOCK for block in blocks) or not isinstance(members, dict):
            raise Refused("SIM_DECRYPT", "bizContent is not an object in blocks of 117 bytes")
        if PUBLIC_FIELDS & set(members):
            raise Refused("SIM_FIELD", "bizContent uses a reserved name")
        return members

    def _encrypt(self, plain: bytes) -> str:
        blocks = (plain[start : start + BLOCK] for start in range(0, len(plain), BLOCK))
        return base64.b64encode(b"".join(self.merchant.encrypt(block, padding.PKCS1v15()) for block in blocks)).decode()


def canonical(members: Mapping[str, Any]) -> bytes:
    """Compact JSON, top-level names in byte order, raw UTF-8, slashes as they are."""
    ordered = {name: members[name] for name in sorted(members, key=str.encode)}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def stamp(now: datetime) -> str:
    """`yyyyMMddHHmmssSSS` on the wall clock of Beijing."""
    return now.astimezone(BEIJING).strftime("%Y%m%d%H%M%S%f")[:17]


def moment(text: str) -> datetime:
    if len(text) != 17 or not text.isascii() or not text.isdigit():
        raise Refused("SIM_TIMESTAMP", "timestamp is not yyyyMMddHHmmssSSS")
    try:
        return datetime.strptime(text + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=BEIJING)
    except ValueError:
        raise Refused("SIM_TIMESTAMP", "timestamp is not a moment") from None
