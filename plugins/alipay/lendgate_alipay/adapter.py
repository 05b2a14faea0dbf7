"""Alipay OpenAPI v2: payments by code and their refunds, transfers, Zhima's score check and identity certification.

Rules
- Every call goes to one address: the method stands in the query, what it is about in `biz_content`.
- Our numbers are out_trade_no, out_request_no, out_biz_no and transaction_id; a repeat has the same bytes.
- 10000 says that a call was accepted. What became of the money stands in the word beside it (see `codes`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from gateway import (
    Acknowledgement,
    Adapter,
    Callback,
    Fact,
    FetchKeys,
    Merged,
    NotUnderstood,
    PartnerKeys,
    PaymentFact,
    Proof,
    ReadCallbacks,
    Reply,
    Scheme,
    Wire,
    partner_keys_terms,
    understood,
)
from lendgate_alipay import codes
from lendgate_alipay.certificates import bundle_serial, certificate_serial
from lendgate_alipay.messages import CertificateHeard, Heard, TradeNotice, TransferMessage, moment
from lendgate_alipay.settings import AlipaySettings
from lendgate_alipay.signing import RSA2Envelope
from lendgate_alipay.trades import Trades
from lendgate_alipay.transfers import FundTransfers, transfer_fact
from lendgate_alipay.zhima import Zhima

__all__ = ["Alipay", "AlipaySettings"]


class Alipay(Adapter[AlipaySettings], Trades, FundTransfers, Zhima, FetchKeys, ReadCallbacks):
    """Alipay OpenAPI v2, `gateway.do` with RSA2, in public-key or certificate mode."""

    name = "alipay"
    title = "Alipay"
    version = "OpenAPI v2"

    def __init__(self, settings: AlipaySettings) -> None:
        super().__init__(settings)
        self._scheme = RSA2Envelope(settings.app_id)
        if settings.mode == "certificate":
            self._scheme = RSA2Envelope(
                settings.app_id,
                certificate_serial(settings.app_certificate or ""),
                bundle_serial(settings.root_certificates or ""),
            )

    @property
    def scheme(self) -> Scheme:
        return self._scheme

    def code(self, reply: Reply) -> str | None:
        return reply.parse(Heard).said

    @partner_keys_terms(proof=Proof.CHANNEL, codes=codes.ASKED, source="alipay.open.app.alipaycert.download")
    async def fetch_keys(self, key_id: str, wire: Wire) -> PartnerKeys:
        """The reply may be signed with the very certificate that is fetched: the chain is what proves it."""
        request = self.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": key_id})
        envelope = replace(self._scheme, self_certified=True)
        heard = (await wire.ask(replace(request, scheme=envelope))).parse(CertificateHeard)
        try:
            pem = base64.b64decode(heard.alipay_cert_content or "", validate=True).decode("ascii")
            found = certificate_serial(pem)
        except ValueError:
            raise NotUnderstood(f"no certificate came ({heard.said})") from None
        if found != key_id:
            raise NotUnderstood("another certificate came than the one that was asked for")
        return PartnerKeys(keys={key_id: pem})

    def read(self, callback: Callback) -> Sequence[Fact]:
        told = dict(parse_qsl(callback.body.decode(), keep_blank_values=True))
        if told.get("msg_method") == "alipay.fund.trans.order.changed":
            return [transfer_fact(understood(TransferMessage, told).content)]
        if told.get("notify_type") != "trade_status_sync":
            return []  # this application may be told more than is used here
        notice = understood(TradeNotice, told)
        if notice.seller_id != self.settings.seller_id:
            raise NotUnderstood("the notification is about another merchant's trade")
        return [
            PaymentFact(
                code=notice.said,
                partner_key=notice.out_trade_no,
                references={"trade_no": notice.trade_no},
                amount=notice.total_amount,
                refunded=notice.refund_fee,
                at=moment(notice.gmt_payment),
            )
        ]

    def acknowledge(self, callback: Callback, merged: Merged) -> Acknowledgement:
        return Acknowledgement(200, b"fail" if merged.busy else b"success")
