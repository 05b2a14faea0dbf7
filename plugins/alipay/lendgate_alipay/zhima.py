"""Zhima: does a person's score reach a threshold, and is a person who they say they are: zhima.*

Rules
- The threshold goes out and Y, N or N/A comes back; the score never does. N/A is neither a pass nor a failure.
- A certification is done by the person behind a signed link. What a browser brings back proves nothing: the query does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from gateway import (
    ByPartnerId,
    CheckThreshold,
    CreditReportInitiation,
    FetchReport,
    NotUnderstood,
    Remembered,
    Replay,
    ReportFact,
    ReportInquiry,
    RequestReport,
    SignedLink,
    Wire,
    hours,
    minutes,
    report_terms,
)
from lendgate_alipay import codes
from lendgate_alipay.desk import Desk, named, wrong
from lendgate_alipay.messages import CertificationHeard, CertificationStart, CheckHeard, Identity, ScoreCheck

__all__ = ["Zhima"]

CERTIFICATION_LIFE: Final = minutes(30)  # how long we offer the link; how long it would work is not published
OUTCOMES: Final[Mapping[str | None, Any]] = {"Y": "passed", "N": "not_passed", "N/A": "no_record"}
CERTIFIED: Final[Mapping[str | None, Any]] = {"true": "passed", "false": "not_passed"}
DOCUMENTS: Final = {"national_id": "IDENTITY_CARD", "passport": "PASSPORT", "partner_user_id": "ALIPAY_USER_ID"}


class Zhima(Desk, CheckThreshold, RequestReport, FetchReport):
    """The part of the adapter for credit and identity."""

    @report_terms(
        required=("threshold",),
        key=Remembered(hours(24)),
        inquiry=(Replay(),),
        footprint="soft",
        codes=codes.CHECK,
        source="zhima.credit.score.brief.get",
    )
    async def check_threshold(self, report: CreditReportInitiation, wire: Wire) -> ReportFact:
        threshold = report.threshold or 0
        if not 350 <= threshold <= 950:
            raise wrong("threshold", "must lie between 350 and 950")
        if self.settings.thresholds and threshold not in self.settings.thresholds:
            raise wrong("threshold", f"must be one of {', '.join(map(str, self.settings.thresholds))}, as agreed")
        kind, number = _document(report)
        if report.person.name is None and kind != "ALIPAY_USER_ID":
            raise wrong("person.name", "is needed with a document")
        body = ScoreCheck(
            transaction_id=report.partner_key,
            cert_type=kind,
            cert_no=number,
            name=report.person.name,
            admittance_score=threshold,
        )
        heard = (await wire.act(self.call("zhima.credit.score.brief.get", body))).parse(CheckHeard)
        return ReportFact(
            code=heard.said,
            message=heard.message,
            references=named(biz_no=heard.biz_no),
            outcome=OUTCOMES.get(heard.is_admittance),
        )

    @report_terms(
        required=("person.name", "person.identifiers"),
        key=Remembered(),
        inquiry=(ByPartnerId("biz_no"), Replay()),
        rhythm=(5, 10, 15, 30, 60, 300, 900, 3600),
        codes=codes.CERTIFICATION,
        source="zhima.customer.certification.initialize",
    )
    async def request_report(self, report: CreditReportInitiation, wire: Wire) -> ReportFact:
        if report.product != "identity":
            raise wrong("product", "must be threshold_check or identity: this partner gives no other report")
        number = report.person.identifier("national_id")
        if number is None or report.person.name is None:
            raise wrong("person.identifiers", "must hold a national_id: only identity cards are certified")
        person = Identity(cert_name=report.person.name, cert_no=number)
        body = CertificationStart(
            transaction_id=report.partner_key,
            biz_code=self.settings.certification_code,
            identity_param=person.model_dump_json(),
        )
        request = self.call("zhima.customer.certification.initialize", body)
        heard = (await wire.act(request)).parse(CertificationHeard)
        if heard.said == "10000" and not heard.biz_no:
            raise NotUnderstood("the certification was accepted, but no biz_no came")
        link = None
        if heard.biz_no:
            back = f"{report.handoff.return_url}?{urlencode({'state': report.handoff.state})}"
            page = self.call("zhima.customer.certification.certify", {"biz_no": heard.biz_no}, return_url=back)
            link = SignedLink(self.settings.gateway_url, CERTIFICATION_LIFE, request=page)
        return ReportFact(
            code=heard.said, message=heard.message, references=named(biz_no=heard.biz_no), next_action=link
        )

    @report_terms(codes=codes.CERTIFIED, source="zhima.customer.certification.query")
    async def fetch_report(self, inquiry: ReportInquiry, wire: Wire) -> ReportFact:
        body = {"biz_no": inquiry.partner_references["biz_no"]}
        heard = (await wire.ask(self.call("zhima.customer.certification.query", body))).parse(CertificationHeard)
        return ReportFact(
            code=heard.said,
            message=heard.failed_reason or heard.message,
            outcome=CERTIFIED.get(heard.passed),
        )


def _document(report: CreditReportInitiation) -> tuple[str, str]:
    """The person's document as Zhima names it, and its number."""
    for scheme, kind in DOCUMENTS.items():
        number = report.person.identifier(scheme)
        if number is None and scheme == "partner_user_id":
            number = report.person.partner_user_id
        if number is not None:
            return kind, number
    raise wrong("person.identifiers", f"must hold one of {', '.join(DOCUMENTS)}")
