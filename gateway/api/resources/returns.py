"""Returns: the page at which a person's browser arrives after a partner's page.

Rules
- The page is fixed: nothing of the request stands in it, so there is nothing to inject. Its one script is allowed by
  its hash, and sends query and fragment back to the same path; a server never sees a fragment otherwise.
- What came back proves nothing here; `operations.returns` finds the operation and has it proven.
- The shop's own address, which the shop gave when it called, is the only place to which a browser is sent on.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from aiohttp import web

from gateway.api.body import raw_body
from gateway.api.context import Context
from gateway.api.handler import Page
from gateway.api.problems import refused
from gateway.model.message import Returned
from gateway.model.problems import Invalid, NotFound

__all__ = ["PAGES"]

LARGEST_RETURN: Final = 32 * 1024

MOST_PARAMETERS: Final = 64

URL_CHARACTERS: Final = "%:/?#[]@!$&'()*+,;=-._~"
"""What stands in a URL as it is (RFC 3986 section 2); anything else is percent-encoded."""

SCRIPT: Final = (
    'var f=document.forms[0];f.elements["query"].value=location.search;'
    'f.elements["fragment"].value=location.hash;f.submit();'
)
STYLE: Final = "body{font-family:system-ui,sans-serif;max-width:32rem;margin:15vh auto;padding:0 1rem}"

HTML: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><p>{text}</p>{rest}</body></html>
"""

ARRIVED: Final = HTML.format(
    title="One moment",
    style=STYLE,
    text="One moment: you are being taken back.",
    rest=(
        '<form method="post"><input type="hidden" name="query"><input type="hidden" name="fragment"></form>'
        f"<script>{SCRIPT}</script><noscript><p>This step needs JavaScript.</p></noscript>"
    ),
)
DONE: Final = HTML.format(title="Done", style=STYLE, text="Thank you. You can close this window.", rest="")
NOTHING: Final = HTML.format(
    title="Nothing to do", style=STYLE, text="Nothing waits for this step. Please go back to the shop.", rest=""
)


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


# No form-action: browsers hold it against the redirect that follows the form, too, and the shop is another origin.
POLICY: Final = (
    f"default-src 'none'; script-src {_hash(SCRIPT)}; style-src {_hash(STYLE)}; base-uri 'none'; frame-ancestors 'none'"
)


async def arrive(request: web.Request, context: Context) -> web.StreamResponse:
    """The fixed page; it posts what came with the browser back here."""
    return _page(ARRIVED)


async def receive(request: web.Request, context: Context) -> web.StreamResponse:
    """Go on with the operation, and send the browser to the shop. Raises `Refused`, `StorageError`."""
    parameters = _parameters(await raw_body(request, LARGEST_RETURN))
    returned = Returned(parameters, context.gateway.clock.now())
    try:
        operation = await context.gateway.returns.receive(request.match_info["connection"], returned)
    except (NotFound, Invalid):
        return _page(NOTHING, 404)
    shop = operation.body.get("return_url")
    if not shop:
        return _page(DONE)
    headers = {"Location": _with_operation(shop, operation.id), "Referrer-Policy": "no-referrer"}
    return web.Response(status=303, headers=headers)


def _parameters(body: bytes) -> Mapping[str, str]:
    """Query and fragment, merged. Raises `Refused` for a parameter that came twice: which one would be proven?"""
    try:
        form = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=4))
        pairs = [
            pair
            for name, sign in (("query", "?"), ("fragment", "#"))
            for pair in parse_qsl(
                form.get(name, "").removeprefix(sign),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MOST_PARAMETERS,
            )
        ]
    except ValueError:
        raise refused("malformed_request", "this is no form that the page at this address sends") from None
    merged = dict(pairs)
    if len(merged) != len(pairs):
        raise refused("malformed_request", "a parameter came back twice")
    return merged


def _with_operation(url: str, id: str) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode({"operation": id}))))
    return quote(urlunsplit(parts._replace(query=query)), safe=URL_CHARACTERS)


def _page(html: str, status: int = 200) -> web.Response:
    headers: dict[str, Any] = {
        "Content-Security-Policy": POLICY,
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    return web.Response(text=html, status=status, headers=headers, content_type="text/html")


PAGES: Final = (
    Page("GET", "/v1/returns/{connection}", "Where a browser arrives", arrive, "text/html", {200: "A fixed page"}),
    Page(
        "POST",
        "/v1/returns/{connection}",
        "What the browser brought back",
        receive,
        "text/html",
        {200: "Done", 303: "To the shop's return_url, with `operation`", 404: "Nothing waits for it"},
    ),
)
