"""The typed layer between aiohttp and the resources: a table of routes, and what is done for each call of one.

In this order
  1. the key is known, and its role may do this                                     (401, 403)
  2. the client has room for one more call                                          (429)
  3. the query parameters, the Idempotency-Key and the body are what the route says (400, 413, 415, 422)
  4. the resource's handler runs and gives an `Answer`, or a `Problem`; what made records comes with its receipt
A refusal is raised anywhere as `Refused`; `gate` writes it out.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Generic, TypeVar

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_json

from gateway.api.auth import PLATFORM, authenticate, check_role
from gateway.api.body import fit, read_json
from gateway.api.context import Context
from gateway.api.problems import Problem
from gateway.api.query import NoQuery, idempotency_key, preferred_wait, query_of
from gateway.api.receipts import RECEIPT, chain_of, receipt
from gateway.api.shapes import OperationView
from gateway.model.schema import Model
from gateway.service.gateway import Client, Gateway

__all__ = [
    "LARGEST_BODY",
    "SEEN",
    "Answer",
    "Handler",
    "Inbound",
    "NoBody",
    "Page",
    "Route",
    "Seen",
    "endpoint",
    "write",
]

LARGEST_BODY: Final = 256 * 1024

REFERENCE: Final = re.compile(r"[A-Za-z0-9._:/\-]{1,64}")


class NoBody(Model):
    """A POST that needs no body; an empty object is fine."""


B = TypeVar("B")
Q = TypeVar("Q", bound=Model)


@dataclass(frozen=True, slots=True)
class Inbound(Generic[B, Q]):
    """One call, checked: who calls, what they want, and how long they wait (seconds; None: as long as it takes)."""

    context: Context
    client: Client
    method: str
    target: str  # the path, decoded
    path: Mapping[str, str]  # its variable parts
    query: Q
    body: B
    key: str
    wait: float | None

    @property
    def gateway(self) -> Gateway:
        return self.context.gateway


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler gives back; `body` becomes JSON."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Inbound[Any, Any]], Awaitable[Answer | Problem]]


@dataclass(frozen=True, slots=True)
class Route:
    """A call of the API. What stands here is enforced, and is what the OpenAPI document says.

    `answers` maps each status to the model of its body; `problems` names the kinds that are this call's own, beside
    those that every call can have. `idempotent`: it acts, so it needs an Idempotency-Key.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    tag: str
    answers: Mapping[int, type[BaseModel]]
    roles: frozenset[str] = PLATFORM
    body: type[BaseModel] | None = None
    query: type[Model] = NoQuery
    idempotent: bool = False
    waits: bool = False
    problems: tuple[str, ...] = ()
    description: str = ""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Page:
    """An address that needs no key. `media_type` is what it answers with."""

    method: str
    path: str
    summary: str
    handler: Callable[[web.Request, Context], Awaitable[web.StreamResponse]]
    media_type: str
    statuses: Mapping[int, str] = field(default_factory=lambda: {200: "As described"})

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it: without the pattern that a parameter must match."""
        return re.sub(r"\{(\w+):[^}]+\}", r"{\1}", self.path)


@dataclass(slots=True)
class Seen:
    """What is known about a call that may yet be refused."""

    route: str
    acts: bool = False
    client: Client | None = None
    reference: str | None = None


SEEN: Final = web.RequestKey("seen", Seen)


def endpoint(route: Route, context: Context) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route. Raises `Refused`."""

    async def run(request: web.Request) -> web.StreamResponse:
        seen = request[SEEN] = Seen(route.name, route.idempotent)
        # 1. Who?
        client = authenticate(context.gateway, request)
        seen.client = client
        check_role(client, route.roles)
        # 2. Room?
        context.enter(client)
        try:
            # 3. What?
            call = await _inbound(route, context, client, request, seen)
            # 4. Do it
            answer = await route.handler(call)
            made = await _receipt(route, context, answer)
        finally:
            context.leave(client)
        return write(answer, call, made)

    return run


async def _receipt(route: Route, context: Context, answer: Answer | Problem) -> dict[str, str]:
    """The header for an answer that made records of an operation."""
    if route.method != "POST" or not any(model is OperationView for model in route.answers.values()):
        return {}
    chain = chain_of(answer)
    made = await receipt(context.gateway.store, chain) if chain else None
    return {RECEIPT: made} if made else {}


async def _inbound(
    route: Route, context: Context, client: Client, request: web.Request, seen: Seen
) -> Inbound[Any, Any]:
    query = query_of(request, route.query)
    key = idempotency_key(request) if route.idempotent else ""
    return Inbound(
        context=context,
        client=client,
        method=route.method,
        target=request.path,
        path=request.match_info,
        query=query,
        body=await _body(route, request, seen),
        key=key,
        wait=preferred_wait(request) if route.waits else None,
    )


async def _body(route: Route, request: web.Request, seen: Seen) -> BaseModel | None:
    if route.body is None:
        return None
    if route.body is NoBody and not request.can_read_body:
        return NoBody()
    value = await read_json(request, LARGEST_BODY)
    reference = value.get("reference")
    if isinstance(reference, str) and REFERENCE.fullmatch(reference):
        seen.reference = reference
    return fit(route.body, value)


def write(answer: Answer | Problem, call: Inbound[Any, Any], more: Mapping[str, str]) -> web.Response:
    """The answer as JSON. A `Problem` is completed by `gate`, which knows the request's id."""
    if isinstance(answer, Problem):
        raise Unsuccessful(replace(answer, more_headers={**answer.more_headers, **more}))
    headers = {**answer.headers, **more}
    if call.wait is not None:
        headers["Preference-Applied"] = f"wait={call.wait:.0f}"
    headers["Content-Type"] = "application/json"
    return web.Response(body=to_json(answer.body), status=answer.status, headers=headers)


class Unsuccessful(Exception):
    """Carries the problem of an operation that failed to where problems are written. It is no refusal."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.kind)
        self.problem = problem
