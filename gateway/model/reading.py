"""Reading what came from outside: strictly, and with errors that say what was wrong, never what was said."""

from __future__ import annotations

import json
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.model.problems import NotUnderstood

__all__ = ["Message", "understood"]

M = TypeVar("M", bound=BaseModel)


class Message:
    """Reading a body that came from outside: strictly, and with errors that say what was wrong, not what was said."""

    __slots__ = ()
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises `NotUnderstood` for anything else, also for a repeated member or NaN."""
        try:
            return _DECODER.decode(self.body.decode(json.detect_encoding(self.body), "surrogatepass"))
        except (ValueError, RecursionError) as wrong:
            kind = type(wrong).__name__
            raise NotUnderstood(
                f"the body of {len(self.body)} bytes is not the JSON that was expected ({kind})"
            ) from None

    def parse(self, model: type[M]) -> M:
        """The body as `model`. Raises `NotUnderstood`, naming the fields but never their values."""
        return understood(model, self.json())


def understood(model: type[M], value: Any) -> M:
    """`value` as `model`. Raises `NotUnderstood`, naming the fields but never their values."""
    try:
        return model.model_validate(value)
    except ValidationError as wrong:
        fields = ", ".join(
            f"{'.'.join(str(step) for step in error['loc']) or 'the body'}: {error['type']}" for error in wrong.errors()
        )
        raise NotUnderstood(f"the message does not fit {model.__name__} ({fields})") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice in one object")
    return members


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_refuse_constant)
