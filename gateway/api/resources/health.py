"""Health: whether the process lives, whether it can take calls, and its counters."""

from __future__ import annotations

import json
from typing import Final

from aiohttp import web

from gateway.api import metrics
from gateway.api.auth import READERS, authenticate, check_role
from gateway.api.context import Context
from gateway.api.handler import Page
from gateway.model.problems import StorageError
from gateway.model.states import OPEN

__all__ = ["PAGES"]

MOST_COUNTED: Final = 200


async def alive(request: web.Request, context: Context) -> web.StreamResponse:
    """The process answers; it says nothing about anything else."""
    return _json(200, {"status": "ok", "mode": context.gateway.mode})


async def ready(request: web.Request, context: Context) -> web.StreamResponse:
    """Whether calls should be sent here: the store answers, and nobody is shutting down."""
    if context.news.closing:
        return _json(503, {"status": "closing"})
    try:
        await context.gateway.store.next_due()
    except StorageError as failure:
        context.fail(failure)
        return _json(503, {"status": "the store does not answer"})
    connections = context.gateway.connections
    counts = {"working": sum(1 for _ in connections), "broken": len(connections.broken)}
    held = sorted(context.gateway.quarantine.standing())
    shown = {"status": "ready", "mode": context.gateway.mode, "connections": counts}
    return _json(200, {**shown, "quarantine": held} if held else shown)


async def counters(request: web.Request, context: Context) -> web.StreamResponse:
    """Prometheus' text. In production it needs the key of an operator or auditor: it shows how business goes."""
    if context.gateway.mode == "production":
        check_role(authenticate(context.gateway, request), READERS)
    standing = {
        state.value: len(await context.gateway.store.operations(state=state.value, limit=MOST_COUNTED))
        for state in sorted(OPEN)
    }
    context.metrics.standing(standing)
    return web.Response(body=context.metrics.text(), headers={"Content-Type": metrics.MEDIA_TYPE})


def _json(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")


PAGES: Final = (
    Page("GET", "/healthz", "Whether the process lives", alive, "application/json"),
    Page(
        "GET",
        "/readyz",
        "Whether calls can be taken",
        ready,
        "application/json",
        {200: "Ready", 503: "Closing, or the store does not answer"},
    ),
    Page(
        "GET",
        "/metrics",
        "Counters for Prometheus",
        counters,
        "text/plain",
        {200: "In production with the key of an operator or auditor only"},
    ),
)
