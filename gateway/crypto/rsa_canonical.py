"""A stock scheme for partners that sign sorted `k=v&k=v` parameters with RSA and add the signature as one more.

Rules
- Only parameters that the signature covers are given back: what was excluded or empty is dropped, what occurs twice is
  refused.
- Joining with `&` and `=` can be read in two ways. A value that could also be read as several parameters is refused
  when it comes in; the other way round nothing can be seen, so facts from such callbacks must still match an operation
  (as all do).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gateway.crypto.canonical import LARGEST_INTEGER, canonical_json, canonical_pairs
from gateway.crypto.jws import read_object
from gateway.crypto.schemes import WINDOW, from_base64, require_fresh, whole_seconds
from gateway.model.message import Callback, Handoff, Keys, Reply, Request, Returned, Scheme, Stamp
from gateway.model.problems import AdapterError, NotProven

__all__ = ["RSACanonical"]

PARAMETERS_AT_MOST: Final = 200
HIDES_A_PARAMETER: Final = re.compile(r"&[^&]*=")

Values = Mapping[str, str | int]


@dataclass(frozen=True)
class RSACanonical(Scheme):
    """RSA over the sorted, non-empty parameters of a form or query; replies and callbacks are forms or flat JSON.

    `field` carries the signature in base64, `exclude` names more parameters that are not signed. `timestamp` (Unix
    seconds) and `nonce` name parameters that are added where the partner wants them.
    """

    name = "rsa-canonical"
    field: str = "sign"
    algorithm: str = "RS256"
    exclude: frozenset[str] = frozenset()
    timestamp: str | None = None
    nonce: str | None = None
    window: timedelta = WINDOW

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        query = urlsplit(request.url).query
        params = _pairs(request.body.decode() if request.body else query, AdapterError)
        if self.timestamp:
            params[self.timestamp] = str(int(stamp.now.timestamp()))
        if self.nonce:
            params[self.nonce] = stamp.nonce
        signature = keys.sign(self._signed(params), self.algorithm)
        encoded = urlencode({**params, self.field: base64.b64encode(signature).decode()})
        if request.body:
            return request.with_body(encoded.encode())
        return request.with_url(urlunsplit(urlsplit(request.url)._replace(query=encoded)))

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        return self._verify_body(reply.body, keys)

    def verify_callback(self, callback: Callback, keys: Keys) -> bytes:
        raw = callback.body or urlsplit(callback.target).query.encode()
        body = self._verify_body(raw, keys)
        self._require_fresh(_read(body), callback.received_at)
        return body

    def verify_return(self, returned: Returned, handoff: Handoff, keys: Keys) -> Returned:
        proven = self._proven(returned.parameters, keys)
        return replace(returned, parameters={name: str(value) for name, value in proven.items()})

    def _verify_body(self, raw: bytes, keys: Keys) -> bytes:
        proven = self._proven(_read(raw), keys)
        return canonical_json(proven) if raw[:1] == b"{" else urlencode(proven).encode()

    def _proven(self, params: Values, keys: Keys) -> Values:
        signature = params.get(self.field)
        if not isinstance(signature, str) or not signature:
            raise NotProven(f"the parameter {self.field!r} is missing, so nothing is signed")
        texts = {name: str(value) for name, value in params.items()}
        for name, value in texts.items():
            if "=" in name or "&" in name or (name != self.field and HIDES_A_PARAMETER.search(value)):
                raise NotProven(f"the parameter {name[:40]!r} could be read as several; the signature cannot tell")
        try:
            signed = self._signed(texts)
        except UnicodeEncodeError:
            raise NotProven("a parameter is no Unicode text, so it cannot have been signed") from None
        keys.verify(signed, from_base64(signature, self.field), self.algorithm)
        unsigned = {self.field, *self.exclude}
        return {name: value for name, value in params.items() if texts[name] and name not in unsigned}

    def _signed(self, params: Mapping[str, str]) -> bytes:
        return canonical_pairs(params, exclude={self.field, *self.exclude}).encode()

    def _require_fresh(self, proven: Values, received_at: datetime) -> None:
        if self.timestamp:
            require_fresh(whole_seconds(str(proven.get(self.timestamp, "")), self.timestamp), received_at, self.window)


def _read(raw: bytes) -> Values:
    """The parameters of a form or of flat JSON. Raises `NotProven`."""
    if raw[:1] != b"{":
        try:
            return _pairs(raw.decode(), NotProven)
        except UnicodeDecodeError:
            raise NotProven(f"the form of {len(raw)} bytes is not UTF-8") from None
    params = read_object(raw, "body")
    for name, value in params.items():
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_INTEGER
        if not whole and not isinstance(value, str):
            raise NotProven(f"the member {name[:40]!r} is neither text nor a whole number; nothing else can be signed")
    return params


def _pairs(text: str, problem: type[AdapterError | NotProven]) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=PARAMETERS_AT_MOST
        )
    except ValueError:
        raise problem(f"{len(text)} characters are no form of at most {PARAMETERS_AT_MOST} parameters") from None
    params = dict(pairs)
    if len(params) != len(pairs):
        raise problem("a parameter occurs twice, so it is not clear which one is signed")
    return params
