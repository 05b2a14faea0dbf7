"""What a transfer, or a wish to read accounts, becomes in the bank's words; and what this standard cannot say.

The same initiation gives the same bytes: for the consent, for its payment, and for every replay.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, NoReturn

from gateway import AccountIdentification, ConsentInitiation, FieldError, Invalid, TransferInitiation
from lendgate_openbanking_uk.messages import (
    SCHEMES,
    AccountAccess,
    AccountAccessRequest,
    CashAccount,
    DomesticInitiation,
    InstructedAmount,
    RemittanceV3,
    RemittanceV4,
    Risk,
)
from lendgate_openbanking_uk.settings import OpenBankingUKSettings

__all__ = ["access_of", "order_of"]

PURPOSE: Final = re.compile("[A-Z]{4}")  # ISO 20022 ExternalPurpose1Code
PERMISSIONS: Final[dict[str, tuple[str, ...]]] = {
    "accounts": ("ReadAccountsDetail",),
    "balances": ("ReadBalances",),
    "transactions": ("ReadTransactionsCredits", "ReadTransactionsDebits", "ReadTransactionsDetail"),
}


def order_of(transfer: TransferInitiation, settings: OpenBankingUKSettings) -> tuple[DomesticInitiation, Risk]:
    """Initiation and Risk, which must be equal in consent and payment. Raises `Invalid`."""
    if transfer.execution_date is not None:
        refuse("execution_date", "is not possible: domestic payments are made at once")
    if transfer.purpose is not None and not PURPOSE.fullmatch(transfer.purpose):
        refuse("purpose", "must be an ISO 20022 purpose code of four letters, such as LOAN")
    amount, debtor = transfer.amount, transfer.debtor_account
    # The platform's reference reaches the creditor as text only; ours is in the two identifications.
    text = transfer.remittance or transfer.reference
    initiation = DomesticInitiation(
        instruction_identification=transfer.partner_key,
        end_to_end_identification=transfer.partner_key,
        local_instrument=None if transfer.urgency == "normal" else "UK.OBIE.FPS",
        instructed_amount=InstructedAmount(amount=str(amount.amount), currency=amount.currency),
        debtor_account=cash_account(debtor, "debtor_account", debtor.name) if debtor else None,
        creditor_account=cash_account(transfer.creditor.account, "creditor.account", transfer.creditor.name),
        remittance_information=RemittanceV4(unstructured=(text,))
        if settings.version == "v4.0"
        else RemittanceV3(unstructured=text),
    )
    return initiation, Risk(payment_context_code=settings.payment_context, payment_purpose_code=transfer.purpose)


def access_of(consent: ConsentInitiation) -> AccountAccessRequest:
    """The body of an account access consent. Raises `Invalid`."""
    access = AccountAccess(
        permissions=permissions_of(consent),
        expiration_date_time=moment_text(consent.expires_at),
        transaction_from_date_time=moment_text(consent.transactions_from),
        transaction_to_date_time=moment_text(consent.transactions_to),
    )
    return AccountAccessRequest(data=access)


def cash_account(account: AccountIdentification, path: str, name: str | None) -> CashAccount:
    """Raises `Invalid` for a scheme that this standard does not have."""
    if account.scheme not in SCHEMES:
        refuse(f"{path}.scheme", f"must be one of {', '.join(SCHEMES)}")
    plain = re.sub("[ -]", "", account.identification)
    return CashAccount(scheme_name=SCHEMES[account.scheme], identification=plain, name=name)


def permissions_of(consent: ConsentInitiation) -> tuple[str, ...]:
    """Accounts are always among them: the standard refuses a consent without. Raises `Invalid`."""
    if consent.type != "account_access":
        refuse("type", "must be account_access")
    strangers = [scope for scope in consent.scopes if scope not in PERMISSIONS]
    if strangers:
        refuse("scopes", f"{', '.join(strangers)}: not read here; there are {', '.join(PERMISSIONS)}")
    wanted = {permission for scope in ("accounts", *consent.scopes) for permission in PERMISSIONS[scope]}
    return tuple(sorted(wanted))


def moment_text(moment: datetime | None) -> str | None:
    """ISO 8601 with an offset."""
    return None if moment is None else moment.isoformat(timespec="seconds")


def refuse(path: str, detail: str) -> NoReturn:
    """Raises `Invalid`."""
    raise Invalid(f"{path} {detail}", fields=[FieldError(path, detail)])
