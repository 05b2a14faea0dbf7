"""How the bank says no: the error codes of both versions, and the envelope in which they travel.

OBIE v4.0 names the reasons U000 to U029; v3.1.11 says the same with names under `UK.OBIE.`. The bank thinks in v4 codes
and translates when it answers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

__all__ = ["V3_NAMES", "Problem", "Refused", "RefusedBare", "envelope"]

V3_NAMES: Final = {
    "U000": "UnexpectedError",
    "U001": "Field.Expected",
    "U002": "Field.Invalid",
    "U003": "Field.InvalidDate",
    "U004": "Field.Missing",
    "U005": "Field.Unexpected",
    "U006": "Header.Invalid",
    "U007": "Header.Missing",
    "U008": "Resource.ConsentMismatch",
    "U009": "Resource.InvalidConsentStatus",
    "U010": "Resource.InvalidFormat",
    "U011": "Resource.NotFound",
    "U012": "Rules.AfterCutOffDateTime",
    "U015": "Signature.Invalid",
    "U016": "Signature.InvalidClaim",
    "U017": "Signature.MissingClaim",
    "U018": "Signature.Malformed",
    "U019": "Signature.Missing",
    "U020": "Signature.Unexpected",
    "U021": "Unsupported.AccountIdentifier",
    "U023": "Unsupported.Currency",
    "U026": "Unsupported.LocalInstrument",
    "U027": "Unsupported.Scheme",
    "U028": "Reauthenticate",
    "TKXP": "Reauthenticate",
}
"""v4 code -> v3 name. TKXP (token expired) is an ISO reason code, used in the body of a v4 401 only."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and where."""

    code: str
    message: str
    path: str | None = None


class Refused(Exception):
    """An answer with an error body."""

    def __init__(self, status: int, *problems: Problem) -> None:
        super().__init__(status, problems)
        self.status = status
        self.problems = problems

    @classmethod
    def because(cls, code: str, message: str, path: str | None = None, status: int = 400) -> Refused:
        return cls(status, Problem(code, message, path))


class RefusedBare(Exception):
    """An answer without a body, as OBIE has it for a missing or unknown token (401) and a wrong one (403)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def envelope(version: str, status: int, problems: Iterable[Problem]) -> dict[str, Any]:
    """`OBErrorResponse1`. v4 requires `Errors` alone; `Code` and `Message` are sent in both for old clients."""
    errors = []
    for problem in problems:
        code = problem.code if version == "v4.0" else f"UK.OBIE.{V3_NAMES[problem.code]}"
        error = {"ErrorCode": code, "Message": problem.message[:500]}
        if problem.path:
            error["Path"] = problem.path
        errors.append(error)
    phrase = HTTPStatus(status).phrase
    return {
        "Code": f"{status} {phrase}"[:40],
        "Id": str(uuid.uuid4()),
        "Message": errors[0]["Message"] if errors else phrase,
        "Errors": errors,
    }
