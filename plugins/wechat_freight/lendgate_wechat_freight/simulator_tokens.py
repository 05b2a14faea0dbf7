"""The token desk: `/cgi-bin/stable_token` and the check of `access_token` at every business call.

Rules (stable_token, normal and forced mode)
- Normal mode gives the same token while it lives; with under five minutes left it gives a new one, and the old one
  works until its own end.
- Forced mode gives a new token and ends the previous one at once; closer than 30 seconds to the last forced refresh it
  changes nothing; above 20 a day it is refused.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final

from gateway.model.clock import Clock
from lendgate_wechat_freight.simulator_fields import Refused, text

__all__ = ["TokenDesk"]

LIFE: Final = timedelta(seconds=7200)
OVERLAP: Final = timedelta(minutes=5)
BETWEEN_FORCED: Final = timedelta(seconds=30)
FORCED_A_DAY: Final = 20


@dataclass
class TokenDesk:
    """Gives out and checks the tokens of one application."""

    clock: Clock
    appid: str
    secret: str
    current: str | None = None
    ends: dict[str, datetime] = field(default_factory=dict)  # every token ever given out -> when it stops working
    revoked: set[str] = field(default_factory=set)
    forced_at: datetime | None = None
    forced_on: dict[date, int] = field(default_factory=dict)

    def fetch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one stable_token request."""
        if text(body, "grant_type", missing=40002) != "client_credential":
            raise Refused(40002, "invalid grant_type")
        if text(body, "appid", missing=40013) != self.appid:
            raise Refused(40013, "invalid appid")
        if not hmac.compare_digest(text(body, "secret", missing=41004).encode(), self.secret.encode()):
            raise Refused(40125, "invalid appsecret")
        forced = body.get("force_refresh", False)
        if not isinstance(forced, bool):
            raise Refused(47001, "force_refresh is not a boolean")
        token = self._forced() if forced else self._normal()
        return {"access_token": token, "expires_in": int((self.ends[token] - self.clock.now()).total_seconds())}

    def check(self, token: str | None) -> None:
        """Let a business call pass, or refuse it before anything is done."""
        if not token:
            raise Refused(41001, "access_token missing")
        if token in self.revoked:
            raise Refused(40001, "invalid credential, access_token is invalid or not latest")
        if token not in self.ends:
            raise Refused(40014, "invalid access_token")
        if self.clock.now() >= self.ends[token]:
            raise Refused(42001, "access_token expired")

    def expire(self, *, revoke: bool) -> None:
        """End the current token before its time: by age (42001), or as another forced refresh would (40001)."""
        if self.current is None:
            return
        if revoke:
            self.revoked.add(self.current)
        self.ends[self.current] = self.clock.now()

    def _normal(self) -> str:
        if self.current is not None and self.ends[self.current] - self.clock.now() > OVERLAP:
            return self.current
        return self._new()

    def _forced(self) -> str:
        now = self.clock.now()
        if self.current and self.forced_at and now - self.forced_at < BETWEEN_FORCED and self.ends[self.current] > now:
            return self.current
        if self.forced_on.get(now.date(), 0) >= FORCED_A_DAY:
            raise Refused(45009, "reach max api daily quota limit of force_refresh")
        self.forced_at = now
        self.forced_on[now.date()] = self.forced_on.get(now.date(), 0) + 1
        if self.current is not None:
            self.revoked.add(self.current)
        return self._new()

    def _new(self) -> str:
        self.current = secrets.token_urlsafe(96)
        self.ends[self.current] = self.clock.now() + LIFE
        return self.current
