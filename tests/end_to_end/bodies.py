"""What a lending platform asks of the four simulated institutions: bodies that each of them takes, made anew each time.

References and business keys are fresh, so the same body may be asked for as often as a test likes.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

Body = dict[str, Any]

ADULT: Body = {
    "name": "李雷",
    "identifiers": [{"scheme": "national_id", "value": "310101199001011237", "country": "CN"}],
    "phone": "13800138000",
    "birth_date": "1990-01-01",
}
OPENID = "oEndToEndShopper000000000001"


def digits(count: int) -> str:
    return str(uuid.uuid4().int)[:count].ljust(count, "7")


def money(amount: str, currency: str = "CNY") -> Body:
    return {"amount": amount, "currency": currency}


def qr_payment(amount: str = "433.00") -> Body:
    return {
        "connection": "alipay",
        "amount": money(amount),
        "method": {"type": "wallet_qr"},
        "description": "Instalment 1 of 3",
        "links_to": {"loan": f"LN-{digits(12)}", "instalment": "1"},
    }


def scanned_payment(amount: str = "12.30") -> Body:
    """Paid at once: the payer has shown the code of the wallet. Ends in no magic number."""
    return {**qr_payment(amount), "method": {"type": "payer_code", "code": f"28{digits(15)}0"}}


def refund(amount: str = "2.00") -> Body:
    return {"connection": "alipay", "amount": money(amount), "reason": "Goodwill"}


def wallet_transfer(amount: str = "25.00") -> Body:
    account = {"scheme": "wallet_user_id", "identification": "2088102146225135"}
    return {"connection": "alipay", "amount": money(amount), "creditor": {"name": "韩梅梅", "account": account}}


def bank_transfer(amount: str = "141.20") -> Body:
    account = {
        "scheme": "sort_code_account_number",
        "identification": "20325412345678",
        "name": "Coats of London Ltd",
    }
    creditor = {"name": "Coats of London Ltd", "account": account}
    return {"connection": "openbanking_uk", "amount": money(amount, "GBP"), "creditor": creditor}


def threshold_check(threshold: int = 600) -> Body:
    agreed = {"document_hash": "9f" * 32, "channel": "app", "given_at": datetime.now(UTC).isoformat()}
    return {
        "connection": "alipay",
        "product": "threshold_check",
        "threshold": threshold,
        "person": ADULT,
        "purpose": "credit_application",
        "permission": agreed,
    }


def identity_check() -> Body:
    return {**threshold_check(), "product": "identity", "threshold": None, "purpose": "identity_check"}


def consent() -> Body:
    return {
        "connection": "openbanking_uk",
        "type": "account_access",
        "scopes": ["accounts", "balances", "transactions"],
        "expires_at": (datetime.now(UTC) + timedelta(days=90)).isoformat(),
    }


def quote(sum_insured: str = "1299.00") -> Body:
    now = datetime.now(UTC)
    insured = {**ADULT, "identifiers": [{"scheme": "national_id", "value": f"3101011990{digits(8)}"}]}
    return {
        "connection": "zhongan",
        "product": "credit_life",
        "insured": insured,
        "beneficiary": {"name": "Instalment Shop Lending Ltd"},
        "sum_insured": money(sum_insured),
        "starts_at": now.isoformat(),
        "ends_at": (now + timedelta(days=90)).isoformat(),
    }


def quoted_policy(quote_id: str) -> Body:
    return {
        "connection": "zhongan",
        "product": "credit_life",
        "quote": quote_id,
        "offer": 0,
        "documents_acknowledged": True,
    }


def order_paid_by_wechat() -> Body:
    """What the platform must know before the parcel of the order can be insured."""
    paid_at = datetime.now(UTC) - timedelta(minutes=5)
    return {
        "transaction_id": f"4200{digits(24)}",
        "openid": OPENID,
        "amount_fen": 43300,
        "paid_at": int(paid_at.timestamp()),
    }


def parcel_policy(order: Body) -> Body:
    sent_from = {"country": "CN", "province": "Shanghai", "city": "Shanghai", "district": "Pudong", "street": "1 Road"}
    sent_to = {"country": "CN", "province": "Zhejiang", "city": "Hangzhou", "district": "Xihu", "street": "5 Road"}
    return {
        "connection": "wechat_freight",
        "product": "return_freight",
        "insured": {"partner_user_id": order["openid"]},
        "parcel": {
            "payment_reference": order["transaction_id"],
            "paid_at": datetime.fromtimestamp(order["paid_at"], UTC).isoformat(),
            "paid": money("433.00"),
            "waybill": f"SF{digits(13)}",
            "sent_from": sent_from,
            "sent_to": sent_to,
            "goods": [{"name": "Coat", "url": "pages/goods/coat"}],
            "order_path": "pages/order/detail",
        },
    }


def return_claim() -> Body:
    return {
        "connection": "wechat_freight",
        "event": "return",
        "return_waybill": f"YT{digits(13)}",
        "return_carrier": "YTO",
    }
