"""The transparency log as static paths (C2SP tlog-tiles), for whoever verifies it with tools of their own.

Rules
- Only what the format publishes is served: checkpoint, tiles, entry bundles and the minimum index; never the state that
  the log's writer keeps beside them. The log's key is not: an auditor takes it from elsewhere.
- Checkpoint and hash tiles need no key: a proof that must be asked for proves less. Entry bundles tell how business
  goes, so they need the key of an auditor or operator.
- A tile never changes, so it may be kept for ever; the checkpoint must be asked for anew.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.api.auth import READERS, authenticate, check_role
from gateway.api.context import Context
from gateway.api.handler import Page
from gateway.api.problems import refused

__all__ = ["PAGES"]

TILE: Final = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])(/x[0-9]{3}){0,6}/[0-9]{3}(\.p/[0-9]{1,3})?")
FOR_EVER: Final = "public, max-age=31536000, immutable"
ANEW: Final = "no-cache"


async def checkpoint(request: web.Request, context: Context) -> web.StreamResponse:
    """The newest signed tree head (C2SP tlog-checkpoint)."""
    return await _file(context, "checkpoint", "text/plain; charset=utf-8", ANEW)


async def minimum_index(request: web.Request, context: Context) -> web.StreamResponse:
    """The first entry whose bundle is still kept; missing as long as none was pruned."""
    return await _file(context, "minimum_index", "text/plain; charset=utf-8", ANEW)


async def tile(request: web.Request, context: Context) -> web.StreamResponse:
    """A hash tile or an entry bundle."""
    path = f"tile/{request.match_info['path']}"
    if TILE.fullmatch(path) is None:
        raise refused("not_found", "this is no address of a tile")
    if path.startswith("tile/entries/"):
        check_role(authenticate(context.gateway, request), READERS)
    return await _file(context, path, "application/octet-stream", FOR_EVER)


async def _file(context: Context, name: str, media_type: str, caching: str) -> web.Response:
    directory = context.gateway.audit_log
    content = None if directory is None else await asyncio.to_thread(_read, directory / name)
    if content is None:
        raise refused("not_found", "the log has no such file, or this process does not publish it")
    return web.Response(body=content, headers={"Content-Type": media_type, "Cache-Control": caching})


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


MISSING: Final = {404: "Not there, or this process does not publish the log"}
PAGES: Final = (
    Page(
        "GET",
        "/v1/audit/checkpoint",
        "The log's newest checkpoint",
        checkpoint,
        "text/plain",
        {200: "A signed note", **MISSING},
    ),
    Page(
        "GET",
        "/v1/audit/minimum_index",
        "The first entry that is kept",
        minimum_index,
        "text/plain",
        {200: "A number", **MISSING},
    ),
    Page(
        "GET",
        "/v1/audit/tile/{path:.+}",
        "A tile or an entry bundle",
        tile,
        "application/octet-stream",
        {200: "Its bytes", 401: "An entry bundle needs a key", 403: "of an auditor or operator", **MISSING},
    ),
)
