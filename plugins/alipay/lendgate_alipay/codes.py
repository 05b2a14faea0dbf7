"""What the gateway's codes mean, verb by verb. A code that is not listed says nothing: it stays unknown.

A code is `sub_code`, or `code` where there is none; an accepted call is `10000`, with the word that decides after a
slash where the interface has one (`10000/TRADE_SUCCESS`). The names are opendocs', each table naming its page.
"""

from __future__ import annotations

from typing import Final

from gateway import (
    BUSY,
    CANCELLED,
    FAILED,
    NOT_FOUND,
    NOT_PROCESSED,
    PROCESSING,
    REQUIRES_ACTION,
    RETURNED,
    SEEN,
    SUCCEEDED,
    UNKNOWN,
)

__all__ = [
    "ASKED",
    "CANCEL",
    "CERTIFICATION",
    "CERTIFIED",
    "CHECK",
    "CLOSE",
    "NOT_TO_CLOSE",
    "PAYER_CODE",
    "PRECREATE",
    "REFUND",
    "REFUND_QUERY",
    "TRADE_BY_PAYER_CODE",
    "TRADE_BY_QR",
    "TRANSFER",
    "TRANSFER_QUERY",
]


def _acq(names: str) -> list[str]:
    return [f"ACQ.{name}" for name in names.split()]


# "Public error codes". A limit and a refusal at the gate are said before anything is done.
REFUSED_AT_THE_GATE: Final = dict.fromkeys(
    "20001 40001 40002 40003 40006"
    " aop.invalid-auth-token aop.auth-token-time-out aop.invalid-app-auth-token aop.invalid-app-auth-token-no-api"
    " aop.app-auth-token-time-out aop.no-product-reg-by-partner"
    " isv.missing-method isv.missing-signature isv.missing-signature-type isv.missing-signature-key"
    " isv.missing-app-id isv.missing-timestamp isv.missing-version isv.missing-app-cert-sn"
    " isv.missing-alipay-root-cert-sn isv.invalid-parameter isv.invalid-method isv.invalid-format"
    " isv.invalid-signature-type isv.invalid-signature isv.invalid-app-id isv.invalid-timestamp isv.invalid-charset"
    " isv.invalid-digest isv.invalid-encrypt-type isv.invalid-encrypt isv.invalid-token isv.illegal-json"
    " isv.suspected-attack isv.forbidden-api isv.not-online-app isv.app-cert-expired isv.app-cert-not-exist"
    " isv.alipay-cert-not-exist isv.invalid-alipay-root-cert-sn isv.invalid-auth-relations"
    " isv.missing-signature-config isv.invalid-app-state isv.insufficient-isv-permissions"
    " isv.insufficient-user-permissions isv.self-invoke-forbidden".split(),
    NOT_PROCESSED,
)
LIMITED: Final = dict.fromkeys("40005 isv.app-call-limited isv.method-call-limited".split(), BUSY)
NOBODY_KNOWS: Final = dict.fromkeys(["20000", "isp.unknow-error", "aop.unknow-error"], UNKNOWN)  # spelled so
SYSTEM_ERROR: Final = dict.fromkeys(["ACQ.SYSTEM_ERROR", "AQC.SYSTEM_ERROR", "SYSTEM_ERROR"], UNKNOWN)  # both occur

ACTED: Final = {**REFUSED_AT_THE_GATE, **LIMITED, **NOBODY_KNOWS, **SYSTEM_ERROR}
"""For calls with an effect."""
ASKED: Final = {**REFUSED_AT_THE_GATE, **LIMITED, **dict.fromkeys([*NOBODY_KNOWS, *SYSTEM_ERROR], BUSY)}
"""For questions: whatever hinders the answer, asking again is safe."""

SECONDARY: Final = (
    "SECONDARY_MERCHANT_STATUS_ERROR SECONDARY_MERCHANT_ID_INVALID SECONDARY_MERCHANT_ISV_PUNISH_INDIRECT"
    " SECONDARY_MERCHANT_ALIPAY_ACCOUNT_INVALID SECONDARY_MERCHANT_ID_BLANK SECONDARY_MERCHANT_NOT_MATCH"
    " MERCHANT_PERM_RECEIPT_SUSPEND_LIMIT MERCHANT_PERM_RECEIPT_SINGLE_LIMIT MERCHANT_PERM_RECEIPT_DAY_LIMIT"
)

# alipay.trade.precreate. No code was issued, so nothing can be paid through it.
PRECREATE: Final = {
    **ACTED,
    "10000": REQUIRES_ACTION,
    **dict.fromkeys(
        _acq(
            "INVALID_PARAMETER ACCESS_FORBIDDEN EXIST_FORBIDDEN_WORD PARTNER_ERROR TOTAL_FEE_EXCEED BUYER_SELLER_EQUAL"
            " TRADE_BUYER_NOT_MATCH BUYER_ENABLE_STATUS_FORBID BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR"
            " BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR BEYOND_PAY_RESTRICTION BEYOND_PER_RECEIPT_RESTRICTION"
            " BEYOND_PER_RECEIPT_DAY_RESTRICTION BEYOND_PER_RECEIPT_SINGLE_RESTRICTION SELLER_BEEN_BLOCKED"
            " ERROR_BUYER_CERTIFY_LEVEL_LIMIT INVALID_STORE_ID TRADE_SETTLE_ERROR SELLER_NOT_EXIST"
            " INVALID_RECEIVE_ACCOUNT NOW_TIME_AFTER_EXPIRE_TIME_ERROR BUYER_NOT_EXIST SUB_GOODS_SIZE_MAX_COUNT"
            f" DEFAULT_SETTLE_RULE_NOT_EXIST RISK_MERCHANT_IP_NOT_EXIST MERCHANT_STATUS_NOT_NORMAL {SECONDARY}"
        ),
        FAILED,
    ),
    # The number is known already, or was asked for too often: what stands under it is to be asked.
    **dict.fromkeys(_acq("CONTEXT_INCONSISTENT TRADE_HAS_SUCCESS TRADE_HAS_CLOSE APPLY_PC_MERCHANT_CODE_ERROR"), SEEN),
}

# alipay.trade.pay. The outcome of each name is ours; the names are the page's.
PAYER_CODE: Final = {
    **ACTED,
    "10000": SUCCEEDED,
    "10003": PROCESSING,
    # A code that was used up may be our own earlier try: this request was not executed, that one may have been.
    "ACQ.PAYMENT_AUTH_CODE_INVALID": NOT_PROCESSED,
    **dict.fromkeys(
        _acq("CONTEXT_INCONSISTENT TRADE_HAS_SUCCESS TRADE_HAS_CLOSE TRADE_STATUS_ERROR PAYMENT_FAIL"), SEEN
    ),
    **dict.fromkeys(
        _acq(
            "INVALID_PARAMETER ACCESS_FORBIDDEN EXIST_FORBIDDEN_WORD PARTNER_ERROR TOTAL_FEE_EXCEED"
            " BUYER_BALANCE_NOT_ENOUGH BUYER_BANKCARD_BALANCE_NOT_ENOUGH ERROR_BALANCE_PAYMENT_DISABLE"
            " BUYER_SELLER_EQUAL TRADE_BUYER_NOT_MATCH BUYER_ENABLE_STATUS_FORBID PULL_MOBILE_CASHIER_FAIL"
            " MOBILE_PAYMENT_SWITCH_OFF BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR"
            " BEYOND_PAY_RESTRICTION BEYOND_PER_RECEIPT_RESTRICTION BEYOND_PER_RECEIPT_SINGLE_RESTRICTION"
            " BEYOND_PER_RECEIPT_DAY_RESTRICTION SELLER_BEEN_BLOCKED ERROR_BUYER_CERTIFY_LEVEL_LIMIT"
            " PAYMENT_REQUEST_HAS_RISK NO_PAYMENT_INSTRUMENTS_AVAILABLE USER_FACE_PAYMENT_SWITCH_OFF INVALID_STORE_ID"
            " SUB_MERCHANT_CREATE_FAIL SUB_MERCHANT_TYPE_INVALID MERCHANT_AGREEMENT_NOT_EXIST"
            " MERCHANT_AGREEMENT_INVALID MERCHANT_STATUS_NOT_NORMAL CARD_USER_NOT_MATCH CARD_TYPE_ERROR CERT_EXPIRED"
            " AMOUNT_OR_CURRENCY_ERROR CURRENCY_NOT_SUPPORT BUYER_NOT_EXIST PRODUCT_AMOUNT_LIMIT_ERROR"
            " INVALID_RECEIVE_ACCOUNT SELLER_NOT_EXIST PAYER_UNMATCHED NOW_TIME_AFTER_EXPIRE_TIME_ERROR"
            " REQUEST_AMOUNT_EXCEED SUB_GOODS_SIZE_MAX_COUNT NOT_SUPPORT_PAYMENT_INST BUYER_NOT_MAINLAND_CERT"
            " TRADE_SETTLE_ERROR SMILE_PAY_MERCHANT_NOT_MATCH NOT_CERTIFIED_USER RESTRICTED_MERCHANT_INDUSTRY"
            " USER_LOGONID_DUP RISK_MERCHANT_IP_NOT_EXIST UN_SUPPORT_TRADE_SCENE"
            f" OVER_MERCHANT_DAILY_DEDUCT_AMOUNT {SECONDARY}"
        ),
        FAILED,
    ),
}

# alipay.trade.query, and trade_status in notifications. A full refund closes a trade that was paid: it is told apart by
# the moment of payment, never by the status alone.
TRADE: Final = {
    **ASKED,
    "10000/TRADE_SUCCESS": SUCCEEDED,
    "10000/TRADE_FINISHED": SUCCEEDED,  # paid, and past the time for refunds
    "10000/TRADE_CLOSED/paid": SUCCEEDED,
    "10000/TRADE_CLOSED": CANCELLED,
    "ACQ.TRADE_NOT_EXIST": NOT_FOUND,
}
# While a code waits to be scanned, or its trade to be paid, the payer must act.
TRADE_BY_QR: Final = {**TRADE, "10000/WAIT_BUYER_PAY": REQUIRES_ACTION}
TRADE_BY_PAYER_CODE: Final = {**TRADE, "10000/WAIT_BUYER_PAY": PROCESSING}

# alipay.trade.close, after a look at what stands. A status that does not fit may be our own earlier close.
CLOSE: Final = {
    **ACTED,
    "10000": SUCCEEDED,
    "10000/TRADE_CLOSED": SUCCEEDED,
    **dict.fromkeys(_acq("TRADE_STATUS_ERROR REASON_TRADE_STATUS_INVALID REASON_ILLEGAL_STATUS"), SEEN),
    **dict.fromkeys(["10000/TRADE_SUCCESS", "10000/TRADE_FINISHED", "10000/TRADE_CLOSED/paid"], FAILED),
    # Nobody has scanned the code: there is nothing to close, and the code lives on until it ends.
    **dict.fromkeys(_acq("TRADE_NOT_EXIST INVALID_PARAMETER"), FAILED),
}

NOT_TO_CLOSE: Final = frozenset(
    "10000/TRADE_CLOSED 10000/TRADE_SUCCESS 10000/TRADE_FINISHED 10000/TRADE_CLOSED/paid ACQ.TRADE_NOT_EXIST".split()
)
"""What a query says where a close would be refused."""

# alipay.trade.cancel
CANCEL: Final = {
    **ACTED,
    "10000/retry_flag=N": SUCCEEDED,
    "10000/retry_flag=Y": PROCESSING,  # to be called again
    **dict.fromkeys(
        _acq(
            "TRADE_HAS_FINISHED TRADE_CANCEL_TIME_OUT CANCEL_NOT_ALLOWED SELLER_BALANCE_NOT_ENOUGH INVALID_PARAMETER"
            " REASON_TRADE_BEEN_FREEZEN REASON_TRADE_REFUND_FEE_ERR"
        ),
        FAILED,
    ),
}

# alipay.trade.refund. 10000 is acceptance; fund_change=N says that this number was carried out before.
REFUND: Final = {
    **ACTED,
    "10000/fund_change=Y": SUCCEEDED,
    "10000/REFUND_SUCCESS": SUCCEEDED,
    **dict.fromkeys(["10000", "10000/fund_change=N", "ACQ.DISCORDANT_REPEAT_REQUEST", "ACQ.TRADE_HAS_CLOSE"], SEEN),
    **dict.fromkeys(
        _acq(
            "REASON_TRADE_REFUND_FEE_ERR REFUND_AMT_NOT_EQUAL_TOTAL TRADE_STATUS_ERROR TRADE_HAS_FINISHED"
            " SELLER_BALANCE_NOT_ENOUGH INVALID_PARAMETER REASON_TRADE_BEEN_FREEZEN TRADE_NOT_EXIST"
            " TRADE_NOT_ALLOW_REFUND REFUND_FEE_ERROR BUYER_NOT_EXIST BUYER_ENABLE_STATUS_FORBID"
            " REASON_TRADE_STATUS_INVALID NOT_ALLOW_PARTIAL_REFUND ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND BUYER_ERROR"
            " CURRENCY_NOT_SUPPORT ALLOC_AMOUNT_VALIDATE_ERROR USER_NOT_MATCH_ERR TRADE_SETTLE_ERROR"
            " REFUND_CHARGE_ERROR ENTERPRISE_PAY_BIZ_ERROR OVERDRAFT_ASSIGN_ACCOUNT_INVALID"
            " OVERDRAFT_AGREEMENT_NOT_MATCH REFUND_ACCOUNT_NOT_EXIST CUSTOMER_VALIDATE_ERROR"
            " REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST REFUNDALLOC_UNAUTH_LIMIT"
        ),
        FAILED,
    ),
}

# alipay.trade.fastpay.refund.query. Silence may mean "not yet": it is believed after the settle window only.
REFUND_QUERY: Final = {
    **ASKED,
    "10000/REFUND_SUCCESS": SUCCEEDED,
    **dict.fromkeys(["10000", "ACQ.TRADE_NOT_EXIST", "TRADE_NOT_EXIST"], NOT_FOUND),
}

TRANSFER_STATUSES: Final = {
    "10000/SUCCESS": SUCCEEDED,
    "10000/DEALING": PROCESSING,
    "10000/WAIT_PAY": PROCESSING,
    "10000/FAIL": FAILED,
    "10000/CLOSED": FAILED,
    "10000/REFUND": RETURNED,  # it had arrived and came back
}

# alipay.fund.trans.uni.transfer. The outcome of each name is ours; spellings as published.
TRANSFER: Final = {
    **ACTED,
    **TRANSFER_STATUSES,
    **dict.fromkeys(
        "REQUEST_PROCESSING TRANS_ORDER_DEALING PROMO_TRANS_ORDER_DEALING BANK_RESPONSE_ERROR PROCESS_FAIL"
        " PAYMENT_FAIL ILLEGAL_STATUS_EXCEPTION ORDER_STATUS_INVALID MRCHPROD_QUERY_ERROR SIGN_QUERY_APP_INFO_ERROR"
        " SIGN_QUERY_AGGREMENT_ERROR".split(),
        UNKNOWN,
    ),
    # The number was used with other words: the earlier order stands.
    **dict.fromkeys("PAYMENT_INFO_INCONSISTENCY BIZ_UNIQUE_EXCEPTION REP_INCONSISTENT".split(), SEEN),
    "RESOURCE_LIMIT_EXCEED": BUSY,
    **dict.fromkeys(
        # After a top-up, or on another day, a new transfer may pass.
        "PAYER_BALANCE_NOT_ENOUGH BALANCE_IS_NOT_ENOUGH BALANCE_NOT_ENOUGH PAYMENT_MONEY_NOT_ENOUGH"
        " BALANCE_NOT_ENOUGH_FOR_CARD_FEE EXCEED_LIMIT_DM_AMOUNT EXCEED_LIMIT_DM_MAX_AMOUNT EXCEED_LIMIT_MM_AMOUNT"
        " EXCEED_LIMIT_MM_MAX_AMOUNT"
        # For good.
        " INVALID_PARAMETER PARAM_ILLEGAL PARAMETER_ERROR CHECK_RECEIVER_CERT_NOT_ALLOW EXPAND_INDIRECT_VERIFY_FAIL"
        " EXCEED_LIMIT_SM_AMOUNT EXCEED_LIMIT_SM_MIN_AMOUNT EXCEED_LIMIT_PERSONAL_SM_AMOUNT EXCEED_LIMIT_ENT_SM_AMOUNT"
        " EXCEED_LIMIT_UNRN_DM_AMOUNT EXCEED_LIMIT_DC_RECEIVED EXCEED_LIMIT_INTERNAL_SM_AMOUNT PAYCARD_UNABLE_PAYMENT"
        " PAYER_STATUS_ERROR PAYER_CERTIFY_CHECK_FAIL PAYER_USER_INFO_ERROR CARD_BIN_ERROR PAYEE_CARD_INFO_ERROR"
        " INST_PAY_UNABLE MEMO_REQUIRED_IN_TRANSFER_ERROR PERMIT_CHECK_PERM_IDENTITY_THEFT REMARK_HAS_SENSITIVE_WORD"
        " NO_ACCOUNT_RECEIVE_PERMISSION NO_ACCOUNT_PAYMENT_PERMISSION PAYER_NOT_EXIST PRODUCT_NOT_SIGN"
        " PAYMENT_TIME_EXPIRE PAYEE_NOT_EXIST PAYEE_ACCOUNT_STATUS_ERROR PERMIT_NON_BANK_LIMIT_PAYEE"
        " PAYEE_TRUSTEESHIP_ACC_OVER_LIMIT NO_PERMISSION_ACCOUNT TRUSTEESHIP_ACCOUNT_NOT_EXIST"
        " PAYEE_ACCOUNT_NOT_EXSIT PAYEE_USERINFO_STATUS_ERROR TRUSTEESHIP_RECIEVE_QUOTA_LIMIT SECURITY_CHECK_FAILED"
        " NO_ORDER_PERMISSION PERM_AML_NOT_REALNAME_REV USER_AGREEMENT_VERIFY_FAIL PAYER_NOT_EQUAL_PAYEE_ERROR"
        " PAYER_PERMLIMIT_CHECK_FAILURE PAYEE_ACC_OCUPIED PAYER_PAYEE_CANNOT_SAME PERMIT_CHECK_PERM_LIMITED"
        " INVALID_PAYER_ACCOUNT INVALID_CARDNO RELEASE_USER_FORBBIDEN_RECIEVE PAYEE_USER_TYPE_ERROR"
        " PERMIT_CHECK_RECEIVE_LIMIT NOT_IN_WHITE_LIST MONEY_PAY_CLOSED NO_AVAILABLE_PAYMENT_TOOLS"
        " PAYEE_NOT_RELNAME_CERTIFY OVERSEA_TRANSFER_CLOSE BLOCK_USER_FORBBIDEN_RECIEVE BLOCK_USER_FORBBIDEN_SEND"
        " USER_NOT_EXIST CURRENCY_NOT_SUPPORT PAYER_REQUESTER_RELATION_INVALID AUTHOREE_IS_NOT_MATCH"
        " NO_ACCOUNT_USER_FORBBIDEN_RECIEVE SIGN_INVALID SIGN_INVOKE_PID_INCONSISTENT SIGN_AGREEMENT_NO_INCONSISTENT"
        " SIGN_PARAM_INVALID SIGN_NOT_ALLOW_SKIP ISV_AUTH_ERROR PAYER_USERINFO_NOT_EXSIT NO_ACCOUNTBOOK_PERMISSION"
        " PERMIT_CHECK_PERM_AML_CERT_EXPIRED PERMIT_PAYER_FORBIDDEN PERMIT_LIMIT_PAYEE INST_PAY_REMARK_UNVALID_CHARS"
        " BANKCODE_OR_BRANCHNAME_INFO_ERROR PAYEE_OUT_PERMLIMIT_CHECK_FAILURE ILLEGAL_OPERATION"
        " PAYEE_IDENTITY_NOT_MATCH PAYEE_USERINFO_ERROR JUDICIAL_FREEZE PERMIT_PAYER_LEVEL_FORBIDDEN"
        " PAYEE_RECEIVE_COUNT_EXCEED_LIMIT USER_RISK_FREEZE RECEIVER_USER_RISK_FREEZE PAYEE_USER_IS_INST"
        " PAYER_NOT_RELNAME_CERTIFY PERM_AML_NOT_REALNAME_PAY CONFIGURATION_ERROR ILLEGAL_REQUEST_USER_ID"
        " PERMIT_CHECK_PERM_AML_CERT_MISS_ACC_LIMIT PAYER_PAYEE_ACCOUNT_NAME_CAN_NOT_SAME PAYEE_CERT_INFO_ERROR"
        " ACCOUNT_IN_NOT_EXIST GLOBAL_USER_FORBBIDEN_RECIEVE ACCOUNT_OPERATION_LIMIT PAYER_UNABLE_PAYMENT"
        " PAYER_ACCOUNT_LIMIT TRANSFER_SCENE_NAME_ILLEGAL TRANSFER_SCENE_NAME_BLANK"
        " TRANSFER_SCENE_REPORT_INFO_ILLEGAL TRANSFER_SCENE_INFO_ADMIT_FAIL".split(),
        FAILED,
    ),
}

# alipay.fund.trans.common.query, and status in alipay.fund.trans.order.changed
TRANSFER_QUERY: Final = {**ASKED, **TRANSFER_STATUSES, "ORDER_NOT_EXIST": NOT_FOUND}

# Zhima. The ZMCREDIT names are those of its retired gateway: assumed to live on.
ZHIMA: Final = {
    **ACTED,
    "ZMCREDIT.system_error": UNKNOWN,
    **dict.fromkeys(["ZMCREDIT.transaction_id_repeat", "ZMCREDIT.transaction_id_expired"], SEEN),
    **dict.fromkeys(
        "INVALID_PARAMETER ILLEGAL_INVOKE ZMCREDIT.api_product_not_match ZMCREDIT.authentication_fail"
        " ZMCREDIT.invalid_transaction_id ZMCREDIT.no_valid_arrangement ZMCREDIT.openid_parameter_invalid"
        " ZMCREDIT.parameter_invalid ZMCREDIT.product_code_is_null ZMCREDIT.transaction_close".split(),
        FAILED,
    ),
}

# zhima.credit.score.brief.get. All three are answers; N/A says that there is nothing to go by.
CHECK: Final = {**ZHIMA, **{f"10000/is_admittance={answer}": SUCCEEDED for answer in ("Y", "N", "N/A")}}

# zhima.customer.certification.initialize and .query. No `passed` yet: the person has not done it.
CERTIFICATION: Final = {**ZHIMA, "10000": REQUIRES_ACTION}
CERTIFIED: Final = {
    **ASKED,
    "10000": REQUIRES_ACTION,
    "10000/passed=true": SUCCEEDED,
    "10000/passed=false": SUCCEEDED,
    "ZMCREDIT.transaction_close": FAILED,
    "ZMCREDIT.system_error": BUSY,
}
