"""The OpenAPI 3.1 document, made from the routes and the models that the code itself uses."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from aiohttp import web
from pydantic.json_schema import models_json_schema

from gateway.api import shapes
from gateway.api.context import Context
from gateway.api.examples import EXAMPLES
from gateway.api.handler import NoBody, Page, Route
from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.api.problems import MEDIA_TYPE
from gateway.api.query import NoQuery
from gateway.api.shapes import ProblemView

__all__ = ["KEY_PATTERN", "document", "pages", "problem_kinds_of"]

REFERENCE: Final = "#/components/schemas/{model}"

ALWAYS: Final = ("unauthenticated", "wrong_mode", "forbidden", "malformed_request", "too_many_calls")
WITH_QUERY: Final = ("invalid_query",)
WITH_PATH: Final = ("not_found",)
WITH_BODY: Final = ("malformed_json", "unsupported_media_type", "body_too_large", "body_too_slow", "invalid_fields")
WHEN_IT_ACTS: Final = ("idempotency_key_required",)
FAILURES: Final = ("storage_failed", "internal_error")

ABOUT: Final = """One API in front of every institution that a lender depends on.

* Calls that act need an `Idempotency-Key`. Repeat a call that got no answer with the same key: it acts once at most.
* `reference` is your own key for the obligation, unique for ever per client and kind.
* 201 and 200 carry an operation, 202 one whose outcome is not known yet. Everything else is a problem (RFC 9457) that
  says by `outcome` whether money may have moved, and by `retry` what is safe to do next.
* Money is `{"amount": "128.00", "currency": "CNY"}`, times are RFC 3339 with an offset."""

KEY_PATTERN: Final = r'^([!#-~][!-~]*|"[!#-\[\]-~]([ !#-\[\]-~]|\\["\\])*")$'
"""A bare token, or a string of structured fields (RFC 9651 section 3.3.3); `query.idempotency_key` reads both."""

Modes = Literal["validation", "serialization"]
Wanted = tuple[Any, Modes]  # a model, and whether it is read or written


def document(routes: Iterable[Route], pages: Iterable[Page], server: str) -> dict[str, Any]:
    """The whole document as JSON values."""
    routes = tuple(routes)
    wanted = _models(routes)
    refs, definitions = models_json_schema(sorted(wanted, key=_by_name), ref_template=REFERENCE)
    schemas: dict[str, Any] = definitions.get("$defs", {})
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route, refs, schemas)
    for page in pages:
        paths[page.template][page.method.lower()] = _public(page)
    for query in {route.query for route in routes}:
        schemas.pop(query.__name__, None)
    for shape in vars(shapes).values():
        if getattr(shape, "__module__", None) == shapes.__name__:
            schemas.get(shape.__name__, {}).pop("additionalProperties", None)  # an answer may gain members
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {"title": "lendgate", "version": "1", "description": ABOUT, "license": _LICENSE},
        "servers": [{"url": server}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes)],
        "paths": dict(paths),
        "components": {"schemas": schemas, "securitySchemes": _SECURITY, "headers": _HEADERS},
    }


_LICENSE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_SECURITY: Final = {
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "lg_<mode>_<secret>",
        "description": "An API key with a role: platform, operator or auditor.",
    }
}
_HEADERS: Final = {
    "X-Request-Id": {"description": "Names this answer in our log", "schema": {"type": "string"}},
    "Location": {"description": "Where the operation can be read", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "The call came before: this is its operation as it stands now",
        "schema": {"type": "string", "const": "true"},
    },
    "Audit-Receipt": {
        "description": "The record that was made: id, place in its chain, hash of its leaf, and where its proof is",
        "schema": {"type": "string"},
    },
    "Preference-Applied": {"description": "How long the call would wait", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds until calling again makes sense", "schema": {"type": "integer"}},
}


def _models(routes: Iterable[Route]) -> set[Wanted]:
    found: set[Wanted] = {(ProblemView, "serialization")}
    for route in routes:
        found.update((model, "serialization") for model in route.answers.values())
        found.add((route.query, "validation"))
        if route.body is not None and route.body is not NoBody:
            found.add((route.body, "validation"))
    return found


def _by_name(wanted: Wanted) -> str:
    return f"{wanted[0].__name__} {wanted[1]}"


Refs = Mapping[Any, dict[str, Any]]  # by what was wanted


def _operation(route: Route, refs: Refs, schemas: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": _identifier(route.method, route.path),
        "tags": [route.tag],
        "summary": route.summary,
        "description": " ".join(filter(None, (route.description, f"Roles: {', '.join(sorted(route.roles))}."))),
        "parameters": [
            *_path_parameters(route.path),
            *_query_parameters(route, refs, schemas),
            *_header_parameters(route),
        ],
        "responses": {**_answers(route, refs), **_problems(route)},
    }
    if route.body is not None and route.body is not NoBody:
        content: dict[str, Any] = {"schema": refs[route.body, "validation"]}
        if route.name in EXAMPLES:
            content["example"] = EXAMPLES[route.name]
        said["requestBody"] = {"required": True, "content": {"application/json": content}}
    return said


def _identifier(method: str, path: str) -> str:
    steps = re.findall(r"[a-z_]+", path.removeprefix("/v1").replace("-", "_"))
    return "_".join([method.lower(), *steps])


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", path)
    ]


def _query_parameters(route: Route, refs: Refs, schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    schema = schemas[refs[route.query, "validation"]["$ref"].rpartition("/")[2]]
    required = schema.get("required", [])
    parameters = []
    for name, field in schema.get("properties", {}).items():
        plain = _without_null(field)
        about = {"description": plain.pop("description")} if "description" in plain else {}
        parameters.append({"name": name, "in": "query", "required": name in required, **about, "schema": plain})
    return parameters


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter is there or not; it is never null."""
    plain = {key: value for key, value in field.items() if key not in ("title", "default") or value}
    choices = [choice for choice in plain.pop("anyOf", []) if choice.get("type") != "null"]
    if len(choices) == 1:
        return {**choices[0], **plain}
    return {**plain, "anyOf": choices} if choices else plain


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    if route.idempotent:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": True,
                "description": "Names this call; repeat it with the same key until there is an answer.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": KEY_PATTERN},
            }
        )
    if route.waits:
        about = "`wait=N`: answer after at most N seconds (RFC 7240)"
        parameters.append({"name": "Prefer", "in": "header", "description": about, "schema": {"type": "string"}})
    return parameters


MEANINGS: Final = {
    200: "As it stands now",
    201: "It stands: succeeded, processing, or waiting for a person",
    202: "Its outcome is not known yet; the partner is being asked",
}


MADE: Final = {201: "It was made"}
"""Where the call is about no operation."""


def _answers(route: Route, refs: Refs) -> dict[str, Any]:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if route.idempotent:
        for name in ("Location", "Idempotent-Replayed", "Preference-Applied", "Audit-Receipt"):
            headers[name] = {"$ref": f"#/components/headers/{name}"}
    return {
        str(status): {
            "description": MEANINGS[status] if route.idempotent else MADE.get(status, MEANINGS[status]),
            "headers": headers,
            "content": {"application/json": {"schema": refs[model, "serialization"]}},
        }
        for status, model in route.answers.items()
    }


def problem_kinds_of(route: Route) -> list[str]:
    """Every kind of problem that a call of this route can come to."""
    kinds = [*ALWAYS]
    if route.query is not NoQuery or route.method == "GET":
        kinds += WITH_QUERY
    if "{" in route.path:
        kinds += WITH_PATH
    if route.body is not None:
        kinds += WITH_BODY
    if route.idempotent:
        kinds += WHEN_IT_ACTS
    return list(dict.fromkeys([*kinds, *route.problems, *FAILURES]))


def _problems(route: Route) -> dict[str, Any]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for kind in problem_kinds_of(route):
        by_status[PROBLEM_KINDS[kind].status].append(kind)
    reference = {"schema": {"$ref": REFERENCE.format(model=ProblemView.__name__)}}
    return {
        str(status): {
            "description": "; ".join(f"`{kind}`: {PROBLEM_KINDS[kind].title}" for kind in kinds),
            "headers": {
                name: {"$ref": f"#/components/headers/{name}"}
                for name in ("X-Request-Id", *(("Retry-After",) if status in (409, 429, 502, 503) else ()))
            },
            "content": {MEDIA_TYPE: reference},
        }
        for status, kinds in sorted(by_status.items())
    }


def _public(page: Page) -> dict[str, Any]:
    answers = {
        str(status): {"description": text, **({"content": {page.media_type: {}}} if status == 200 else {})}
        for status, text in page.statuses.items()
    }
    return {
        "operationId": _identifier(page.method, page.template),
        "tags": ["Without a key"],
        "summary": page.summary,
        "security": [],
        "parameters": _path_parameters(page.template),
        "responses": answers,
    }


def pages(made: Mapping[str, Any]) -> tuple[Page, ...]:
    """Where the document is read; it is written out once."""
    text = json.dumps(made, ensure_ascii=False, indent=1).encode()

    async def read(request: web.Request, context: Context) -> web.StreamResponse:
        headers = {"Cache-Control": "max-age=300"}
        return web.Response(body=text, headers=headers, content_type="application/json")

    return (Page("GET", "/openapi.json", "This document", read, "application/json"),)
