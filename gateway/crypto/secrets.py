"""Filling secrets into a message: what an adapter wrote as `Secret(name)` becomes the value, encoded for its place.

Rules
- Only the core calls this, after the adapter is done and before the scheme signs; the record keeps the names.
- A value is escaped for where it stands (JSON, form, XML, URL, header), so that none can break out of it.
- `Authorization: Basic <client id>:<secret>` is written by a grant as plain text and encoded here, because a name
  could not be found again inside base64.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote, quote_plus

from gateway.model.message import Request
from gateway.model.problems import ConfigurationError

__all__ = ["fill_secrets", "names_of_secrets"]

PLACE: Final = re.compile(r"__secret\.([A-Za-z0-9.~-]+(?:_[A-Za-z0-9.~-]+)*)__")

Reveal = Callable[[str], str]


def names_of_secrets(request: Request) -> frozenset[str]:
    """The names that `fill_secrets` would ask for."""
    texts = (request.url, *(value for _, value in request.headers), request.body.decode("utf-8", "ignore"))
    return frozenset(name for text in texts for name in PLACE.findall(text))


def fill_secrets(request: Request, reveal: Reveal) -> Request:
    """`request` with every secret in place. Raises whatever `reveal` raises, and `ConfigurationError` for a value that
    no header can hold."""
    if "__secret." in request.url:
        request = request.with_url(_fill(request.url, reveal, lambda value: quote(value, safe="")))
    for name, text in request.headers:
        if "__secret." in text:
            request = request.with_header(name, _header(text, reveal))
    if b"__secret." in request.body:
        escape = _escape_of(request.header("Content-Type") or "")
        request = request.with_body(_fill(request.body.decode(), reveal, escape).encode())
    return request


def _fill(text: str, reveal: Reveal, escape: Callable[[str], str]) -> str:
    return PLACE.sub(lambda found: escape(reveal(found[1])), text)


def _escape_of(content_type: str) -> Callable[[str], str]:
    if "json" in content_type:
        return lambda value: json.dumps(value, ensure_ascii=False)[1:-1]
    if "x-www-form-urlencoded" in content_type:
        return quote_plus
    return html.escape if "xml" in content_type else str


def _header(text: str, reveal: Reveal) -> str:
    kind, _, credentials = text.partition(" ")
    if kind == "Basic":
        # RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
        return f"Basic {base64.b64encode(_fill(credentials, reveal, quote_plus).encode()).decode()}"
    filled = _fill(text, reveal, str)
    if not filled.isprintable():
        raise ConfigurationError("a secret holds characters that no header can hold; check how it was saved")
    return filled
