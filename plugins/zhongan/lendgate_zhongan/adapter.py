"""ZhongAn's legacy open platform with a *sample* policy service: check, bind and fetch a credit-life policy.

Rules
- The envelope is the insurer's own; the service (`zhongan.open.common.*`) is a sample, for real products differ by
  contract and no catalogue is public. Products, premium rates and further codes are therefore settings.
- LEGACY: SHA1withRSA and RSAES-PKCS1-v1_5. Nothing works until the operator sets `legacy_sha1 = true`.
- One code is published for this service (307). Any other refusal of a bind is believed only after an inquiry.
"""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints, model_validator

from gateway import (
    FAILED,
    NOT_FOUND,
    SEEN,
    SUCCEEDED,
    Adapter,
    BindPolicy,
    ByKey,
    FetchPolicy,
    FieldError,
    Invalid,
    KeyForm,
    Model,
    Money,
    NewQuote,
    Offer,
    PolicyBinding,
    PolicyFact,
    PolicyInquiry,
    QuoteFact,
    QuotePolicy,
    QuoteRequest,
    Remembered,
    Reply,
    Request,
    Settings,
    Wire,
    minutes,
    policy_terms,
    quote_terms,
)
from lendgate_zhongan.messages import (
    Application,
    Heard,
    Insured,
    PolicyHolder,
    PolicyQuery,
    local,
    moment,
    money,
    text_of,
)
from lendgate_zhongan.signing import LegacyEnvelope, canonical

__all__ = ["Product", "Zhongan", "ZhonganSettings"]

SERVICES: Final = "zhongan.open.common."
LIMIT: Final = "307"  # liability limit of the insured exceeded; the only code that public code shows
PlainText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.\-]{1,64}$")]


class Product(Model):
    """One product of the contract."""

    product_mask: Annotated[PlainText, Field(description="productMask of the contract")]
    premium_rate: Annotated[
        str,
        StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,8})?$"),
        Field(description="Premium for each yuan insured"),
    ]


class ZhonganSettings(Settings):
    """One contract with the insurer."""

    base_url: Annotated[str, Field(description="The insurer's gateway, without /Gateway.do")]
    app_key: Annotated[PlainText, Field(description="appKey of the merchant")]
    channel_id: Annotated[PlainText, Field(description="channelId of the contract")]
    products: Annotated[
        dict[str, Product], Field(description="Our product name (credit_life, …) to the contract's terms")
    ]
    legacy_sha1: Annotated[bool, Field(description="Accept SHA1withRSA and PKCS#1 v1.5, which this platform needs")] = (
        False
    )
    allow_plain_http: Annotated[bool, Field(description="Allow http:// (tests, or a private line)")] = False
    rsa_bits: Annotated[Literal[1024, 2048, 3072, 4096], Field(description="Size of both sides' RSA keys")] = 2048
    block_bytes: Annotated[int, Field(ge=16, le=501, description="Plaintext bytes in one RSA block")] = 117
    clock_tolerance_minutes: Annotated[int, Field(ge=1, le=60, description="How old a signed reply may be")] = 10
    date_format: Annotated[
        Literal["yyyyMMddHHmmss", "yyyy-MM-dd"], Field(description="How the product writes policy dates")
    ] = "yyyyMMddHHmmss"
    not_found_codes: Annotated[
        tuple[str, ...],
        Field(description="errorCode values by which queryPolicyInfo says that there is no such policy"),
    ] = ()

    @model_validator(mode="after")
    def _legacy_is_accepted(self) -> ZhonganSettings:
        if not self.legacy_sha1:
            raise ValueError("this platform signs with SHA-1; set legacy_sha1 = true to accept that, or do not use it")
        if not self.base_url.startswith("https://") and not self.allow_plain_http:
            raise ValueError(
                "base_url must begin with https://; set allow_plain_http = true for a test or private line"
            )
        if self.block_bytes > self.rsa_bits // 8 - 11:
            raise ValueError("block_bytes is larger than an RSA block of rsa_bits can hold (RFC 8017 section 7.2.1)")
        return self


class Zhongan(Adapter[ZhonganSettings], QuotePolicy, BindPolicy, FetchPolicy):
    """ZhongAn open platform 1.0.0 (legacy envelope), sample policy service."""

    name = "zhongan"
    title = "ZhongAn (sample policy service)"
    version = "1.0.0"

    scheme = LegacyEnvelope("")  # each connection has its own, below

    def __init__(self, settings: ZhonganSettings) -> None:
        super().__init__(settings)
        tolerance = minutes(settings.clock_tolerance_minutes)
        self.scheme = LegacyEnvelope(settings.app_key, settings.rsa_bits, settings.block_bytes, tolerance)

    def code(self, reply: Reply) -> str | None:
        return self._code(Heard.of(reply))

    @quote_terms(
        currencies={"CNY"},
        required=("insured.name", "insured.identifiers", "insured.phone"),
        # validatePolicy has no effect, so each refusal is definite.
        codes={"Y": SUCCEEDED, "N": FAILED, LIMIT: FAILED},
        source="zhongan.open.common.validatePolicy",
    )
    async def quote_policy(self, quote: QuoteRequest, wire: Wire) -> QuoteFact:
        product = self._product(quote)
        rate = Decimal(product.premium_rate)
        premium = (quote.sum_insured.amount * rate).quantize(Decimal("0.01"), ROUND_HALF_UP)
        application = self._application(quote, product, quote.partner_key, Money.of(premium, "CNY"))
        heard = Heard.of(await wire.ask(self._request("validatePolicy", application)))
        offer = Offer(
            premium=money(heard.premium) or Money.of(premium, "CNY"),
            sum_insured=money(heard.sum_insured) or quote.sum_insured,
        )
        return QuoteFact(code=self._code(heard), message=heard.message, offers=(offer,) if heard.accepted else ())

    @policy_terms(
        currencies={"CNY"},
        required=("quote",),
        key=Remembered(form=KeyForm(32)),
        inquiry=(ByKey(),),
        settle_window=minutes(10),  # not published
        codes={
            "Y": SUCCEEDED,
            LIMIT: FAILED,
            # Refused, by a code that nobody publishes: it may be the repeat of a bind that worked. Ask by our number.
            "N": SEEN,
        },
        statuses={"Y": "in_force"},
        source="zhongan.open.common.addPolicy",
    )
    async def bind_policy(self, policy: PolicyBinding, wire: Wire) -> PolicyFact:
        if policy.quoted is None or policy.chosen is None:
            raise Invalid("this insurer binds on a quote", fields=[FieldError("quote", "name the quote to bind")])
        product = self._product(policy.quoted)
        application = self._application(policy.quoted, product, policy.partner_key, policy.chosen.premium)
        return self._fact(await wire.act(self._request("addPolicy", application)))

    @policy_terms(
        codes={"Y": SUCCEEDED, "NOT_FOUND": NOT_FOUND},
        statuses={"Y": "in_force"},
        source="zhongan.open.common.queryPolicyInfo",
    )
    async def fetch_policy(self, inquiry: PolicyInquiry, wire: Wire) -> PolicyFact:
        return self._fact(await wire.ask(self._request("queryPolicyInfo", PolicyQuery(order=inquiry.partner_key))))

    def _request(self, service: str, business: Model) -> Request:
        """The form before the envelope: its scheme encrypts, adds the public fields and signs."""
        plain = canonical(business.model_dump(by_alias=True, exclude_none=True)).decode()
        return Request.form(
            f"{self.settings.base_url}/Gateway.do", {"serviceName": SERVICES + service, "bizContent": plain}
        )

    def _application(self, quote: NewQuote, product: Product, order: str, premium: Money) -> Application:
        try:
            holder = PolicyHolder.of(quote.policy_holder or quote.insured)
            insured = Insured.of(quote.insured)
        except LookupError as missing:
            wrong = [FieldError("insured.identifiers", f"needs {missing.args[0]}")]
            raise Invalid("the insurer must know who is insured", fields=wrong) from None
        extra = {"loanNo": quote.links_to.get("loan"), "beneficiaryName": quote.beneficiary and quote.beneficiary.name}
        told = {name: value for name, value in extra.items() if value}
        return Application(
            product_mask=product.product_mask,
            channel_id=self.settings.channel_id,
            order=order,
            holder=text_of(holder),
            insured=text_of([insured]),
            premium=str(premium.amount),
            sum_insured=str(quote.sum_insured.amount),
            begin=local(quote.starts_at, self.settings.date_format),
            end=local(quote.ends_at, self.settings.date_format),
            extra=json.dumps(told, ensure_ascii=False, separators=(",", ":")) if told else None,
        )

    def _product(self, quote: NewQuote) -> Product:
        product = self.settings.products.get(quote.product)
        if product is None:
            offered = ", ".join(sorted(self.settings.products))
            wrong = [FieldError("product", f"is one of {offered} in this contract")]
            raise Invalid("the contract has no such product", fields=wrong)
        return product

    def _code(self, heard: Heard) -> str | None:
        """Y, N, 307 or NOT_FOUND; an error outside the service (a bad signature, say) keeps its own code."""
        if heard.accepted:
            return "Y"
        if heard.accepted is None or heard.error is None:
            return None if heard.error in ("Y", "N", "NOT_FOUND") else heard.error  # ours, never theirs
        if heard.error in self.settings.not_found_codes:
            return "NOT_FOUND"
        return LIMIT if heard.error == LIMIT else "N"

    def _fact(self, reply: Reply) -> PolicyFact:
        heard = Heard.of(reply)
        return PolicyFact(
            code=self._code(heard),
            message=heard.message,
            references={"policy_no": heard.policy_no} if heard.policy_no else {},
            amount=money(heard.premium),
            number=heard.policy_no,
            sum_insured=money(heard.sum_insured),
            starts_at=moment(heard.begin),
            ends_at=moment(heard.end, end_of_day=True),
            certificate_url=heard.url,
        )
