"""The application: every route behind one gate.

The gate, for every request
  1. gives it an id, which its answer and our log carry
  2. refuses what this server does not speak: protocol upgrades, encoded bodies
  3. runs the route
  4. writes whatever was raised as a problem; a refusal of a known client is recorded first
  5. counts it
One middleware does all of it: each one costs every call a wrapper of its own.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Middleware

from gateway.api import docs, openapi
from gateway.api.context import Context
from gateway.api.handler import LARGEST_BODY, SEEN, Page, Seen, Unsuccessful, endpoint
from gateway.api.metrics import Metrics
from gateway.api.problems import MEDIA_TYPE, Problem, failure, of_refusal, refused
from gateway.api.receipts import RECEIPT, receipt
from gateway.api.routes import PAGES, ROUTES
from gateway.crypto.seal import Sealer
from gateway.model.problems import Refused, StorageError
from gateway.service.gateway import Gateway
from gateway.store.interface import Recorded

__all__ = ["CONTEXT", "create_app"]

log = logging.getLogger(__name__)

CONTEXT: Final = web.AppKey("context", Context)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FRESH_KEY_BYTES: Final = 32


def create_app(gateway: Gateway, *, sealer: Sealer | None = None) -> web.Application:
    """The API of `gateway`. Without a `sealer` cursors are sealed by a key of this process and die with it."""
    context = Context(gateway, sealer or Sealer(os.urandom(FRESH_KEY_BYTES)), Metrics(gateway))
    gateway.door.listeners.extend((context.news.tell, context.metrics.changed))
    app = web.Application(middlewares=[_gate(context)], client_max_size=LARGEST_BODY)
    app[CONTEXT] = context
    document = openapi.document(ROUTES, PAGES, gateway.public_url)
    pages = (*PAGES, *openapi.pages(document), *docs.pages(document))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, endpoint(route, context), expect_handler=_expect)
    for page in pages:
        for method in ("GET", "HEAD") if page.method == "GET" else (page.method,):
            app.router.add_route(method, page.path, _shown(page, context), expect_handler=_expect)
    return app


def _shown(page: Page, context: Context) -> Handler:
    async def show(request: web.Request) -> web.StreamResponse:
        request[SEEN] = Seen(page.name)
        return await page.handler(request, context)

    return show


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """`Expect: 100-continue` is kept; anything else goes through the gate and is refused there (RFC 9110 10.1.1)."""
    if request.version == HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # an interim answer is no answer
    return None


def _gate(context: Context) -> Middleware:
    new_id = context.gateway.ids.new

    @web.middleware
    async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
        # 1. An id
        request_id, started = new_id("req"), time.perf_counter()
        try:
            # 2. and 3.
            _refuse_other_protocols(request)
            response = await handler(request)
        except Exception as raised:  # noqa: BLE001 - whatever it is, the caller gets a problem
            # 4. A problem
            response = await _problem(context, request, raised, request_id)
        # 5. Count
        seen = request.get(SEEN)
        context.metrics.call(seen.route if seen else "unmatched", response.status, time.perf_counter() - started)
        _finish(response, request_id)
        return response

    return gate


def _refuse_other_protocols(request: web.Request) -> None:
    """What would let bytes be read in two ways is refused; a body is only ever itself."""
    headers = request.headers
    if "Upgrade" in headers:
        raise refused("malformed_request", "this server speaks HTTP/1.1 and nothing else: no upgrade")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise refused("unsupported_media_type", "bodies are taken as they are: send no Content-Encoding")
    if headers.get("Expect", "100-continue").lower() != "100-continue":
        raise refused("malformed_request", "only `Expect: 100-continue` is known here")


def _finish(response: web.StreamResponse, request_id: str) -> None:
    headers = response.headers
    headers["X-Request-Id"] = request_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Server"] = "lendgate"
    if "Cache-Control" not in headers:
        headers["Cache-Control"] = "no-store"


async def _problem(context: Context, request: web.Request, raised: Exception, request_id: str) -> web.StreamResponse:
    seen = request.get(SEEN) or Seen("unmatched")
    match raised:
        case Refused():
            problem = of_refusal(raised)
            made = await _record(context, seen, problem)
            problem = replace(problem, more_headers={**problem.more_headers, **made})
        case Unsuccessful():
            problem = raised.problem
        case web.HTTPException() if raised.status < 400:
            return raised
        case web.HTTPException():
            problem = _of_aiohttp(raised)
        case StorageError():
            log.critical("the store failed in %s (%s): %s", seen.route, request_id, raised)
            context.fail(raised)
            problem = failure("storage_failed", acts=seen.acts)
        case _:
            log.error("%s failed (%s)", seen.route, request_id, exc_info=raised)
            problem = failure("internal_error", acts=seen.acts)
    response = web.Response(
        body=problem.body(request_id), status=problem.status, headers=problem.headers, content_type=MEDIA_TYPE
    )
    if isinstance(raised, web.HTTPMethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(raised.allowed_methods))
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="lendgate"'
    if problem.kind in ("malformed_request", "body_too_slow", "body_too_large"):
        response.force_close()
    return response


def _of_aiohttp(raised: web.HTTPException) -> Problem:
    match raised.status:
        case 404:
            return of_refusal(refused("not_found", "there is no such address"))
        case 405:
            return of_refusal(refused("method_not_allowed", "this address does not take that method"))
        case 413:
            return of_refusal(refused("body_too_large", "the body is too large"))
    return of_refusal(Refused(raised.reason, kind="malformed_request", status=raised.status))


async def _record(context: Context, seen: Seen, problem: Problem) -> dict[str, str]:
    """A refusal of a known client goes into the log, unless it only looked for something; a stranger's is counted.

    Gives the header that says so.
    """
    client = seen.client
    if client is None:
        context.metrics.stranger(problem.kind)
        return {}
    looked = seen.route.startswith("GET ") and problem.status != 403
    if looked or problem.status == 429:  # being one too many says nothing about the call, and must cost nothing
        return {}
    draft = context.gateway.journal.refusal(
        client=client.name,
        route=seen.route,
        problem=problem.kind,
        status=problem.status,
        reference=seen.reference,
        actor=client.actor,
    )
    try:
        await context.gateway.store.commit([Recorded(draft)])
        made = await receipt(context.gateway.store, draft.chain)
    except StorageError as failed:
        log.critical("the store failed while a refusal was recorded: %s", failed)
        context.fail(failed)
        return {}
    return {RECEIPT: made} if made else {}
