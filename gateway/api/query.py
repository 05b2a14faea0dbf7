"""Reads query parameters and the headers that steer a call: `Idempotency-Key`, `Prefer`, `Authorization`.

Rules
- A parameter that is unknown or given twice is refused: it would be a filter that silently does nothing.
- A header that decides about money is refused when it comes twice; a preference that cannot be read is ignored
  (RFC 7240 section 2).
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

from aiohttp import web
from pydantic import ValidationError

from gateway.api.body import field_errors
from gateway.api.problems import refused
from gateway.model.problems import FieldError, Refused
from gateway.model.schema import Model

__all__ = [
    "LARGEST_NUMBER",
    "LONGEST_WAIT_SECONDS",
    "NoQuery",
    "idempotency_key",
    "preferred_wait",
    "query_of",
    "single_header",
]

LONGEST_WAIT_SECONDS: Final = 60.0

LARGEST_NUMBER: Final = 2**63 - 1
"""What both stores can compare a number with."""

KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
"""A bare token: printable ASCII without spaces."""

QUOTED_KEY: Final = re.compile(r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255})"')
"""A string of structured fields (RFC 9651 section 3.3.3)."""

WAIT: Final = re.compile(r"\s*wait\s*=\s*\"?([0-9]{1,6})\"?\s*", re.IGNORECASE)


class NoQuery(Model):
    """A call without query parameters."""


NOTHING: Final = NoQuery()

Q = TypeVar("Q", bound=Model)


def query_of(request: web.Request, model: type[Q]) -> Q:
    """The query parameters as `model`. Raises `Refused` naming every parameter that is wrong."""
    if model is NoQuery and not request.query_string:
        return NOTHING  # type: ignore[return-value]  # it is the one value of that model
    query = request.query
    if len(query) != len(set(query)):
        twice = sorted(name for name in set(query) if len(query.getall(name)) > 1)
        raise _wrong([FieldError(name[:64], "is given more than once") for name in twice])
    try:
        return model.model_validate(dict(query))
    except ValidationError as wrong:
        errors = field_errors(wrong)
    raise _wrong([FieldError(e.path, e.detail.replace("field of this call", "parameter of this call")) for e in errors])


def _wrong(fields: list[FieldError]) -> Refused:
    return refused("invalid_query", f"{fields[0].path} {fields[0].detail}", fields=fields)


def single_header(request: web.Request, name: str) -> str | None:
    """The header's value, or None. Raises `Refused` if it came more than once."""
    values = request.headers.getall(name, ())
    if len(values) > 1:
        raise refused("malformed_request", f"the header {name} came {len(values)} times; send it once")
    return values[0] if values else None


def idempotency_key(request: web.Request) -> str:
    """The key, with or without quotes. Raises `Refused` if it is missing, blank, too long or not printable."""
    given = (single_header(request, "Idempotency-Key") or "").strip()
    if not given:
        raise refused("idempotency_key_required", "send the header Idempotency-Key")
    quoted = QUOTED_KEY.fullmatch(given)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else given
    if not key.strip() or not (quoted or (given[0] != '"' and KEY.fullmatch(given))):
        raise refused("idempotency_key_required", "an Idempotency-Key has 1 to 255 printable ASCII characters")
    return key


def preferred_wait(request: web.Request, longest: float = LONGEST_WAIT_SECONDS) -> float | None:
    """Seconds of `Prefer: wait=N`, at most `longest`; None where the caller prefers nothing."""
    if "Prefer" not in request.headers:
        return None
    for preference in ",".join(request.headers.getall("Prefer")).split(","):
        found = WAIT.fullmatch(preference.partition(";")[0])
        if found:
            return min(float(found[1]), longest)
    return None
