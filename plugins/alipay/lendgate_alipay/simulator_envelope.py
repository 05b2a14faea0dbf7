"""The gateway's envelope at the institution's side: who is calling, is it signed, and how answers are signed.

Rules
- Query, urlencoded form and multipart form are merged; one name with two values fits no signature.
- The order of checks is: application, what is missing, what is invalid, certificates, signature, time, JSON.
- An unknown application gets an unsigned answer; everything else is signed unless `unsigned_errors` says otherwise.
- Signed is the text of the node exactly as it is sent, with whatever escapes it has.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes, policy
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.model.clock import Clock
from lendgate_alipay.simulator_fields import Refused

__all__ = ["BEIJING", "Application", "Call", "Envelope", "pairs_of", "sign", "wall_clock"]

BEIJING: Final = timezone(timedelta(hours=8))
TOLERANCE: Final = timedelta(minutes=10)  # published for version 3 only; assumed here
MESSAGES: Final = {
    "10000": "Success",
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
    "40006": "Insufficient Permissions",
}
Pairs = list[tuple[str, str]]


def wall_clock(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` in China."""
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def sign(text: str, key: rsa.RSAPrivateKey, charset: str = "utf-8") -> str:
    """RSASSA-PKCS1-v1_5 with SHA-256, in base64."""
    return base64.b64encode(key.sign(text.encode(charset), padding.PKCS1v15(), hashes.SHA256())).decode()


def pairs_of(query: str, content_type: str, body: bytes) -> Pairs:
    """All parameters of a request in order, from wherever they stand. Raises `ValueError` for what is no text."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    if content_type.lower().startswith("multipart/form-data"):
        raw = b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
        for part in message_from_bytes(raw, policy=policy.HTTP).iter_parts():
            name = part.get_param("name", header="content-disposition")
            payload = part.get_payload(decode=True)
            if isinstance(name, str) and isinstance(payload, bytes):
                pairs.append((name, payload.decode()))
        return pairs
    return pairs + parse_qsl(body.decode(), keep_blank_values=True, errors="strict")


@dataclass(frozen=True)
class Application:
    """One registered application of the merchant; `cert_sn` only in certificate mode."""

    app_id: str
    public_key: rsa.RSAPublicKey
    cert_sn: str | None = None


@dataclass(frozen=True)
class Call:
    """A call whose signature was verified."""

    application: Application
    method: str
    parameters: Mapping[str, str]
    biz_content: Mapping[str, Any]

    @property
    def notify_url(self) -> str | None:
        return self.parameters.get("notify_url")


class Envelope:
    """Opens requests and closes replies and notifications. The switches are for tests of clients."""

    def __init__(
        self, applications: Mapping[str, Application], key: rsa.RSAPrivateKey, root_cert_sn: str, clock: Clock
    ) -> None:
        self.applications = applications
        self.own_cert_sn = ""
        self.escape_slashes = True
        self.escape_unicode = False
        self.unsigned_errors = False
        self.error_response = False
        self._key = key
        self._root_cert_sn = root_cert_sn
        self._clock = clock

    def open(self, pairs: Pairs, methods: frozenset[str]) -> Call:
        """Verify a request. Raises `Refused`."""
        given = dict(pairs)
        application = self._application(given)
        if len(set(pairs)) != len(given):
            raise Refused("40002", "isv.invalid-signature", "one parameter has two values")
        self._check_public(given, methods)
        self._check_certificates(given, application)
        self._check_signature(given, application)
        self._check_time(given["timestamp"])
        return Call(application, given["method"], given, _json(given.get("biz_content", "{}")))

    def close(self, method: str, node: Mapping[str, Any], application: Application | None, *, signed: bool) -> str:
        """The body of a reply. The node's text is signed as it stands."""
        failed = node.get("code") not in ("10000", "10003")
        text = json.dumps(node, ensure_ascii=self.escape_unicode, separators=(",", ":"))
        if self.escape_slashes:
            text = text.replace("/", "\\/")
        gateway_failure = failed and node.get("code") != "40004"
        name = f"{method.replace('.', '_')}_response"
        if not method or (self.error_response and gateway_failure):
            name = "error_response"
        members = [f'"{name}":{text}']
        if application is not None and application.cert_sn:
            members.append(f'"alipay_cert_sn":"{self.own_cert_sn}"')
        if signed and not (failed and self.unsigned_errors):
            members.append(f'"sign":"{sign(text, self._key)}"')
        return "{" + ",".join(members) + "}"

    def notification(self, parameters: Mapping[str, str], key: rsa.RSAPrivateKey | None = None) -> bytes:
        """A signed form; neither `sign` nor `sign_type` is covered. `key` is a forger's."""
        told = {name: value for name, value in parameters.items() if value}
        text = "&".join(f"{name}={told[name]}" for name in sorted(told))
        return urlencode({**told, "sign_type": "RSA2", "sign": sign(text, key or self._key)}).encode()

    def _application(self, given: Mapping[str, str]) -> Application:
        if not given.get("app_id"):
            raise Refused("40001", "isv.missing-app-id", "missing app_id", signed=False)
        application = self.applications.get(given["app_id"])
        if application is None:
            raise Refused("40002", "isv.invalid-app-id", "无效的AppID参数", signed=False)
        return application

    def _check_public(self, given: Mapping[str, str], methods: frozenset[str]) -> None:
        needed = {
            "method": "isv.missing-method",
            "sign_type": "isv.missing-signature-type",
            "sign": "isv.missing-signature",
            "timestamp": "isv.missing-timestamp",
            "version": "isv.missing-version",
        }
        for name, sub_code in needed.items():
            if not given.get(name):
                raise Refused("40001", sub_code, f"missing {name}")
        if given["method"] not in methods:
            raise Refused("40002", "isv.invalid-method", f"there is no method {given['method']}")
        exact = {
            "sign_type": ("RSA2", "isv.invalid-signature-type"),
            "charset": ("utf-8", "isv.invalid-charset"),
            "version": ("1.0", "isv.invalid-parameter"),
            "format": ("JSON", "isv.invalid-format"),
        }
        for name, (value, sub_code) in exact.items():
            if given.get(name, value if name == "format" else "").upper() != value.upper():
                raise Refused("40002", sub_code, f"{name} must be {value}")

    def _check_certificates(self, given: Mapping[str, str], application: Application) -> None:
        app, root = given.get("app_cert_sn"), given.get("alipay_root_cert_sn")
        if application.cert_sn is None:
            if app or root:
                raise Refused("40002", "isv.app-cert-not-exist", "this application uses a public key")
            return
        if not app:
            raise Refused("40002", "isv.missing-app-cert-sn", "missing app_cert_sn")
        if not root:
            raise Refused("40002", "isv.missing-alipay-root-cert-sn", "missing alipay_root_cert_sn")
        if app != application.cert_sn:
            raise Refused("40002", "isv.app-cert-not-exist", "no such application certificate")
        if root != self._root_cert_sn:
            raise Refused("40002", "isv.invalid-alipay-root-cert-sn", "another root certificate is in use")

    def _check_signature(self, given: Mapping[str, str], application: Application) -> None:
        names = sorted(name for name, value in given.items() if value and name != "sign")
        text = "&".join(f"{name}={given[name]}" for name in names)
        try:
            signature = base64.b64decode(given["sign"], validate=True)
            application.public_key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            hint = f"验签出错，请检查。网关待验签字符串为：【{html.escape(text)}】"
            raise Refused("40002", "isv.invalid-signature", hint) from None

    def _check_time(self, timestamp: str) -> None:
        try:
            said = datetime.strptime(timestamp, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING)
        except ValueError:
            raise Refused("40002", "isv.invalid-timestamp", "timestamp is not yyyy-MM-dd HH:mm:ss") from None
        if abs(said.astimezone(UTC) - self._clock.now()) > TOLERANCE:
            raise Refused("40002", "isv.invalid-timestamp", "timestamp is too far from the gateway's time")


def _json(text: str) -> Mapping[str, Any]:
    try:
        members = json.loads(text)
    except ValueError:
        raise Refused("40002", "isv.illegal-json", "biz_content is not JSON") from None
    if not isinstance(members, dict):
        raise Refused("40002", "isv.illegal-json", "biz_content is not an object")
    return members
