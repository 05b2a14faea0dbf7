"""Domestic payments: consents, one payment each, and how a payment moves on to its end.

Rules
- A repeat under the same x-idempotency-key and with the same bytes gives 201 with the resource as it stands now, for 24
  hours; other bytes under the key are refused (U002) and change nothing.
- Initiation and Risk of a payment equal those of its consent (U008); the consent is authorised (U009), and used once.
- The ledger gets `transfer`, keyed by the payment's x-idempotency-key, when it is certain that the money moves.
- Each GET of a payment shows its next step: v4 RCVD, ACSP, ACSC; v3 Pending, AcceptedSettlementInProcess,
  AcceptedSettlementCompleted. A payment that is held or blocked waits for `/_sandbox/settle`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gateway.sandbox import Effect, Ledger
from lendgate_openbanking_uk.simulator_bodies import CONSENTS, PAYMENTS, problems_of
from lendgate_openbanking_uk.simulator_consents import Consent, ConsentBook, moment_text
from lendgate_openbanking_uk.simulator_refusals import Problem, Refused

__all__ = ["Payment", "PaymentDesk", "Posted"]

KEY_LIFE: Final = timedelta(hours=24)
KEY_FORM: Final = re.compile(r"(?!\s)(.*)(\S)")
FUNDS: Final = Decimal(25_000)  # what the demo account can pay at once
STATUS_V3: Final = {
    "RCVD": "Pending",
    "PDNG": "Pending",
    "BLCK": "Pending",
    "ACSP": "AcceptedSettlementInProcess",
    "ACSC": "AcceptedSettlementCompleted",
    "RJCT": "Rejected",
}
WAYS: Final = {
    "settles": ("RCVD", "ACSP", "ACSC"),
    "rejected": ("RJCT",),
    "rejected later": ("RCVD", "ACSP", "RJCT"),
    "held": ("RCVD", "PDNG", "ACSC"),
    "blocked": ("RCVD", "BLCK", "ACSC"),
}
WAITS: Final = {"PDNG", "BLCK"}  # only /_sandbox/settle leads on from here
SCHEMES: Final = {
    "UK.OBIE.SortCodeAccountNumber": r"\d{14}",
    "UK.OBIE.IBAN": r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}",
    "UK.OBIE.BBAN": r"[A-Z0-9]{1,30}",
    "UK.OBIE.PAN": r"\d{12,19}",
    "UK.OBIE.Paym": r"\+?\d{7,15}",
}
INSTRUMENTS: Final = {"UK.OBIE.FPS", "UK.OBIE.BACS", "UK.OBIE.CHAPS"}


@dataclass(frozen=True)
class Posted:
    """A signed POST after its signature, form and headers were checked."""

    version: str
    path: str
    key: str | None
    raw: bytes
    body: Any


@dataclass
class Payment:
    """One payment. `way` are the statuses that it goes through; `at` is where it stands."""

    id: str
    consent: Consent
    key: str
    way: tuple[str, ...]
    created: datetime
    updated: datetime
    at: int = 0
    recorded: bool = False

    @property
    def status(self) -> str:
        return self.way[self.at]


class PaymentDesk:
    """Takes consents and payments of both versions."""

    def __init__(self, url: str, consents: ConsentBook, ledger: Ledger) -> None:
        self.payments: dict[str, Payment] = {}
        self.changed_body_gives_first = False  # the standard leaves it open: 400, or the first resource
        self._url = url
        self._consents = consents
        self._ledger = ledger
        self._keys: dict[tuple[str, str], tuple[datetime, str, str]] = {}  # -> first seen, digest of the body, id

    def create_consent(self, posted: Posted, now: datetime) -> dict[str, Any]:
        """POST /domestic-payment-consents."""
        first = self._first(posted, now)
        if first is not None:
            return self._consents.find(first, "payments", posted.version).body(self._self(posted, first))
        require(problems_of(CONSENTS[posted.version], posted.body))
        require(business_problems(posted.body["Data"]["Initiation"]))
        id = f"pc-{secrets.token_hex(10)}"
        consent = Consent(id, "payments", posted.version, posted.body["Data"], posted.body["Risk"], now, now)
        self._consents.add(consent)
        self._remember(posted, id, now)
        return consent.body(self._self(posted, id))

    def create_payment(self, posted: Posted, granted: Consent | None, now: datetime) -> dict[str, Any]:
        """POST /domestic-payments under the token of the consent `granted`."""
        first = self._first(posted, now)
        if first is not None:
            return self._body(self.payments[first])
        require(problems_of(PAYMENTS[posted.version], posted.body))
        asked = posted.body["Data"]
        consent = self._consents.find(asked["ConsentId"], "payments", posted.version)
        if consent is not granted:
            raise Refused.because("U008", "the token belongs to another consent", "Data.ConsentId", 403)
        for name, ours in (("Initiation", consent.given["Initiation"]), ("Risk", consent.risk)):
            if (posted.body if name == "Risk" else asked)[name] != ours:
                raise Refused.because("U008", f"{name} differs from the consent's", name)
        if consent.status != "AUTH":
            raise Refused.because("U009", f"the consent is {consent.status}", "Data.ConsentId")
        name = consent.given["Initiation"]["CreditorAccount"]["Name"]
        if name.startswith("SIM CUTOFF"):
            raise Refused.because("U012", "after the cut-off time", "Data.Initiation")
        payment = self._execute(posted, consent, now)
        if name.startswith("SIM ERROR"):
            raise Refused.because("U000", "something went wrong", status=500)
        return self._body(payment)

    def fetch(self, payment_id: str, version: str, now: datetime) -> dict[str, Any]:
        """GET /domestic-payments/{id}: the payment one step further."""
        payment = self._find(payment_id, version)
        if payment.status not in WAITS:
            self._step(payment, now)
        return self._body(payment)

    def details(self, payment_id: str, version: str) -> dict[str, Any]:
        """GET /domestic-payments/{id}/payment-details."""
        payment = self._find(payment_id, version)
        # Details know no RCVD: what is only received, is pending there.
        status = {"PaymentTransactionId": payment.id, "Status": self._status(payment).replace("RCVD", "PDNG")}
        entry = {**status, "StatusUpdateDateTime": moment_text(payment.updated)}
        return self._framed({"PaymentStatus": [entry]}, f"{self._place(payment)}/payment-details")

    def funds(self, consent: Consent, now: datetime) -> dict[str, Any]:
        """GET /domestic-payment-consents/{id}/funds-confirmation."""
        if consent.status != "AUTH":
            raise Refused.because("U009", f"the consent is {consent.status}", "ConsentId")
        amount = Decimal(consent.given["Initiation"]["InstructedAmount"]["Amount"])
        result = {"FundsAvailableDateTime": moment_text(now), "FundsAvailable": amount <= FUNDS}
        place = f"{self._url}/open-banking/{consent.version}/pisp/domestic-payment-consents/{consent.id}"
        return self._framed({"FundsAvailableResult": result}, f"{place}/funds-confirmation")

    def settle(self, now: datetime, payment_id: str | None = None) -> list[str]:
        """Move one payment, or all, a step on; also those that are held or blocked. The ids of those that moved."""
        chosen = [payment for payment in self.payments.values() if payment_id in (None, payment.id)]
        return [payment.id for payment in chosen if self._step(payment, now)]

    def _execute(self, posted: Posted, consent: Consent, now: datetime) -> Payment:
        initiation = consent.given["Initiation"]
        payment = Payment(f"dp-{secrets.token_hex(10)}", consent, str(posted.key), way_of(initiation), now, now)
        self.payments[payment.id] = payment
        consent.move("COND", now)
        self._remember(posted, payment.id, now)
        if "ACSP" in payment.way and payment.way[-1] == "ACSC":
            self._record(payment, now)
        return payment

    def _step(self, payment: Payment, now: datetime) -> bool:
        if payment.at + 1 == len(payment.way):
            return False
        payment.at, payment.updated = payment.at + 1, now
        if payment.status == "ACSC":
            self._record(payment, now)
        return True

    def _record(self, payment: Payment, now: datetime) -> None:
        if payment.recorded:
            return
        payment.recorded = True
        initiation = payment.consent.given["Initiation"]
        amount = initiation["InstructedAmount"]
        detail = {
            "payment": payment.id,
            "consent": payment.consent.id,
            "end_to_end": initiation["EndToEndIdentification"],
        }
        effect = Effect("transfer", payment.key, now, Decimal(amount["Amount"]), amount["Currency"], detail)
        self._ledger.record(effect)

    def _find(self, payment_id: str, version: str) -> Payment:
        payment = self.payments.get(payment_id)
        if payment is None or payment.consent.version != version:
            raise Refused.because("U011", "there is no such payment", "DomesticPaymentId")
        return payment

    def _first(self, posted: Posted, now: datetime) -> str | None:
        """The id of what the key made before. Raises `Refused` for a missing or wrong key, or a changed body."""
        if posted.key is None:
            raise Refused.because("U007", "x-idempotency-key is missing", "x-idempotency-key")
        if len(posted.key) > 40 or not KEY_FORM.fullmatch(posted.key):
            raise Refused.because("U006", "x-idempotency-key has another form", "x-idempotency-key")
        seen, digest, id = self._keys.get((posted.path, posted.key), (None, "", ""))
        if seen is None or now - seen >= KEY_LIFE:
            return None
        if digest != hashlib.sha256(posted.raw).hexdigest() and not self.changed_body_gives_first:
            raise Refused.because("U002", "the key was used with another body", "x-idempotency-key")
        return id

    def _remember(self, posted: Posted, id: str, now: datetime) -> None:
        self._keys[posted.path, str(posted.key)] = (now, hashlib.sha256(posted.raw).hexdigest(), id)

    def _status(self, payment: Payment) -> str:
        return payment.status if payment.consent.version == "v4.0" else STATUS_V3[payment.status]

    def _body(self, payment: Payment) -> dict[str, Any]:
        """OBWriteDomesticResponse5: it carries no Risk."""
        data: dict[str, Any] = {
            "DomesticPaymentId": payment.id,
            "ConsentId": payment.consent.id,
            "CreationDateTime": moment_text(payment.created),
            "Status": self._status(payment),
            "StatusUpdateDateTime": moment_text(payment.updated),
            "Initiation": payment.consent.given["Initiation"],
        }
        if payment.status == "RJCT" and payment.consent.version == "v4.0":
            data["StatusReason"] = [{"StatusReasonCode": "AM04", "StatusReasonDescription": "insufficient funds"}]
        return self._framed(data, self._place(payment))

    def _place(self, payment: Payment) -> str:
        return f"{self._url}/open-banking/{payment.consent.version}/pisp/domestic-payments/{payment.id}"

    def _self(self, posted: Posted, id: str) -> str:
        return f"{self._url}{posted.path}/{id}"

    @staticmethod
    def _framed(data: Mapping[str, Any], place: str) -> dict[str, Any]:
        return {"Data": data, "Links": {"Self": place}, "Meta": {"TotalPages": 1}}


def way_of(initiation: Mapping[str, Any]) -> tuple[str, ...]:
    """The magic values: what becomes of a payment is written in its amount and the payee's name."""
    amount, name = Decimal(initiation["InstructedAmount"]["Amount"]), initiation["CreditorAccount"]["Name"]
    if name.startswith("SIM HELD"):
        return WAYS["held"]
    if name.startswith("SIM BLOCKED"):
        return WAYS["blocked"]
    if amount > FUNDS or amount % 1 == Decimal("0.14"):
        return WAYS["rejected"]
    return WAYS["rejected later"] if amount % 1 == Decimal("0.13") else WAYS["settles"]


def business_problems(initiation: Mapping[str, Any]) -> Iterable[Problem]:
    """What has the right form, and this bank does not do."""
    amount = initiation["InstructedAmount"]
    path = "Data.Initiation"
    if amount["Currency"] != "GBP":
        yield Problem("U023", "GBP only", f"{path}.InstructedAmount.Currency")
    if Decimal(amount["Amount"]) <= 0 or -Decimal(amount["Amount"]).as_tuple().exponent > 2:  # type: ignore[operator]  # finite
        yield Problem("U002", "more than zero, in whole pence", f"{path}.InstructedAmount.Amount")
    for name in ("CreditorAccount", "DebtorAccount"):
        account = initiation.get(name)
        if account is None:
            continue
        form = SCHEMES.get(account["SchemeName"])
        if form is None:
            yield Problem("U027", "no such scheme", f"{path}.{name}.SchemeName")
        elif not re.fullmatch(form, account["Identification"], re.ASCII):
            yield Problem("U021", "no identification of that scheme", f"{path}.{name}.Identification")
    if initiation.get("LocalInstrument", "UK.OBIE.FPS") not in INSTRUMENTS:
        yield Problem("U026", "no such instrument here", f"{path}.LocalInstrument")


def require(problems: Iterable[Problem]) -> None:
    found = tuple(problems)
    if found:
        raise Refused(400, *found)
