"""The gateway's envelope: sorted parameters under RSA2, and replies that are verified as the text that they are.

Rules
- A reply is proven over the text of its node exactly as it stands between the braces, escapes included; whoever parses
  and writes it again signs something else.
- A reply without a signature proves nothing, whatever code it carries, and neither does a status other than 200.
- Notifications are covered without `sign` and `sign_type`; older senders kept `sign_type`, so both forms are tried.
- Joining with `&` and `=` can be read in two ways: a notification's value that could be read as several parameters is
  refused, and what was proven is handed on without what the signature does not cover.

Source: opendocs "OpenAPI v2: signing", "verifying replies", "asynchronous notifications".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway import AdapterError, Callback, Handoff, Keys, NotProven, Reply, Request, Scheme, SignedLink, Stamp

__all__ = ["BEIJING", "RSA2Envelope", "raw_members", "to_sign", "wall_clock"]

BEIJING: Final = timezone(timedelta(hours=8))
ALGORITHM: Final = "RS256"  # RSA2
CHARSETS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk"}
CHARSET: Final = re.compile(rb"(?:^|&)charset=([A-Za-z0-9-]+)")
HIDES_A_PARAMETER: Final = re.compile(r"&[^&]*=")
SPACE: Final = re.compile(r"[ \t\n\r]*")
DECODER: Final = json.JSONDecoder()


def wall_clock(moment: datetime) -> str:
    """`yyyy-MM-dd HH:mm:ss` in China."""
    return moment.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def to_sign(parameters: Mapping[str, str]) -> str:
    """`k=v&k=v` of the non-empty parameters but `sign`, sorted by the bytes of their names, values raw."""
    names = sorted((name for name, value in parameters.items() if value and name != "sign"), key=str.encode)
    return "&".join(f"{name}={parameters[name]}" for name in names)


@dataclass(frozen=True)
class RSA2Envelope(Scheme):
    """Signs and verifies for one application.

    The serial numbers are set in certificate mode; replies then name the certificate that they are signed with.
    `self_certified` is for the download of such a certificate: its proof is the chain that comes with it.
    """

    app_id: str
    app_cert_sn: str = ""
    root_cert_sn: str = ""
    self_certified: bool = False
    name = "alipay-rsa2"

    @property
    def certified(self) -> bool:
        return bool(self.app_cert_sn)

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        public = self._public(request, stamp)
        signature = self._signature({**public, **form}, keys)
        return request.with_url(_with_query(request.url, {**public, "sign": signature}))

    def link(self, link: SignedLink, handoff: Handoff, keys: Keys, stamp: Stamp) -> str:
        """A page call: everything stands in the query, `biz_content` too."""
        if link.request is None:
            raise AdapterError("a page call is a whole request: give the SignedLink its request")
        form = dict(parse_qsl(link.request.body.decode(), keep_blank_values=True))
        given = {**self._public(link.request, stamp), **form}
        return _with_query(link.request.url, {**given, "sign": self._signature(given, keys)})

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        # 1. The gateway answers with 200, whatever it says; anything else was said by somebody in between.
        if reply.status != 200:
            raise NotProven(f"the status is {reply.status}; the gateway itself answers with 200 only")
        # 2. Take the members as text.
        try:
            members = raw_members(reply.body.decode())
        except UnicodeDecodeError:
            raise NotProven(f"the reply of {len(reply.body)} bytes is not UTF-8") from None
        # 3. The node is named after the method that was asked, or is the gateway's own error.
        node = self._node(members, request)
        if self.self_certified:
            return node.encode()
        # 4. The signature, and in certificate mode the certificate that it was made with.
        signature = _from_base64(_text(members, "sign"))
        key_id = _text(members, "alipay_cert_sn") if self.certified else None
        # 5. Over the node's own text.
        keys.verify(node.encode(), signature, ALGORITHM, key_id)
        return node.encode()

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        # 1. Read the form in its own charset; one name has one value.
        told, charset = _form(callback.body)
        # 2. Nothing that could be read in two ways.
        for name, value in told.items():
            if "=" in name or "&" in name or HIDES_A_PARAMETER.search(value):
                raise NotProven(f"the parameter {name[:40]!r} could be read as several; the signature cannot tell")
        # 3. The signature, without sign_type and with it.
        signature = _from_base64(told.pop("sign", ""))
        sign_type = told.pop("sign_type", "RSA2")
        if sign_type != "RSA2":
            raise NotProven("the notification is not signed with RSA2")
        try:
            keys.verify(to_sign(told).encode(charset), signature, ALGORITHM)
        except NotProven:
            keys.verify(to_sign({**told, "sign_type": sign_type}).encode(charset), signature, ALGORITHM)
        # 4. The same wallet speaks to other applications too.
        if told.get("app_id") != self.app_id:
            raise NotProven("the notification is for another application")
        return urlencode({name: value for name, value in told.items() if value}).encode()

    def _public(self, request: Request, stamp: Stamp) -> dict[str, str]:
        """What every call carries, with what the adapter wrote into the query; empty values drop out."""
        asked = dict(parse_qsl(urlsplit(request.url).query, keep_blank_values=True))
        public = {
            "app_id": self.app_id,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": wall_clock(stamp.now),
            "version": "1.0",
            "app_cert_sn": self.app_cert_sn,
            "alipay_root_cert_sn": self.root_cert_sn,
        }
        return {name: value for name, value in {**public, **asked}.items() if value}

    def _signature(self, parameters: Mapping[str, str], keys: Keys) -> str:
        return base64.b64encode(keys.sign(to_sign(parameters).encode(), ALGORITHM)).decode()

    def _node(self, members: Mapping[str, str], request: Request) -> str:
        method = dict(parse_qsl(urlsplit(request.url).query)).get("method", "")
        names = (f"{method.replace('.', '_')}_response", "error_response")
        found = [members[name] for name in names if name in members]
        if len(found) != 1 or not found[0].startswith("{"):
            raise NotProven(f"the reply has {len(found)} nodes for {method}; one object is expected")
        return found[0]


def raw_members(text: str) -> dict[str, str]:
    """The members of a JSON object, each with its value's text exactly as it stands. Raises `NotProven`.

    Strings are read as strings: a brace inside of one ends nothing.
    """
    members: dict[str, str] = {}
    try:
        at = _past(text, 0, "{")
        while True:
            name, end = DECODER.raw_decode(text, at)
            if not isinstance(name, str) or name in members:
                raise ValueError("a name that is no string, or that occurs twice")
            at = _past(text, end, ":")
            end = DECODER.raw_decode(text, at)[1]
            members[name] = text[at:end]
            at = _space(text, end)
            if text[at : at + 1] != ",":
                break
            at = _space(text, at + 1)
        if _past(text, at, "}") != len(text):
            raise ValueError("something stands behind the object")
    except (ValueError, RecursionError):
        raise NotProven(f"the reply of {len(text)} characters is not one JSON object") from None
    return members


def _space(text: str, at: int) -> int:
    found = SPACE.match(text, at)
    return found.end() if found else at


def _past(text: str, at: int, character: str) -> int:
    """The place behind `character` and the spaces around it."""
    at = _space(text, at)
    if text[at : at + 1] != character:
        raise ValueError(f"{character} is expected")
    return _space(text, at + 1)


def _text(members: Mapping[str, str], name: str) -> str:
    value = json.loads(members[name]) if name in members else None
    if not isinstance(value, str) or not value:
        raise NotProven(f"the reply has no {name}, so nothing is signed")
    return value


def _form(body: bytes) -> tuple[dict[str, str], str]:
    """The parameters of a form and its charset. Raises `NotProven`."""
    named = CHARSET.search(body)
    charset = CHARSETS.get(named.group(1).decode().lower() if named else "utf-8")
    if charset is None:
        raise NotProven("the notification's charset is neither UTF-8 nor GBK")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, encoding=charset, errors="strict")
    except ValueError:
        raise NotProven(f"the form of {len(body)} bytes is not {charset}") from None
    told = dict(pairs)
    if len(told) != len(pairs):
        raise NotProven("a parameter occurs twice")
    return told, charset


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise NotProven(f"the signature of {len(text)} characters is not base64") from None


def _with_query(url: str, parameters: Mapping[str, str]) -> str:
    return urlunsplit(urlsplit(url)._replace(query=urlencode(parameters)))
