"""The report in an evidence bundle: what happened, for people, in one HTML file.

Rules
- No script, no style from elsewhere, no picture, no link out: it opens the same in ten years, offline, in any browser.
- Every value is escaped. What partners and platforms wrote is shown as text and never becomes markup.
- It says nothing that does not stand in the records; the proof is theirs, not the report's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from gateway.audit.reading import Wanted

if TYPE_CHECKING:
    from gateway.audit.evidence import Disclosure

__all__ = ["report", "sentence"]

STYLE: Final = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ccc;padding:.4em;text-align:left;"
    "vertical-align:top}pre{background:#f4f4f4;padding:.6em;overflow-wrap:anywhere;white-space:pre-wrap;font-size:12px}"
    "summary{cursor:pointer}"
)
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def report(manifest: Mapping[str, Any], records: Sequence[tuple[int, Wanted]], disclosed: Sequence[Disclosure]) -> str:
    """The HTML."""
    bodies = {one.record: one for one in disclosed}
    scope = manifest["scope"]
    title = f"Evidence: {scope['operation']}" if scope["kind"] == "operation" else "Evidence: a range of the log"
    rows = "\n".join(_row(place, one, bodies.get(one.id)) for place, one in records)
    logs = ", ".join(log["origin"] for log in manifest["logs"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><style>{STYLE}</style></head><body>\n'
        f"<h1>{escape(title)}</h1>\n"
        f"<p>{len(records)} records of the log {escape(logs)}. Made at {escape(manifest['made_at'])} by "
        f"{escape(manifest['made_by'])}. <b>This page proves nothing by itself:</b> <code>verify.py</code>, beside it, "
        "verifies the records.</p>\n"
        "<table><thead><tr><th>entry</th><th>time (UTC)</th><th>what</th></tr></thead><tbody>\n"
        f"{rows}\n</tbody></table>\n"
        f"<h2>What is proven, once it verifies</h2>{_list(manifest['proves'])}\n"
        f"<h2>What is only claimed</h2>{_list(manifest['claims'])}\n</body></html>\n"
    )


def sentence(members: Mapping[str, Any]) -> str:
    """What a record says, in a sentence."""
    get = members.get
    match get("kind"):
        case "intent":
            effect = "to have an effect" if get("effect") else "to ask"
            consent = f", under {get('consent')} for {get('purpose')}" if get("consent") or get("purpose") else ""
            return (
                f"{get('verb')}, attempt {get('attempt')}, {effect}: {get('method')} {get('url')} was about to leave "
                f"for {get('partner')} (signed by {get('scheme')}){consent}"
            )
        case "outcome":
            status = f", HTTP status {get('status')}" if get("status") is not None else ""
            code = f", code {get('code')}" if get("code") else ""
            detail = f": {get('detail')}" if get("detail") else ""
            return f"observed {get('observed')}{status}{code}; the proof was {get('verdict')}{detail}"
        case "change":
            return (
                f"from {get('before')} to {get('after')}, by {get('source')} with proof {get('proof')}; it was said to "
                f"mean {get('meaning')}"
            )
        case "callback":
            return f"a message of {get('partner')} came in and was {get('verdict')}"
        case "refusal":
            return f"{get('route')} was refused: {get('problem')} ({get('status')})"
        case "act":
            return f"{get('actor')} did: {get('what')}. Reason: {get('reason')}. Evidence: {get('evidence')}"
        case _:
            return str(get("what") or get("kind"))


def _row(place: int, one: Wanted, body: Disclosure | None) -> str:
    shown = json.dumps(one.members, ensure_ascii=False, indent=1)
    return (
        f"<tr><td>{one.index}</td><td>{escape(str(one.members.get('at')))}</td>"
        f"<td><b>{escape(str(one.members.get('kind')))}</b>: {escape(sentence(one.members))}"
        f"{_body(body)}<details><summary>record {escape(one.id)}</summary>"
        f"<pre>{escape(shown)}</pre></details></td></tr>"
    )


def _body(body: Disclosure | None) -> str:
    if body is None:
        return ""
    if body.unavailable is not None:
        return f"<p>Its content is not here: {escape(body.unavailable)}.</p>"
    if body.body is None:
        return ""
    text = body.body.decode("utf-8", "replace")
    return f"<details><summary>content, {len(body.body)} bytes</summary><pre>{escape(text)}</pre></details>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"
