"""Consents of both kinds as the bank keeps them, and which step may follow which.

Inside the bank a status carries its v4 code. v4: AWAU -> AUTH | RJCT; a payment consent ends as COND, an account
consent as CANC or EXPD. v3.1.11 has no word for EXPD; such a consent still reads Authorised there, but gives no data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from lendgate_openbanking_uk.simulator_refusals import Refused

__all__ = ["STATUS_V3", "Consent", "ConsentBook", "moment_text"]

NEXT: Final = {
    "AWAU": {"AUTH", "RJCT"},
    "AUTH": {"COND", "CANC", "EXPD"},
    "CANC": {"AUTH"},
    "EXPD": {"AUTH"},
    "COND": set(),
    "RJCT": set(),
}
STATUS_V3: Final = {
    "AWAU": "AwaitingAuthorisation",
    "AUTH": "Authorised",
    "RJCT": "Rejected",
    "COND": "Consumed",
    "CANC": "Revoked",
    "EXPD": "Authorised",
}


def moment_text(moment: datetime) -> str:
    """ISO 8601 with an offset, in whole seconds."""
    return moment.isoformat(timespec="seconds")


@dataclass
class Consent:
    """One intent. `given` is `Data` of the request, kept as it was sent."""

    id: str
    scope: Literal["payments", "accounts"]
    version: str
    given: dict[str, Any]
    risk: dict[str, Any]
    created: datetime
    updated: datetime
    status: str = "AWAU"
    reason: dict[str, str] | None = None  # OBStatusReason

    def move(self, status: str, now: datetime, reason: dict[str, str] | None = None) -> None:
        """Raises `Refused` (U009) for a step that does not exist."""
        if status not in NEXT[self.status]:
            raise Refused.because("U009", f"a consent in {self.status} cannot become {status}")
        self.status, self.updated, self.reason = status, now, reason

    def expires(self) -> datetime | None:
        until = self.given.get("ExpirationDateTime")
        return None if until is None else datetime.fromisoformat(until)

    def body(self, url: str) -> dict[str, Any]:
        """The consent resource (OBWriteDomesticConsentResponse5, OBReadConsentResponse1)."""
        status: dict[str, Any] = {"Status": self.status if self.version == "v4.0" else STATUS_V3[self.status]}
        if self.reason and self.version == "v4.0":
            status["StatusReason"] = [self.reason]
        data = {
            "ConsentId": self.id,
            "CreationDateTime": moment_text(self.created),
            **status,
            "StatusUpdateDateTime": moment_text(self.updated),
            **self.given,
        }
        return {"Data": data, "Risk": self.risk, "Links": {"Self": url}, "Meta": {"TotalPages": 1}}


class ConsentBook:
    """All consents of the client."""

    def __init__(self) -> None:
        self.consents: dict[str, Consent] = {}

    def add(self, consent: Consent) -> Consent:
        self.consents[consent.id] = consent
        return consent

    def find(self, consent_id: object, scope: str, version: str) -> Consent:
        """Raises `Refused`: an id that does not exist is a 400, not a 404 (OBIE "Status codes")."""
        found = self.consents.get(str(consent_id))
        if found is None or (found.scope, found.version) != (scope, version):
            raise Refused.because("U011", "there is no such consent", "ConsentId")
        return found
