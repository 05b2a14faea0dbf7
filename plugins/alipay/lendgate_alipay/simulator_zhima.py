"""Zhima at the institution's side: the admittance check of a score, and the certification of an identity.

Rules
- One transaction_id gives one result for a day and is charged once; later it is spent, with other words it is refused.
- The score itself never leaves: an answer is Y, N, or N/A where there is nothing to go by.
- The ledger gets `report` and `identity`, by transaction_id.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.model.clock import Clock
from gateway.sandbox import Effect, Ledger
from lendgate_alipay.simulator_envelope import Call, wall_clock
from lendgate_alipay.simulator_fields import Fields, Refused, magic, unknown

__all__ = ["Certification", "ZhimaDesk"]

SCORE_PRODUCT: Final = "w1010100000000002733"
CERTIFICATION_PRODUCT: Final = "w1010100000000002978"
REMEMBERED: Final = timedelta(seconds=86400)
CERTIFICATION_LIFE: Final = timedelta(hours=24)  # not published; assumed
BIZ_CODES: Final = ("FACE", "FACE_SDK", "SMART_FACE", "CERT_PHOTO", "CERT_PHOTO_FACE")
DOCUMENTS: Final = {
    "IDENTITY_CARD": re.compile(r"[0-9]{17}[0-9X]\Z"),
    "PASSPORT": re.compile(r"[A-Z0-9]{5,20}\Z"),
    "ALIPAY_USER_ID": re.compile(r"2088[0-9]{12}\Z"),
}
SCORES: Final[Mapping[str, int | None]] = {
    "0": 650,
    "1": 480,
    "2": None,
    "3": 599,
    "4": 601,
    "5": 620,
    "6": 660,
    "7": 700,
    "8": 750,
    "9": 820,
    "X": 700,
}
"""Score by the last character of the document's number; None: there is no record of this person."""
USUAL_SCORE: Final = 650


@dataclass(frozen=True)
class Checked:
    """What one transaction_id was asked with, and what it got."""

    asked: str
    at: datetime
    answer: Mapping[str, Any]


@dataclass
class Certification:
    """One identity check; `passed` is None until the person has done it."""

    biz_no: str
    asked: str
    begun_at: datetime
    passed: bool | None = None


class ZhimaDesk:
    """Scores and certifications of the sandbox's people."""

    def __init__(self, clock: Clock, ledger: Ledger) -> None:
        self.checked: dict[str, Checked] = {}
        self.certifications: dict[str, Certification] = {}
        self.scores: dict[str, int | None] = {}
        self._clock = clock
        self._ledger = ledger
        self._by_transaction: dict[str, str] = {}

    # What people do

    def certify(self, biz_no: str, *, passed: bool) -> Certification:
        """The person has done what the page asked for. Raises `LookupError`."""
        certification = self.certifications[biz_no]
        if certification.passed is not None or self._over(certification):
            raise LookupError(f"{biz_no} is over")
        certification.passed = passed
        return certification

    def score_of(self, number: str) -> int | None:
        """The score of a person by document number; None where there is no record."""
        return self.scores.get(number, SCORES.get(number[-1:], USUAL_SCORE))

    # The interfaces, with the fields of their pages

    def brief(self, call: Call) -> dict[str, Any]:
        """zhima.credit.score.brief.get"""
        fields = Fields(
            call.biz_content,
            "transaction_id product_code cert_type cert_no name open_id admittance_score linked_merchant_id".split(),
            "",
        )
        transaction = fields.key("transaction_id")
        if fields.text("product_code", 20) != SCORE_PRODUCT:
            raise _refused("api_product_not_match")
        kind = fields.one_of("cert_type", *DOCUMENTS)
        number = fields.text("cert_no", 32)
        if not DOCUMENTS[kind].match(number):
            raise fields.invalid(f"cert_no is no {kind}")
        name = fields.optional("name", 64)
        if name is None and kind != "ALIPAY_USER_ID":
            raise fields.invalid("name is missing")
        threshold = self._threshold(fields)
        answer = self._once(transaction, call, name)
        if answer is None:
            score = self.score_of(number)
            admitted = "N/A" if score is None else "Y" if score >= threshold else "N"
            answer = {"biz_no": f"ZM{len(self.checked) + 1:030d}", "is_admittance": admitted}
            self.checked[transaction] = Checked(_words(call), self._clock.now(), answer)
            self._record("report", transaction)
        if magic(name) == "UNKNOWN":
            raise unknown()
        return dict(answer)

    def initialize(self, call: Call) -> dict[str, Any]:
        """zhima.customer.certification.initialize"""
        fields = Fields(
            call.biz_content,
            "transaction_id product_code biz_code identity_param merchant_config ext_biz_param face_contrast_picture"
            " linked_merchant_id".split(),
            "",
        )
        transaction = fields.key("transaction_id")
        if len(transaction) > 32:
            raise fields.invalid("transaction_id has more than 32 characters")
        if fields.text("product_code", 32) != CERTIFICATION_PRODUCT:
            raise _refused("api_product_not_match")
        fields.one_of("biz_code", *BIZ_CODES)
        name = self._identity(fields)
        for text in ("merchant_config", "ext_biz_param"):
            _object(fields, text, fields.text(text, 4096) if text == "ext_biz_param" else fields.optional(text, 4096))
        known = self._by_transaction.get(transaction)
        if known is not None:
            if self.certifications[known].asked != _words(call):
                raise _refused("transaction_id_repeat")
            return {"biz_no": known}
        _refuse_by_magic(name)
        biz_no = f"ZM{self._clock.now():%Y%m%d}{len(self.certifications) + 1:022d}"
        self.certifications[biz_no] = Certification(biz_no, _words(call), self._clock.now())
        self._by_transaction[transaction] = biz_no
        self._record("identity", transaction)
        if magic(name) == "UNKNOWN":
            raise unknown()
        return {"biz_no": biz_no}

    def query(self, call: Call) -> dict[str, Any]:
        """zhima.customer.certification.query"""
        certification = self.named(call)
        if certification.passed is None:
            if self._over(certification):
                raise _refused("transaction_close")
            return {}
        failed = {} if certification.passed else {"failed_reason": "人脸比对不通过"}
        told = {"identity_info": "{}", "attribute_info": "{}", "channel_statuses": "[]"}
        return {"passed": "true" if certification.passed else "false", **failed, **told}

    def named(self, call: Call) -> Certification:
        """The certification that a page call or a query names. Raises `Refused`."""
        fields = Fields(call.biz_content, ("biz_no",), "")
        certification = self.certifications.get(fields.text("biz_no", 32))
        if certification is None:
            raise fields.invalid("biz_no is unknown")
        return certification

    def state(self) -> Mapping[str, Any]:
        return {
            "checks": {key: {"at": wall_clock(one.at), **one.answer} for key, one in self.checked.items()},
            "certifications": {one.biz_no: one.passed for one in self.certifications.values()},
        }

    def _threshold(self, fields: Fields) -> int:
        threshold = fields.raw("admittance_score")
        if isinstance(threshold, bool) or not isinstance(threshold, int) or not 350 <= threshold <= 950:
            raise fields.invalid("admittance_score is not a number from 350 to 950")
        return threshold

    def _once(self, transaction: str, call: Call, name: str | None) -> Mapping[str, Any] | None:
        """The first result under this id. Refuses what may not be asked."""
        first = self.checked.get(transaction)
        if first is None:
            _refuse_by_magic(name)
            return None
        if self._clock.now() >= first.at + REMEMBERED:
            raise _refused("transaction_id_expired")
        if first.asked != _words(call):
            raise _refused("transaction_id_repeat")
        return first.answer

    def _identity(self, fields: Fields) -> str:
        """The name in the identity, which is JSON inside of JSON."""
        member = _object(fields, "identity_param", fields.text("identity_param", 4096))
        inner = Fields(member, "identity_type cert_type cert_name cert_no principal_id".split(), "")
        inner.one_of("identity_type", "CERT_INFO")
        inner.one_of("cert_type", "IDENTITY_CARD")
        if not DOCUMENTS["IDENTITY_CARD"].match(inner.text("cert_no", 32)):
            raise fields.invalid("identity_param.cert_no is no identity card")
        return inner.text("cert_name", 64)

    def _over(self, certification: Certification) -> bool:
        return self._clock.now() >= certification.begun_at + CERTIFICATION_LIFE

    def _record(self, kind: str, transaction: str) -> None:
        self._ledger.record(Effect(kind, transaction, self._clock.now()))


def _refused(name: str) -> Refused:
    """A code of the retired Zhima gateway: assumed to live on."""
    return Refused("40004", f"ZMCREDIT.{name}", name)


def _refuse_by_magic(name: str | None) -> None:
    word = magic(name)
    if word is not None and word != "UNKNOWN":
        raise _refused(word.lower())


def _words(call: Call) -> str:
    return json.dumps(call.biz_content, sort_keys=True)


def _object(fields: Fields, name: str, text: str | None) -> Mapping[str, Any]:
    try:
        member = json.loads(text or "{}")
    except ValueError:
        member = None
    if not isinstance(member, dict):
        raise fields.invalid(f"{name} is not JSON text of an object")
    return member
