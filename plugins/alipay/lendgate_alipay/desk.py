"""What every interface's part of the adapter shares: the settings, and how a call is written."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from gateway import Cancellation, FieldError, Invalid, Known, Model, RefundInitiation, RefundInquiry, Request
from lendgate_alipay.settings import AlipaySettings

__all__ = ["Desk", "named", "parent_of", "wrong"]


class Desk:
    """A part of the adapter; it is never used by itself."""

    settings: AlipaySettings

    def call(self, method: str, body: Model | Mapping[str, str], **public: str) -> Request:
        """One call as its scheme takes it: what is public in the query, the rest as the JSON text that is signed."""
        text = Request.post("", body).body.decode()
        url = f"{self.settings.gateway_url}?{urlencode({'method': method, **public})}"
        return Request.form(url, {"biz_content": text})


def named(**references: str | None) -> dict[str, str]:
    """The references that the partner really gave."""
    return {name: value for name, value in references.items() if value}


def parent_of(follow_up: Cancellation | RefundInitiation | RefundInquiry) -> Known:
    """What a follow-up is about. Raises `Invalid`."""
    if follow_up.parent is None:
        raise Invalid("a refund or cancellation needs the payment that it is about")
    return follow_up.parent


def wrong(path: str, detail: str) -> Invalid:
    """One field that this partner does not take."""
    return Invalid(f"{path} {detail}", fields=[FieldError(path, detail)])
