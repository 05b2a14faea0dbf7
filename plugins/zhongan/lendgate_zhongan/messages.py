"""Bodies of the sample policy service (`zhongan.open.common.*`). Every value travels as text.

Source: public integration code; the platform publishes no business catalogue. Money is yuan, moments are Beijing time.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Final

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints

from gateway import Address, Model, Money, NotUnderstood, Party, Reply, understood
from lendgate_zhongan.signing import BEIJING

__all__ = ["Application", "Heard", "Insured", "PolicyHolder", "PolicyQuery", "local", "moment", "text_of"]

CERTIFICATES: Final = {"national_id": "I", "passport": "P", "company_number": "102"}
"""Kinds of identity documents: ours to theirs. Other codes exist and are not published."""


class PolicyHolder(Model):
    """Who buys (`policyHolderUserInfo`, JSON text)."""

    name: Annotated[str, Field(serialization_alias="policyHolderUserName")]
    certificate_type: Annotated[str, Field(serialization_alias="policyHolderCertiType")]
    certificate: Annotated[str, Field(serialization_alias="policyHolderCertiNo")]
    phone: Annotated[str | None, Field(serialization_alias="policyHolderPhone")] = None
    birth: Annotated[str | None, Field(serialization_alias="policyHolderBirth")] = None
    email: Annotated[str | None, Field(serialization_alias="policyHolderEmail")] = None
    address: Annotated[str | None, Field(serialization_alias="policyHolderAddr")] = None

    @classmethod
    def of(cls, party: Party) -> PolicyHolder:
        return cls.model_validate(_person(party))


class Insured(Model):
    """Whose life or duty is insured (one element of `insureUserInfo`, JSON text of an array)."""

    name: Annotated[str, Field(serialization_alias="insureUserName")]
    certificate_type: Annotated[str, Field(serialization_alias="insureCertiType")]
    certificate: Annotated[str, Field(serialization_alias="insureCertiNo")]
    phone: Annotated[str | None, Field(serialization_alias="insurePhone")] = None
    birth: Annotated[str | None, Field(serialization_alias="insureBirth")] = None
    email: Annotated[str | None, Field(serialization_alias="insureEmail")] = None
    address: Annotated[str | None, Field(serialization_alias="insureAddr")] = None

    @classmethod
    def of(cls, party: Party) -> Insured:
        return cls.model_validate(_person(party))


class Application(Model):
    """Asked of validatePolicy and addPolicy."""

    product_mask: Annotated[str, Field(serialization_alias="productMask")]
    channel_id: Annotated[str, Field(serialization_alias="channelId")]
    order: Annotated[str, Field(serialization_alias="channelOrderNo")]
    holder: Annotated[str, Field(serialization_alias="policyHolderUserInfo")]
    insured: Annotated[str, Field(serialization_alias="insureUserInfo")]
    premium: str
    sum_insured: Annotated[str, Field(serialization_alias="sumInsured")]
    begin: Annotated[str, Field(serialization_alias="policyBeginDate")]
    end: Annotated[str, Field(serialization_alias="policyEndDate")]
    extra: Annotated[str | None, Field(serialization_alias="extraInfo")] = None


class PolicyQuery(Model):
    """Asked of queryPolicyInfo; that it takes our order number is an assumption."""

    order: Annotated[str, Field(serialization_alias="channelOrderNo")]


Text = Annotated[str, StringConstraints(max_length=512)]


class Heard(BaseModel):
    """What a proven reply says, wherever in it that stands; members that we do not read are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    success: Annotated[bool | str | None, Field(validation_alias="isSuccess")] = None
    error: Annotated[Text | None, Field(validation_alias="errorCode")] = None
    detail: Annotated[str | None, Field(validation_alias=AliasChoices("errorMsg", "errorMessage"))] = None
    policy_no: Annotated[Text | None, Field(validation_alias="policyNo")] = None
    premium: Text | None = None
    sum_insured: Annotated[Text | None, Field(validation_alias="sumInsured")] = None
    begin: Annotated[Text | None, Field(validation_alias="policyBeginDate")] = None
    end: Annotated[Text | None, Field(validation_alias="policyEndDate")] = None
    url: Annotated[Text | None, Field(validation_alias="policyDownloadUrl")] = None

    @classmethod
    def of(cls, reply: Reply) -> Heard:
        """Read the envelope's errors, then bizContent, then the text member `resultJson`; the innermost wins."""
        outer = reply.json()
        if not isinstance(outer, dict):
            raise NotUnderstood("the reply holds no object")
        business = outer.pop("bizContent", {})
        if not isinstance(business, dict):
            raise NotUnderstood("bizContent holds no object")
        inner: Any = {}
        if "resultJson" in business:
            try:
                inner = json.loads(business["resultJson"])
            except (TypeError, ValueError, RecursionError):
                raise NotUnderstood("resultJson is not JSON text") from None
            if not isinstance(inner, dict):
                raise NotUnderstood("resultJson holds no object")
        return understood(cls, {**outer, **business, **inner})

    @property
    def accepted(self) -> bool | None:
        """Y or N; where nothing is said, a policy number without an error says Y. Any other word says nothing."""
        if self.success in ("Y", True):
            return None if self.error not in (None, "", "0") else True
        if self.success in ("N", False):
            return False
        return True if self.success is None and self.policy_no and not self.error else None

    @property
    def message(self) -> str | None:
        """The insurer's own code and words."""
        said = ": ".join(part for part in (self.error, self.detail) if part)
        return said[:500] or None


def text_of(value: Model | list[Model]) -> str:
    """A model, or a list of them, as the JSON text that travels inside a text member."""
    rows = [value] if isinstance(value, Model) else value
    dumped = [row.model_dump_json(by_alias=True, exclude_none=True) for row in rows]
    return dumped[0] if isinstance(value, Model) else f"[{','.join(dumped)}]"


def local(instant: datetime, form: str) -> str:
    """A moment on Beijing's wall clock; `form` is the protocol's own pattern."""
    return instant.astimezone(BEIJING).strftime({"yyyyMMddHHmmss": "%Y%m%d%H%M%S", "yyyy-MM-dd": "%Y-%m-%d"}[form])


def moment(text: str | None, *, end_of_day: bool = False) -> datetime | None:
    """A moment in either form. A bare date means its first second, or its last. Raises `NotUnderstood`."""
    if not text:
        return None
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return datetime.combine(day, time(23, 59, 59) if end_of_day else time(), BEIJING).astimezone(UTC)
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        raise NotUnderstood("a policy date is neither yyyyMMddHHmmss nor yyyy-MM-dd") from None


def money(text: str | None) -> Money | None:
    """Yuan as decimal text. Raises `NotUnderstood`."""
    if not text:
        return None
    try:
        return Money.of(text, "CNY")
    except ValueError:
        raise NotUnderstood("an amount is not yuan in decimal text") from None


def _person(party: Party) -> dict[str, str | None]:
    """Name and first usable document of a person, as both kinds of members need them."""
    document = next((found for found in party.identifiers if found.scheme in CERTIFICATES), None)
    if party.name is None or document is None:
        raise LookupError(f"a name and one of {', '.join(CERTIFICATES)}")
    return {
        "name": party.name,
        "certificate_type": CERTIFICATES[document.scheme],
        "certificate": document.value,
        "phone": party.phone,
        "birth": party.birth_date.replace("-", "") if party.birth_date else None,
        "email": party.email,
        "address": _address(party.address) if party.address else None,
    }


def _address(address: Address) -> str | None:
    parts = (address.province, address.city, address.district, address.street)
    return "".join(part for part in parts if part) or None
