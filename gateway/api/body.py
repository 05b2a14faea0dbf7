"""Reads what a caller sent: bytes, then JSON, then a model. Strictly, and naming everything that is wrong at once.

In this order
  1. the content type is JSON, and the length that was announced fits
  2. the bytes arrive in time and are not more than announced
  3. they are UTF-8, one JSON object, no member twice, no NaN, no number out of range, at most 32 levels (RFC 8259)
  4. they fit the model; every field that does not is named with its path

The standard decoder keeps the last of two equal members, so one amount could be checked and another one used by
somebody else; that is why pydantic's own JSON reader is not used here, although it is a little faster.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from gateway.api.problems import refused
from gateway.model.problems import FieldError, Invalid, Refused, Retry

__all__ = ["DEPTH", "SECONDS_FOR_A_BODY", "field_errors", "fit", "json_object", "raw_body", "read_json"]

DEPTH: Final = 32
"""Levels of objects and arrays."""

SECONDS_FOR_A_BODY = 10.0
"""From the end of the headers to the end of the body."""

M = TypeVar("M", bound=BaseModel)


async def read_json(request: web.Request, largest: int) -> dict[str, Any]:
    """The body as a JSON object. Raises `Refused`."""
    _check_content_type(request)
    return json_object(await raw_body(request, largest))


async def raw_body(request: web.Request, largest: int) -> bytes:
    """The exact bytes. Raises `Refused` for more than `largest`, and for a body that comes too slowly."""
    announced = request.content_length
    if announced is not None and announced > largest:
        raise _too_large(largest)
    content = request.content
    if content.is_eof():  # it came together with the headers: nothing to wait for, no timer to set
        raw = bytes(content.read_nowait())
    else:
        raw = await _arriving(request, largest)
    if len(raw) > largest:
        raise _too_large(largest)
    return raw


async def _arriving(request: web.Request, largest: int) -> bytes:
    raw = bytearray()
    try:
        async with asyncio.timeout(SECONDS_FOR_A_BODY):
            while len(raw) <= largest:
                chunk = await request.content.readany()
                if not chunk:
                    break
                raw.extend(chunk)
    except TimeoutError:
        detail = f"the body did not arrive within {SECONDS_FOR_A_BODY:.0f} seconds"
        raise refused("body_too_slow", detail, retry=Retry.SAME_KEY) from None
    except (web.RequestPayloadError, ConnectionError):
        raise refused("malformed_request", "the body broke off, or its framing is broken") from None
    return bytes(raw)


def _too_large(largest: int) -> Refused:
    return refused("body_too_large", f"the body has more than {largest} bytes")


def _check_content_type(request: web.Request) -> None:
    """`application/json`, in UTF-8 whether or not it says so (RFC 8259 section 8.1)."""
    given = request.headers.get("Content-Type", "")
    media_type, _, parameters = given.partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media_type.strip().lower() != "application/json" or charset not in ("", "utf-8"):
        raise refused("unsupported_media_type", "send `Content-Type: application/json`")


class _NotJSON(ValueError):
    """What is wrong, in words for the caller."""


def json_object(raw: bytes) -> dict[str, Any]:
    """One JSON object. Raises `Refused`; the text says what is wrong, never what was sent."""
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
        if not isinstance(value, dict):
            raise _NotJSON("the body must be a JSON object")
        if raw.count(b"{") + raw.count(b"[") > DEPTH and _deeper(value, DEPTH):
            raise _NotJSON(f"the body is nested more than {DEPTH} levels deep")
        if b"\\ud" in raw or b"\\uD" in raw:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no character
    except _NotJSON as wrong:
        raise refused("malformed_json", str(wrong)) from None
    except json.JSONDecodeError as wrong:
        detail = f"the body is not JSON: line {wrong.lineno}, column {wrong.colno}"
        raise refused("malformed_json", detail) from None
    except RecursionError:
        raise refused("malformed_json", f"the body is nested more than {DEPTH} levels deep") from None
    except UnicodeError:
        raise refused("malformed_json", "the body is not UTF-8 text") from None
    except ValueError:  # Python's limit on the digits of an integer
        raise refused("malformed_json", "the body holds a number with too many digits") from None
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _NotJSON(f"the member {twice[:64]!r} occurs twice in one object")
    return members


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _NotJSON("the body holds a number that is out of range")
    return number


def _no_number(name: str) -> Any:
    raise _NotJSON(f"{name} is not a number")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_float=_number, parse_constant=_no_number)


def _deeper(value: Any, levels: int) -> bool:
    """Whether `value` has more than `levels` levels; without recursion, since the value comes from outside."""
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def fit(model: type[M], value: Any) -> M:
    """`value` as `model`. Raises `Invalid` naming every field that does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as wrong:
        fields = field_errors(wrong)
    one = f"{fields[0].path} {fields[0].detail}" if len(fields) == 1 else f"{len(fields)} fields are wrong"
    raise Invalid(one, fields=fields)


def field_errors(wrong: ValidationError) -> list[FieldError]:
    """Path and sentence of each error; a value that was sent is never repeated."""
    errors = wrong.errors(include_url=False, include_input=False)
    places = [error["loc"] for error in errors]
    return [
        FieldError(_path(error["loc"]), _sentence(error["type"], error["msg"]))
        for error in errors
        # Wrong items do not count as items; that their list is too short then says nothing new.
        if error["type"] != "too_short" or not any(_inside(place, error["loc"]) for place in places)
    ]


def _inside(place: tuple[int | str, ...], of: tuple[int | str, ...]) -> bool:
    return len(place) > len(of) and place[: len(of)] == of


def _path(steps: Sequence[int | str]) -> str:
    """`creditor.account.identification`; the name of a member that is no field of ours is cut."""
    return ".".join(str(step)[:64] for step in steps if step != "[key]") or "body"


def _sentence(kind: str, message: str) -> str:
    match kind:
        case "missing":
            return "is needed"
        case "extra_forbidden":
            return "is not a field of this call"
        case "value_error":
            return message.removeprefix("Value error, ")
        case "too_short" | "too_long":
            message = message.replace("Tuple", "List").replace(" after validation", "")
    return message[:1].lower() + message[1:]
