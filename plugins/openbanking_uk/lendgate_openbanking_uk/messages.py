"""The bodies of OBIE v4.0 and v3.1.11, as far as they are used here, with their own member names.

What we send is closed and complete; of what the bank sends, members that are not needed stay unread.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from pydantic import AwareDatetime, ConfigDict
from pydantic.alias_generators import to_pascal

from gateway import Model, Money, NotUnderstood, Reply, understood

__all__ = [
    "AccountAccess",
    "AccountAccessRequest",
    "Amount",
    "CashAccount",
    "ConsentData",
    "ConsentRequest",
    "DomesticInitiation",
    "Errors",
    "Heard",
    "InstructedAmount",
    "PaymentData",
    "PaymentRequest",
    "RemittanceV3",
    "RemittanceV4",
    "Risk",
    "Stated",
    "StatedData",
    "SCHEMES",
    "code_of",
]

SCHEMES: Final = {
    "sort_code_account_number": "UK.OBIE.SortCodeAccountNumber",
    "iban": "UK.OBIE.IBAN",
    "bank_card": "UK.OBIE.PAN",
}
"""Our account schemes -> OBExternalAccountIdentification4Code."""


class Sent(Model):
    """A part of a request; members are written in PascalCase."""

    model_config = ConfigDict(alias_generator=to_pascal, validate_by_name=True)


class Heard(Model):
    """A part of an answer; members that are not named here are left out."""

    model_config = ConfigDict(alias_generator=to_pascal, validate_by_name=True, extra="ignore")


class InstructedAmount(Sent):
    amount: str
    currency: str


class CashAccount(Sent):
    scheme_name: str
    identification: str
    name: str | None = None


class RemittanceV3(Sent):
    unstructured: str


class RemittanceV4(Sent):
    unstructured: tuple[str, ...]


class DomesticInitiation(Sent):
    """`Initiation` of OBWriteDomesticConsent4 and OBWriteDomestic2."""

    instruction_identification: str
    end_to_end_identification: str
    local_instrument: str | None = None
    instructed_amount: InstructedAmount
    debtor_account: CashAccount | None = None
    creditor_account: CashAccount
    remittance_information: RemittanceV3 | RemittanceV4 | None = None


class Risk(Sent):
    payment_context_code: str | None = None
    payment_purpose_code: str | None = None


class ConsentData(Sent):
    initiation: DomesticInitiation


class ConsentRequest(Sent):
    """POST /domestic-payment-consents."""

    data: ConsentData
    risk: Risk


class PaymentData(Sent):
    consent_id: str
    initiation: DomesticInitiation


class PaymentRequest(Sent):
    """POST /domestic-payments: Initiation and Risk are the consent's, to the letter."""

    data: PaymentData
    risk: Risk


class AccountAccess(Sent):
    permissions: tuple[str, ...]
    expiration_date_time: str | None = None
    transaction_from_date_time: str | None = None
    transaction_to_date_time: str | None = None


class AccountAccessRequest(Sent):
    """POST /account-access-consents."""

    data: AccountAccess
    risk: dict[str, Any] = {}


class Amount(Heard):
    """An unsigned amount in text."""

    amount: str
    currency: str

    @property
    def money(self) -> Money:
        """Raises `NotUnderstood`, also for parts of a penny; more noughts than a currency has places are no parts."""
        try:
            plain = f"{Decimal(self.amount).normalize():f}"
        except ArithmeticError:
            raise NotUnderstood(f"an amount of {len(self.amount)} characters is no decimal number") from None
        return understood(Money, {"amount": plain, "currency": self.currency})


class StatedInitiation(Heard):
    end_to_end_identification: str
    instructed_amount: Amount


class StatusReason(Heard):
    status_reason_code: str | None = None
    status_reason_description: str | None = None


class StatedData(Heard):
    """`Data` of a consent or of a payment."""

    consent_id: str
    domestic_payment_id: str | None = None
    status: str
    status_update_date_time: AwareDatetime | None = None
    status_reason: tuple[StatusReason, ...] = ()
    initiation: StatedInitiation | None = None
    expiration_date_time: AwareDatetime | None = None

    @property
    def reason(self) -> str | None:
        """Why it stands so, where v4 says it."""
        told = (part.status_reason_description or part.status_reason_code for part in self.status_reason)
        return next((text for text in told if text), None)


class Stated(Heard):
    """A consent or a payment as it stands."""

    data: StatedData


class Error(Heard):
    error_code: str
    message: str | None = None
    path: str | None = None

    @property
    def code(self) -> str:
        """`error/` and the bank's code; what is said about the key's reuse is told apart by its path."""
        suffix = "/x-idempotency-key" if self.path == "x-idempotency-key" else ""
        return f"error/{self.error_code}{suffix}"


class Errors(Heard):
    """OBErrorResponse1. v4 requires `Errors` alone, and old banks may send less: read it as it comes."""

    errors: tuple[Error, ...]

    @property
    def code(self) -> str:
        """One code where the errors agree; several are joined, and mean nothing unless each of them does."""
        return "+".join(dict.fromkeys(error.code for error in self.errors))

    @property
    def message(self) -> str | None:
        return next((error.message for error in self.errors if error.message), None)


def code_of(reply: Reply) -> str | None:
    """What an answer says, as a code: `consent/AWAU`, `payment/ACSC`, `error/U009`, or a bare HTTP status.

    Raises `NotUnderstood`.
    """
    if reply.status in (401, 429) or not reply.body:
        return str(reply.status)
    body = reply.json()
    if isinstance(body, dict) and "Errors" in body:
        return understood(Errors, body).code
    data = body.get("Data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or "Status" not in data:
        return None
    return f"{'payment' if 'DomesticPaymentId' in data else 'consent'}/{data['Status']}"
