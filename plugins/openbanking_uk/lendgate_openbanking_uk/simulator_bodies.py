"""What a domestic payment and a consent may contain, in both versions, and what the bank says about everything else.

Written by hand from the OpenAPI files of OBIE v3.1.11 and v4.0; every object is closed, as it is there. All problems of
a body are found at once: U004 missing, U005 unexpected, U002 invalid, U003 no date.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lendgate_openbanking_uk.simulator_refusals import Problem

__all__ = ["ACCOUNT_CONSENT", "CONSENTS", "PAYMENTS", "Shape", "problems_of"]


class Shape:
    """What a value must look like."""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        """Everything that is wrong with `value`; this shape takes anything."""
        return iter(())


@dataclass(frozen=True)
class Text(Shape):
    least: int
    most: int
    pattern: str = ""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, str) or not self.least <= len(value) <= self.most:
            yield Problem("U002", f"text of {self.least} to {self.most} characters", path)
        elif self.pattern and not re.fullmatch(self.pattern, value, re.ASCII):
            yield Problem("U002", "has another form", path)


@dataclass(frozen=True)
class OneOf(Shape):
    values: Collection[str]

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, str) or value not in self.values:
            yield Problem("U002", "is not in the list of values", path)


class Flag(Shape):
    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, bool):
            yield Problem("U002", "true or false", path)


class Moment(Shape):
    """ISO 8601 with an offset."""

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        try:
            if datetime.fromisoformat(value).tzinfo is None:
                yield Problem("U003", "needs an offset", path)
        except (TypeError, ValueError):
            yield Problem("U003", "is no date and time", path)


@dataclass(frozen=True)
class Listing(Shape):
    item: Shape
    least: int = 0
    most: int = 100

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            yield Problem("U002", f"a list of {self.least} to {self.most}", path)
            return
        for at, item in enumerate(value):
            yield from self.item.problems(item, f"{path}[{at}]")


@dataclass(frozen=True)
class Members(Shape):
    """A closed object; `open` lets other members pass."""

    required: Mapping[str, Shape] = field(default_factory=dict)
    optional: Mapping[str, Shape] = field(default_factory=dict)
    open: bool = False

    def problems(self, value: Any, path: str) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield Problem("U002", "an object", path or "the body")
            return
        before = f"{path}." if path else ""
        known = {**self.required, **self.optional}
        for name in self.required:
            if name not in value:
                yield Problem("U004", f"{name} is missing", before + name)
        for name, member in value.items():
            if name in known:
                yield from known[name].problems(member, before + name)
            elif not self.open:
                yield Problem("U005", f"{name[:80]} is not expected", before + name[:80])


def problems_of(shape: Shape, body: Any) -> tuple[Problem, ...]:
    """Everything that is wrong with `body`."""
    return tuple(shape.problems(body, ""))


AMOUNT: Final = Members({"Amount": Text(1, 19, r"\d{1,13}(\.\d{1,5})?"), "Currency": Text(3, 3, "[A-Z]{3}")})
PROXY: Final = Members({"Identification": Text(1, 2048), "Code": Text(1, 4)}, {"Type": Text(1, 35)})
ADDRESS: Final = Members(
    optional={
        "StreetName": Text(1, 140),
        "BuildingNumber": Text(1, 16),
        "PostCode": Text(1, 16),
        "TownName": Text(1, 140),
        "CountrySubDivision": Text(1, 35),
        "Country": Text(2, 2, "[A-Z]{2}"),
        "AddressLine": Listing(Text(1, 70), most=7),
    }
)
CONTEXTS_V4: Final = frozenset(
    "BillingGoodsAndServicesInAdvance BillingGoodsAndServicesInArrears EcommerceMerchantInitiatedPayment "
    "FaceToFacePointOfSale TransferToSelf TransferToThirdParty".split()
)
CONTEXTS_V3: Final = CONTEXTS_V4 | set(
    "PispPayee BillPayment EcommerceGoods EcommerceServices Other PartyToParty".split()
)
# The purposes that a lender's sandbox meets; the real list (ExternalPurpose1Code) has 328.
PURPOSES_V4: Final = frozenset("LOAN LOAR CASH INTC SUPP GDDS SALA SCVE OTHR TAXS RENT INSU BENE CBFF REFU".split())
PERMISSIONS: Final = tuple(
    "ReadAccountsBasic ReadAccountsDetail ReadBalances ReadBeneficiariesBasic ReadBeneficiariesDetail ReadDirectDebits "
    "ReadOffers ReadPAN ReadParty ReadPartyPSU ReadProducts ReadScheduledPaymentsBasic ReadScheduledPaymentsDetail "
    "ReadStandingOrdersBasic ReadStandingOrdersDetail ReadStatementsBasic ReadStatementsDetail ReadTransactionsBasic "
    "ReadTransactionsCredits ReadTransactionsDebits ReadTransactionsDetail".split()
)


def _account(version: str, *, named: bool) -> Members:
    name = {"Name": Text(1, 350)}
    extra: dict[str, Shape] = {"SecondaryIdentification": Text(1, 34)}
    if version == "v4.0":
        extra["Proxy"] = PROXY
    required: dict[str, Shape] = {"SchemeName": Text(1, 128), "Identification": Text(1, 256)}
    return Members({**required, **name}, extra) if named else Members(required, {**name, **extra})


def _remittance(version: str) -> Members:
    if version == "v3.1":
        return Members(optional={"Unstructured": Text(1, 140), "Reference": Text(1, 35)})
    reference = Members(optional={"Code": Text(1, 4), "Issuer": Text(1, 35), "Reference": Text(1, 35)}, open=True)
    structured = Members(optional={"CreditorReferenceInformation": reference}, open=True)
    return Members(optional={"Unstructured": Listing(Text(1, 140)), "Structured": Listing(structured)}, open=True)


def _initiation(version: str) -> Members:
    optional: dict[str, Shape] = {
        "LocalInstrument": Text(1, 128),
        "DebtorAccount": _account(version, named=False),
        "CreditorPostalAddress": ADDRESS,
        "RemittanceInformation": _remittance(version),
        "SupplementaryData": Shape(),
    }
    if version == "v4.0":
        names = ("CreditorAgent", "UltimateCreditor", "UltimateDebtor", "RegulatoryReporting")
        optional |= {name: Shape() for name in names}
    required = {
        "InstructionIdentification": Text(1, 35),
        "EndToEndIdentification": Text(1, 35),
        "InstructedAmount": AMOUNT,
        "CreditorAccount": _account(version, named=True),
    }
    return Members(required, optional)


def _risk(version: str) -> Members:
    shared: dict[str, Shape] = {
        "MerchantCategoryCode": Text(3, 4),
        "MerchantCustomerIdentification": Text(1, 70),
        "BeneficiaryPrepopulatedIndicator": Flag(),
        "BeneficiaryAccountType": Text(1, 128),
        "DeliveryAddress": ADDRESS,
    }
    if version == "v3.1":
        # The misspelt name is the standard's own.
        own = {"ContractPresentInidicator": Flag(), "PaymentPurposeCode": Text(3, 4)}
        return Members(optional={**shared, **own, "PaymentContextCode": OneOf(CONTEXTS_V3)})
    purposes = {"PaymentPurposeCode": OneOf(PURPOSES_V4), "CategoryPurposeCode": Text(1, 4)}
    own = {"ContractPresentIndicator": Flag(), "PaymentContextCode": OneOf(CONTEXTS_V4)}
    return Members(optional={**shared, **own, **purposes})


def _consent(version: str) -> Members:
    optional: dict[str, Shape] = {
        "ReadRefundAccount": OneOf({"Yes", "No"}),
        "Authorisation": Members({"AuthorisationType": OneOf({"Any", "Single"})}, {"CompletionDateTime": Moment()}),
        "SCASupportData": Shape(),
    }
    return Members({"Data": Members({"Initiation": _initiation(version)}, optional), "Risk": _risk(version)})


def _payment(version: str) -> Members:
    data = Members({"ConsentId": Text(1, 128), "Initiation": _initiation(version)})
    return Members({"Data": data, "Risk": _risk(version)})


CONSENTS: Final = {version: _consent(version) for version in ("v3.1", "v4.0")}
PAYMENTS: Final = {version: _payment(version) for version in ("v3.1", "v4.0")}
ACCOUNT_CONSENT: Final = Members(
    {
        "Data": Members(
            {"Permissions": Listing(OneOf(PERMISSIONS), least=1)},
            {name: Moment() for name in ("ExpirationDateTime", "TransactionFromDateTime", "TransactionToDateTime")},
        ),
        "Risk": Members(),
    }
)
