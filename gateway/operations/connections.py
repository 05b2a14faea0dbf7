"""A connection, put together: one set of credentials at a partner, its adapter, and the way out to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from gateway.adapters.adapter import Adapter
from gateway.model.message import Keys
from gateway.model.problems import FieldError, Invalid
from gateway.wire.channel import Channel

__all__ = ["Connection", "Connections"]


@dataclass(frozen=True, slots=True)
class Connection:
    """`callback_token` is the unguessable part of its callback path; `deadline` bounds one run of a verb."""

    name: str
    adapter: Adapter[Any]
    channel: Channel
    keys: Keys
    callback_token: str
    deadline: timedelta = timedelta(seconds=25)

    @property
    def partner(self) -> str:
        return self.adapter.name


class Connections:
    """The connections that work, by name; and why the others do not."""

    def __init__(self, working: Mapping[str, Connection], broken: Mapping[str, str]) -> None:
        self._working = dict(working)
        self.broken = dict(broken)
        self._by_token = {(c.partner, c.callback_token): c for c in self._working.values()}

    def __iter__(self) -> Any:
        return iter(self._working.values())

    def get(self, name: str) -> Connection | None:
        return self._working.get(name)

    def named(self, name: str) -> Connection:
        """Raises `Invalid` for a connection that is not configured or not working."""
        found = self._working.get(name)
        if found is None:
            why = self.broken.get(name)
            detail = f"the connection {name!r} is not working: {why}" if why else f"there is no connection {name!r}"
            choice = ", ".join(sorted(self._working)) or "none"
            raise Invalid(
                f"{detail}; those that work: {choice}",
                kind="unknown_connection",
                fields=[FieldError("connection", detail)],
            )
        return found

    def by_token(self, partner: str, token: str) -> Connection | None:
        return self._by_token.get((partner, token))
