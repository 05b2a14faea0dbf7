"""Transfers to wallets and bank cards: alipay.fund.trans.*

Rules
- Only an application in certificate mode may transfer.
- Wallets get money at once; a bank takes its time, and may send it back after it had arrived.
"""

from __future__ import annotations

from typing import Final

from gateway import (
    ByKey,
    Memory,
    Remembered,
    Remembers,
    TransferFact,
    TransferInitiation,
    TransferInquiry,
    Transfers,
    Wire,
    minutes,
    transfer_terms,
)
from lendgate_alipay import codes
from lendgate_alipay.desk import Desk, named, wrong
from lendgate_alipay.messages import Payee, Transfer, TransferHeard, moment
from lendgate_alipay.settings import TransferOptions

__all__ = ["FundTransfers", "TransferMemory", "transfer_fact"]

REMARK_FROM: Final = 50_000  # yuan; from here on the remark is mandatory
CARD_AT_LEAST: Final = 1  # yuan
TRANSFER_PRODUCTS: Final = {
    "wallet_user_id": "TRANS_ACCOUNT_NO_PWD",
    "wallet_login": "TRANS_ACCOUNT_NO_PWD",
    "bank_card": "TRANS_BANKCARD_NO_PWD",
}


class TransferMemory(Memory):
    """A transfer is found by its product too."""

    product_code: str


class FundTransfers(Desk, Transfers, Remembers[TransferMemory]):
    """The part of the adapter for transfers."""

    @transfer_terms(
        currencies={"CNY"},
        at_least="0.10",
        at_most="100000000.00",
        remittance_length=200,
        key=Remembered(),
        inquiry=(ByKey(),),
        settle_window=minutes(5),
        rhythm=(2, 5, 10, 30, 60, 300, 900, 3600),
        watch=(600.0, 3600.0, 21600.0, 86400.0, 172800.0),  # a bank may send it back
        options=TransferOptions,
        codes=codes.TRANSFER,
        source="alipay.fund.trans.uni.transfer",
    )
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
        body = self._body(transfer)
        heard = (await wire.act(self.call("alipay.fund.trans.uni.transfer", body))).parse(TransferHeard)
        return transfer_fact(heard, TransferMemory(product_code=body.product_code))

    @transfer_terms(codes=codes.TRANSFER_QUERY, source="alipay.fund.trans.common.query")
    async def fetch_transfer(self, inquiry: TransferInquiry, wire: Wire) -> TransferFact:
        """Where nothing is remembered (no answer came), both products are asked; what neither knows is not there."""
        remembered = inquiry.memory.product_code if isinstance(inquiry.memory, TransferMemory) else None
        products = [remembered] if remembered else sorted(set(TRANSFER_PRODUCTS.values()))
        heard: TransferHeard | None = None
        for product in products:
            query = {"product_code": product, "biz_scene": "DIRECT_TRANSFER", "out_biz_no": inquiry.partner_key}
            heard = (await wire.ask(self.call("alipay.fund.trans.common.query", query))).parse(TransferHeard)
            if heard.said != "ORDER_NOT_EXIST":
                return transfer_fact(heard, TransferMemory(product_code=product))
        return TransferFact(code="ORDER_NOT_EXIST", message=heard.message if heard else None)

    def _body(self, transfer: TransferInitiation) -> Transfer:
        """Raises `Invalid` for what this wallet cannot send."""
        account, settings = transfer.creditor.account, self.settings
        if settings.mode != "certificate":
            raise wrong("connection", "must be in certificate mode: this partner lets no other application transfer")
        if account.scheme not in TRANSFER_PRODUCTS:
            raise wrong("creditor.account.scheme", f"must be one of {', '.join(TRANSFER_PRODUCTS)}")
        if account.scheme == "bank_card" and account.agent is None:
            raise wrong("creditor.account.agent", "is needed with a bank card: the bank's name")
        if account.scheme == "bank_card" and transfer.amount.amount < CARD_AT_LEAST:
            raise wrong("amount.amount", f"must be at least {CARD_AT_LEAST} for a bank card")
        if transfer.amount.amount >= REMARK_FROM and not transfer.remittance:
            raise wrong("remittance", f"is needed from {REMARK_FROM} yuan on")
        if transfer.execution_date is not None:
            raise wrong("execution_date", "cannot be chosen: this partner sends at once")
        options = TransferOptions.model_validate(transfer.options)
        return Transfer(
            out_biz_no=transfer.partner_key,
            trans_amount=str(transfer.amount.amount),
            product_code=TRANSFER_PRODUCTS[account.scheme],
            order_title=settings.transfer_title,
            payee_info=Payee.of(account, transfer.creditor.name, options.account_type),
            remark=transfer.remittance,
            transfer_scene_name=settings.transfer_scene_name,
            transfer_scene_report_infos=settings.transfer_scene_reports or None,
        )


def transfer_fact(heard: TransferHeard, memory: TransferMemory | None = None) -> TransferFact:
    """What a reply, a query or a message says about a transfer."""
    return TransferFact(
        code=heard.said,
        message=heard.fail_reason or heard.message,
        partner_key=heard.out_biz_no,
        references=named(order_id=heard.order_id, pay_fund_order_id=heard.pay_fund_order_id),
        amount=heard.trans_amount,
        fee=heard.order_fee,
        returned=heard.trans_amount if heard.status == "REFUND" else None,
        at=moment(heard.pay_date or heard.trans_date),
        memory=memory,
    )
