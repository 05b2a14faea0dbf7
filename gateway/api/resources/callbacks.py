"""Callbacks: what partners say on their own. The path is the only thing that a stranger could not guess.

Nobody is authenticated here: the scheme of the connection proves the exact bytes, further down.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.api.body import raw_body
from gateway.api.context import Context
from gateway.api.handler import Page
from gateway.model.message import Callback

__all__ = ["LARGEST_CALLBACK", "PAGES"]

LARGEST_CALLBACK: Final = 64 * 1024


async def receive(request: web.Request, context: Context) -> web.StreamResponse:
    """Take one message in, and say what its partner wants to hear. Raises `Refused`, `StorageError`."""
    body = await raw_body(request, LARGEST_CALLBACK)
    callback = Callback(
        method=request.method,
        target=request.raw_path,
        headers=tuple(request.headers.items()),
        body=body,
        received_at=context.gateway.clock.now(),
    )
    partner, token = request.match_info["partner"], request.match_info["token"]
    acknowledgement = await context.gateway.callbacks.receive(partner, token, callback)
    return web.Response(
        status=acknowledgement.status,
        body=acknowledgement.body,
        headers={"Content-Type": acknowledgement.content_type},
    )


METHODS: Final = ("GET", "POST", "PUT")
"""Partners choose by which method they call back; none needs another."""

PAGES: Final = tuple(
    Page(
        method,
        "/v1/callbacks/{partner}/{token}",
        "A partner's message",
        receive,
        "text/plain",
        {200: "Acknowledged in the partner's own words", 400: "Not proven, or not understood", 404: "No such address"},
    )
    for method in METHODS
)
