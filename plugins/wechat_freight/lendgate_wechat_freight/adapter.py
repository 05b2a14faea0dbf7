"""WeChat mini-program return-freight insurance (退货运费险): insure a paid order, claim, and follow both.

Rules
- The platform signs nothing. What proves an answer is the TLS peer; the token proves us.
- One WeChat Pay transaction is insured once, for ever: its number is the key. One policy has one claim: the return
  waybill is its key.
- There is no callback and no sandbox: state comes from getorderlist. A code whose meaning the pages leave open is
  never believed before it was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from gateway import (
    BUSY,
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    SEEN,
    SUCCEEDED,
    TOKEN_REFUSED,
    UNKNOWN,
    Adapter,
    AppToken,
    BindPolicy,
    ByKey,
    Claim,
    ClaimFact,
    ClaimInquiry,
    FetchClaim,
    FetchPartnerBalance,
    FetchPolicy,
    FieldError,
    FileClaim,
    InQuery,
    Invalid,
    Memory,
    Model,
    Money,
    Natural,
    NotUnderstood,
    PartnerBalance,
    PolicyBinding,
    PolicyFact,
    PolicyInquiry,
    Proof,
    Remembers,
    Reply,
    Request,
    Secret,
    Settings,
    TokenPaths,
    Unsigned,
    Wire,
    claim_terms,
    minutes,
    partner_balance_terms,
    policy_terms,
)
from lendgate_wechat_freight.messages import ClaimFiling, Heard, OrderCreation, OrderQuery, moment

__all__ = ["WechatFreight", "WechatFreightSettings"]

# "insurance_freight" pages, error codes, and the platform's code table for tokens and quotas.
TOKEN: Final = dict.fromkeys(("40001", "40014", "41001", "42001"), TOKEN_REFUSED)
QUOTA: Final = {"45009": NOT_PROCESSED, "45011": BUSY}  # of a day, of a minute: not executed
REFUSED: Final = dict.fromkeys(
    (
        "2",  # a parameter is missing
        "1010",  # a time is wrong, such as a payment older than three days
        "2004",  # insurance is not opened
        "2008",  # paused for risk: an operator must ask the platform
        "2011",  # order_no or openid wrong
        "2012",  # not an order of this mini-program
        "2013",  # pay_time wrong
        "2014",  # pay_amount wrong
        "2028",  # the waybill has no track yet: later it may
        "4001",  # the premium account is short: after a recharge it may
        "41009",  # openid is missing
        "48001",  # no permission for this interface
    ),
    FAILED,
)
OPEN: Final = {
    # Busy or internal: the pages leave open whether it was done. Ask by the number; believe nothing else.
    "-1": UNKNOWN,
    "-202": UNKNOWN,
    "1011": SEEN,  # the waybill was used: perhaps by ourselves
    # 1000 and 2021 occur and are not documented: not listed here, so they stay unknown.
}
INQUIRY: Final = {**TOKEN, "45009": NOT_PROCESSED, "45011": BUSY, "-1": BUSY, "-202": BUSY, "none": NOT_FOUND}
POLICY_STATUSES: Final = {
    "status 2": "in_force",
    "status 4": "in_force",  # a claim is running
    "status 5": "expired",  # paid: one policy covers one return
    "status 6": "in_force",  # the claim failed
    "status 7": "expired",
    # 1 and 3 are not published: the status that stood before stays.
}
CLAIM_STATUSES: Final = {"status 4": "in_review", "status 5": "paid", "status 6": "rejected"}
DAY: Final = 86_400.0
END_OF_COVER: Final = (90 * DAY + 3600,)
UNTIL_DECIDED: Final = (3600.0, DAY, 2 * DAY, 4 * DAY, 7 * DAY, 14 * DAY, 30 * DAY)
"""Seconds between looks at what a filed claim has become: there is no callback."""
ADDRESSES: Final = tuple(
    f"parcel.{end}.{part}" for end in ("sent_from", "sent_to") for part in ("province", "city", "district", "street")
)


class WechatFreightSettings(Settings):
    """One mini-program."""

    base_url: Annotated[str, Field(description="The platform's API, such as https://api.weixin.qq.com")]
    appid: Annotated[str, StringConstraints(pattern="^wx[0-9a-f]{16}$"), Field(description="The mini-program's appid")]
    goods_url: Annotated[str | None, Field(description="Link for goods that name none themselves")] = None


class PolicyMemory(Memory):
    """Who is insured: a claim must name the same person."""

    openid: str


class ClaimOptions(Model):
    """`partner_options.wechat_freight` of a claim."""

    openid: Annotated[
        str | None, Field(description="The insured person's openid, if the policy was not bound here")
    ] = None


def application_token(settings: WechatFreightSettings) -> AppToken:
    """`/cgi-bin/stable_token` in normal mode: it may be asked for at any time without ending anybody's token."""
    return AppToken(
        name="application",
        url=f"{settings.base_url}/cgi-bin/stable_token",
        members={
            "grant_type": "client_credential",
            "appid": settings.appid,
            "secret": Secret("app_secret"),
            "force_refresh": False,
        },
        placement=InQuery("access_token"),
        paths=TokenPaths(error="errcode"),
        refused=frozenset(TOKEN),
    )


class WechatFreight(
    Adapter[WechatFreightSettings],
    BindPolicy,
    FetchPolicy,
    FileClaim,
    FetchClaim,
    FetchPartnerBalance,
    Remembers[PolicyMemory],
):
    """WeChat mini-program, interfaces insurance_freight and stable_token."""

    name = "wechat_freight"
    title = "WeChat return-freight insurance"
    version = "insurance_freight"
    scheme = Unsigned()

    def __init__(self, settings: WechatFreightSettings) -> None:
        super().__init__(settings)
        self.token = application_token(settings)

    def code(self, reply: Reply) -> str | None:
        return reply.parse(Heard).code

    @policy_terms(
        currencies={"CNY"},
        required=("insured.partner_user_id", "parcel", "parcel.order_path", *ADDRESSES),
        key=Natural("parcel.payment_reference"),
        inquiry=(ByKey(),),
        settle_window=minutes(10),  # how soon getorderlist shows a new order is not published
        watch=END_OF_COVER,
        proof=Proof.CHANNEL,
        codes={
            "0": SUCCEEDED,
            **TOKEN,
            **QUOTA,
            **REFUSED,
            **OPEN,
            "2015": SEEN,  # another error about the order; also what a second createorder is assumed to get
        },
        statuses={"0": "in_force"},
        source="insurance_freight/createorder",
    )
    async def bind_policy(self, policy: PolicyBinding, wire: Wire) -> PolicyFact:
        openid = policy.insured.partner_user_id if policy.insured else None
        if policy.parcel is None or openid is None:
            raise Invalid("this insurer covers one parcel of one person", fields=MISSING)
        order = OrderCreation.of(openid, policy.parcel, self.settings.goods_url)
        heard = (await wire.act(self._post("createorder", order), self.token)).parse(Heard)
        return PolicyFact(
            code=heard.code,
            message=heard.message,
            references=_named(policy_no=heard.policy_no),
            amount=_yuan(heard.premium),
            number=heard.policy_no,
            sum_insured=_yuan(heard.estimate_amount),
            ends_at=moment(heard.insurance_end_date),
            memory=PolicyMemory(openid=openid),
        )

    @policy_terms(
        proof=Proof.CHANNEL,
        codes={**INQUIRY, **dict.fromkeys(POLICY_STATUSES, SUCCEEDED)},
        statuses=POLICY_STATUSES,
        source="insurance_freight/getorderlist",
    )
    async def fetch_policy(self, inquiry: PolicyInquiry, wire: Wire) -> PolicyFact:
        heard = await self._order(inquiry.partner_key, wire)
        row = heard.row
        if row is None:
            return PolicyFact(code=heard.code, message=heard.message)
        return PolicyFact(
            code=heard.code,
            partner_key=row.order_no,
            references=_named(policy_no=row.policy_no, report_no=row.report_no),
            amount=_yuan(row.premium),
            number=row.policy_no,
            sum_insured=_yuan(row.estimate_amount),
            ends_at=moment(row.insurance_end_date),
        )

    @claim_terms(
        required=("return_waybill", "return_carrier"),
        key=Natural("return_waybill"),
        inquiry=(ByKey(),),
        watch=UNTIL_DECIDED,
        settle_window=minutes(10),
        proof=Proof.CHANNEL,
        options=ClaimOptions,
        codes={
            "0": SUCCEEDED,
            **TOKEN,
            **QUOTA,
            **REFUSED,
            **OPEN,
            "2007": SEEN,  # claimed already: it is ours if the list shows our waybill
            "2009": SEEN,  # no policy: believed after one look into the list
        },
        statuses={"0": "filed"},
        source="insurance_freight/claim",
    )
    async def file_claim(self, claim: Claim, wire: Wire) -> ClaimFact:
        if claim.parent is None or claim.return_waybill is None or claim.return_carrier is None:
            raise Invalid("this insurer pays for one return of one policy", fields=MISSING_RETURN)
        filing = ClaimFiling(
            openid=_openid(claim),
            order_no=claim.parent.partner_key,
            refund_delivery_no=claim.return_waybill,
            refund_company=claim.return_carrier,
        )
        heard = (await wire.act(self._post("claim", filing), self.token)).parse(Heard)
        return ClaimFact(code=heard.code, message=heard.message, references=_named(report_no=heard.report_no))

    @claim_terms(
        proof=Proof.CHANNEL,
        codes={**INQUIRY, **dict.fromkeys(CLAIM_STATUSES, SUCCEEDED)},
        statuses=CLAIM_STATUSES,
        source="insurance_freight/getorderlist",
    )
    async def fetch_claim(self, inquiry: ClaimInquiry, wire: Wire) -> ClaimFact:
        if inquiry.parent is None:
            raise NotUnderstood("a claim is found by its policy, and no policy was named")
        heard = await self._order(inquiry.parent.partner_key, wire)
        row = heard.row
        if row is None:
            return ClaimFact(code=heard.code, message=heard.message)
        if not row.report_no:
            return ClaimFact(code="none")
        return ClaimFact(
            code=heard.code,
            message=row.pay_fail_reason or None,
            partner_key=row.refund_delivery_no,
            references=_named(report_no=row.report_no, policy_no=row.policy_no),
            at=datetime.fromtimestamp(row.pay_finish_time, UTC) if row.pay_finish_time else None,
        )

    @partner_balance_terms(
        proof=Proof.CHANNEL, codes={**INQUIRY, "0": SUCCEEDED}, source="insurance_freight/getsummary"
    )
    async def fetch_partner_balance(self, nothing: None, wire: Wire) -> PartnerBalance:
        reply = await wire.ask(self._post("getsummary", {}), self.token)
        heard = reply.parse(Heard)
        available = _yuan(heard.funds)
        if available is None:
            raise NotUnderstood(f"getsummary shows no funds (errcode {heard.errcode}); is the insurance opened?")
        premium = heard.premium or 0
        details = {
            "premium": str(_yuan(heard.premium) or ""),
            "insured_orders": str(heard.total or 0),
            "claims": str(heard.claim_num or 0),
            "claims_paid": str(heard.claim_succ_num or 0),
            "insuring_stopped": str(heard.need_close).lower(),
        }
        low = heard.need_close or (heard.funds or 0) < premium  # the next order would be refused
        return PartnerBalance(available=available, as_of=reply.received_at, low=low, details=details)

    def _post(self, call: str, body: Model | Mapping[str, object]) -> Request:
        return Request.post(f"{self.settings.base_url}/wxa/business/insurance_freight/{call}", body)

    async def _order(self, order_no: str, wire: Wire) -> Heard:
        query = OrderQuery(order_no=order_no)
        return (await wire.ask(self._post("getorderlist", query), self.token)).parse(Heard)


NEEDED: Final = "is needed by this partner"
MISSING: Final = [FieldError("parcel", NEEDED), FieldError("insured.partner_user_id", f"{NEEDED}: the payer's openid")]
MISSING_RETURN: Final = [FieldError("return_waybill", NEEDED), FieldError("return_carrier", NEEDED)]


def _openid(claim: Claim) -> str:
    """The insured person's, as remembered with the policy or as the caller says."""
    said = claim.options.get("openid")
    if said:
        return str(said)
    if claim.parent is not None and isinstance(claim.parent.memory, PolicyMemory):
        return claim.parent.memory.openid
    wrong = [FieldError("partner_options.wechat_freight.openid", f"{NEEDED}: nobody remembers it")]
    raise Invalid("a claim must name the insured person", fields=wrong)


def _yuan(fen: int | None) -> Money | None:
    return None if fen is None else Money.from_minor(fen, "CNY")


def _named(**references: str | None) -> dict[str, str]:
    return {name: value for name, value in references.items() if value}
