"""The reference as plain pages: /docs from the OpenAPI document, /problems from the table of kinds.

Rules
- Written once, at the start, on the server: no script, nothing from elsewhere, so it works behind a bank's proxy.
- Everything is escaped where it is put into the page; the one style sheet is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from aiohttp import web

from gateway.api.context import Context
from gateway.api.handler import Page
from gateway.api.problem_kinds import PROBLEM_KINDS, ProblemKind
from gateway.api.problems import refused

__all__ = ["pages"]

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h2{margin-top:3rem;border-bottom:1px solid #d0d7de}h3{margin-top:2.5rem}
code,pre{font-family:ui-monospace,monospace;font-size:.9em;background:#f3f5f7;border-radius:4px}code{padding:.1em .3em}
pre{padding:1rem;overflow:auto}table{border-collapse:collapse;width:100%}
td,th{border:1px solid #d0d7de;padding:.3rem .6rem;text-align:left;vertical-align:top}
.method{font-weight:700;margin-right:.5em}a{color:#0550ae}
@media(prefers-color-scheme:dark){body{color:#dfe3e8;background:#15181c}code,pre{background:#22272d}a{color:#79b8ff}
td,th,h2{border-color:#3a414a}}
"""

POLICY: Final = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def pages(document: Mapping[str, Any]) -> tuple[Page, ...]:
    """The pages, already written."""
    reference = _html("lendgate: reference", "".join(_reference(document)))
    kinds = {kind.name: _html(kind.title, _kind(kind)) for kind in PROBLEM_KINDS.values()}
    overview = _html("Problems", _overview())

    async def read(request: web.Request, context: Context) -> web.StreamResponse:
        return _response(reference)

    async def list_kinds(request: web.Request, context: Context) -> web.StreamResponse:
        return _response(overview)

    async def read_kind(request: web.Request, context: Context) -> web.StreamResponse:
        found = kinds.get(request.match_info["kind"])
        if found is None:
            raise refused("not_found", "there is no such kind of problem; /problems lists them")
        return _response(found)

    return (
        Page("GET", "/docs", "This API for people", read, "text/html"),
        Page("GET", "/problems", "Every kind of problem", list_kinds, "text/html"),
        Page(
            "GET",
            "/problems/{kind}",
            "One kind of problem",
            read_kind,
            "text/html",
            {200: "What it means and what to do", 404: "No such kind"},
        ),
    )


def _response(html: bytes) -> web.Response:
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "max-age=300"}
    return web.Response(body=html, headers=headers, content_type="text/html", charset="utf-8")


def _html(title: str, body: str) -> bytes:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    head += '<meta name="viewport" content="width=device-width">'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'.encode()


def _overview() -> str:
    rows = "".join(
        f'<tr><td><a href="/problems/{kind.name}"><code>{kind.name}</code></a></td><td>{kind.status}</td>'
        f"<td>{escape(kind.title)}</td><td>{_text(kind.remedy)}</td></tr>"
        for kind in PROBLEM_KINDS.values()
    )
    about = (
        "<p>Every refusal and every failure is a problem (RFC 9457). <code>outcome</code> says whether money may have "
        "moved, <code>retry</code> what is safe to do next.</p>"
    )
    head = "<tr><th>Kind</th><th>Status</th><th>Title</th><th>What to do</th></tr>"
    return f"<h1>Problems</h1>{about}<table>{head}{rows}</table>"


def _kind(kind: ProblemKind) -> str:
    return (
        f"<h1>{escape(kind.title)}</h1><p><code>{kind.name}</code>, usually with status {kind.status}.</p>"
        f"<h2>What it means</h2><p>{_text(kind.meaning)}</p><h2>What to do</h2><p>{_text(kind.remedy)}</p>"
        '<p><a href="/problems">All kinds</a></p>'
    )


def _text(text: str) -> str:
    """Escaped, with `code` between backticks."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))


def _reference(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<h1>lendgate</h1>"
    for block in document["info"]["description"].split("\n\n"):
        lines = block.removeprefix("* ").split("\n* ")
        yield "".join(f"<p>{_text(line)}</p>" for line in lines)
    yield '<p><a href="/openapi.json">OpenAPI 3.1 document</a> · <a href="/problems">Problems</a></p>'
    for tag in [*(tag["name"] for tag in document["tags"]), "Without a key"]:
        yield f"<h2>{escape(tag)}</h2>"
        for path, methods in document["paths"].items():
            for method, said in methods.items():
                if said["tags"] == [tag]:
                    yield from _call(method, path, said)
    yield "<h2>Shapes</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _shape(name, schema)


def _call(method: str, path: str, said: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{said["operationId"]}"><span class="method">{method.upper()}</span><code>{escape(path)}</code></h3>'
    yield f"<p>{_text(said['summary'])}. {_text(said.get('description', ''))}</p>"
    if said.get("parameters"):
        yield "<table><tr><th>Parameter</th><th>In</th><th>Needed</th><th>What</th></tr>"
        for one in said["parameters"]:
            needed = "yes" if one.get("required") else ""
            what = f"{_type(one['schema'])} {_text(one.get('description', ''))}"
            yield f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}</td><td>{needed}</td><td>{what}</td>"
            yield "</tr>"
        yield "</table>"
    if "requestBody" in said:
        content = said["requestBody"]["content"]["application/json"]
        yield f"<p>Body: {_type(content['schema'])}</p>"
        if "example" in content:
            yield f"<pre>{escape(json.dumps(content['example'], indent=2, ensure_ascii=False))}</pre>"
    yield "<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>"
    for status, answer in said["responses"].items():
        bodies = ", ".join(_type(one["schema"]) for one in answer.get("content", {}).values() if "schema" in one)
        yield f"<tr><td>{status}</td><td>{_text(answer['description'])}</td><td>{bodies}</td></tr>"
    yield "</table>"


def _shape(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{_text(schema.get("description", ""))}</p>'
    if "enum" in schema:
        yield "<p>" + ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"]) + "</p>"
    properties = schema.get("properties")
    if not properties:
        return
    required = schema.get("required", [])
    yield "<table><tr><th>Member</th><th>Needed</th><th>What</th></tr>"
    for member, field in properties.items():
        needed = "yes" if member in required else ""
        what = f"{_type(field)} {_text(field.get('description', ''))}"
        yield f"<tr><td><code>{escape(member)}</code></td><td>{needed}</td><td>{what}</td></tr>"
    yield "</table>"


def _type(schema: Mapping[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{escape(name)}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema and len(schema["enum"]) <= 12:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if schema.get("type") == "array":
        items = schema.get("items") or {}
        return f"list of {_type(items)}"
    return escape(str(schema.get("format") or schema.get("type") or "anything"))
