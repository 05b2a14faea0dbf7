"""What the bank's codes mean, for each verb. A code that is not listed says nothing about the money: it stays unknown.

Written `consent/…`, `payment/…` and `error/…` as `messages.code_of` reads them; v4 codes beside v3.1.11 names.
Sources: OBIE v4.0 and v3.1.11, "Domestic Payments" and "Account Access Consents" (statuses), "Error response" (errors);
the payment statuses of v4 are ISO 20022 ExternalPaymentTransactionStatus1Code.
"""

from __future__ import annotations

from typing import Final

from gateway import (
    BUSY,
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    PROCESSING,
    REQUIRES_ACTION,
    SEEN,
    SUCCEEDED,
    TOKEN_REFUSED,
    UNKNOWN,
)

__all__ = [
    "AWAITING",
    "CONSENT_ASKED",
    "CONSENT_CREATED",
    "CONSENT_REVOKED",
    "CONSENT_STATUSES",
    "CONSUMED",
    "ISO_STATUS",
    "TRANSFER_ASKED",
    "TRANSFER_CREATED",
    "TRANSFER_SUBMITTED",
]

AWAITING: Final = frozenset({"consent/AWAU", "consent/AwaitingAuthorisation"})
CONSUMED: Final = frozenset({"consent/COND", "consent/Consumed"})

ISO_STATUS: Final = {
    "Pending": "PDNG",
    "Rejected": "RJCT",
    "AcceptedSettlementInProcess": "ACSP",
    "AcceptedSettlementCompleted": "ACSC",
    "AcceptedWithoutPosting": "ACWP",
    "AcceptedCreditSettlementCompleted": "ACCC",
}
"""A payment's status in v3.1.11 -> the same in ISO 20022."""

PAYMENT: Final = {
    # Paid out: settled at the debtor's bank, at the creditor's, or taken by the creditor's bank.
    **dict.fromkeys(("payment/ACSC", "payment/ACCC", "payment/ACWP"), SUCCEEDED),
    **dict.fromkeys(
        (
            "payment/AcceptedSettlementCompleted",
            "payment/AcceptedCreditSettlementCompleted",
            "payment/AcceptedWithoutPosting",
        ),
        SUCCEEDED,
    ),
    **dict.fromkeys((f"payment/{status}" for status in "RCVD PDNG ACTC PATC ACCP ACFC ACSP ACWC".split()), PROCESSING),
    **dict.fromkeys(("payment/Pending", "payment/AcceptedSettlementInProcess"), PROCESSING),
    **dict.fromkeys(("payment/RJCT", "payment/Rejected"), FAILED),
    "payment/BLCK": UNKNOWN,  # the funds are blocked, and only the bank can say what will become of them
}

NOT_EXECUTED: Final = {
    # v4 -> v3.1.11: errors by which the bank says that it did not take the request at all.
    "U001": "Field.Expected",
    "U002": "Field.Invalid",
    "U003": "Field.InvalidDate",
    "U004": "Field.Missing",
    "U005": "Field.Unexpected",
    "U006": "Header.Invalid",
    "U007": "Header.Missing",
    "U008": "Resource.ConsentMismatch",
    "U010": "Resource.InvalidFormat",
    "U012": "Rules.AfterCutOffDateTime",
    "U014": "Rules.FailsControlParameters",
    "U015": "Signature.Invalid",
    "U016": "Signature.InvalidClaim",
    "U017": "Signature.MissingClaim",
    "U018": "Signature.Malformed",
    "U019": "Signature.Missing",
    "U020": "Signature.Unexpected",
    "U021": "Unsupported.AccountIdentifier",
    "U022": "Unsupported.AccountSecondaryIdentifier",
    "U023": "Unsupported.Currency",
    "U026": "Unsupported.LocalInstrument",
    "U027": "Unsupported.Scheme",
    "U028": "Reauthenticate",
}
ASK_AGAIN: Final = {
    # These may be the repeat of a payment that was made: ask what stands, believe nothing else.
    "U009": "Resource.InvalidConsentStatus",
    "U013": "Rules.DuplicateReference",
    "U029": "Rules.ResourceAlreadyExists",
}
REUSED_KEY: Final = "U002/x-idempotency-key", "Field.Invalid/x-idempotency-key"
"""Another body under our key: something was made under it before."""


def _both(table: dict[str, str]) -> tuple[str, ...]:
    return (*(f"error/{code}" for code in table), *(f"error/UK.OBIE.{name}" for name in table.values()))


REQUEST: Final = {"401": TOKEN_REFUSED, "429": BUSY}
ERRORS: Final = {
    **REQUEST,
    **dict.fromkeys(_both(NOT_EXECUTED), NOT_PROCESSED),
    **dict.fromkeys(_both(ASK_AGAIN), SEEN),
    f"error/{REUSED_KEY[0]}": SEEN,
    f"error/UK.OBIE.{REUSED_KEY[1]}": SEEN,
    # U011 (NotFound) is not listed: it says nothing about money.
}
REJECTED: Final = dict.fromkeys(("consent/RJCT", "consent/Rejected"), FAILED)

AUTHORISED: Final = ("consent/AUTH", "consent/Authorised")

TRANSFER_CREATED: Final = {
    **ERRORS,
    **REJECTED,
    **dict.fromkeys(AWAITING, REQUIRES_ACTION),
    # A consent that is not new: the bank knows this key from a time that the gateway has forgotten (a restored store).
    **dict.fromkeys(CONSUMED, PROCESSING),
    **dict.fromkeys(AUTHORISED, NOT_FOUND),
}
TRANSFER_SUBMITTED: Final = {
    **ERRORS,
    "error/U000": UNKNOWN,  # UnexpectedError
    "error/UK.OBIE.UnexpectedError": UNKNOWN,
    **REJECTED,
    **PAYMENT,
    # Said when somebody goes on without coming back from the bank's page: there is no code to go on with.
    **dict.fromkeys((*AWAITING, *AUTHORISED), REQUIRES_ACTION),
}
TRANSFER_ASKED: Final = {
    **REQUEST,
    **REJECTED,
    **PAYMENT,
    # No payment was made under this consent so far. Once nobody can authorise it any more, none will be.
    **dict.fromkeys((*AWAITING, *AUTHORISED), NOT_FOUND),
    **dict.fromkeys(CONSUMED, PROCESSING),
}

# A consent that ended had been given: what stands shows in its status, and the act of giving it succeeded.
GIVEN: Final = dict.fromkeys((f"consent/{status}" for status in "AUTH CANC EXPD Authorised Revoked".split()), SUCCEEDED)
CONSENT_CREATED: Final = {**ERRORS, **REJECTED, **GIVEN, **dict.fromkeys(AWAITING, REQUIRES_ACTION)}
CONSENT_ASKED: Final = {**REQUEST, **REJECTED, **GIVEN, **dict.fromkeys(AWAITING, NOT_FOUND)}
CONSENT_REVOKED: Final = {
    **ERRORS,
    "204": SUCCEEDED,
    # The bank gave us this id: if it knows it no longer, an earlier attempt has ended the consent.
    "error/U011": SUCCEEDED,
    "error/UK.OBIE.Resource.NotFound": SUCCEEDED,
}
CONSENT_STATUSES: Final = {
    **dict.fromkeys(AWAITING, "pending"),
    **dict.fromkeys(AUTHORISED, "active"),
    **dict.fromkeys(("consent/RJCT", "consent/Rejected"), "rejected"),
    **dict.fromkeys(("consent/CANC", "consent/Revoked"), "revoked"),
    "consent/EXPD": "expired",
}
