"""Bodies of `/wxa/business/insurance_freight/*`. Amounts are fen, times go out as epoch seconds and come back as
Beijing wall-clock text.

Source: the platform's public pages "insurance_freight" (createorder, claim, getorderlist, getsummary).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gateway import Address, FieldError, Goods, Invalid, Model, NotUnderstood, Parcel

__all__ = ["ClaimFiling", "Heard", "OrderCreation", "OrderQuery", "Row", "moment"]

BEIJING: Final = timezone(timedelta(hours=8))


class Place(Model):
    """Where a parcel comes from or goes to; all four parts are mandatory."""

    province: str
    city: str
    county: str
    address: str

    @classmethod
    def of(cls, address: Address) -> Place:
        """From a postal address whose four parts the terms of the verb require."""
        parts = (address.province, address.city, address.district, address.street)
        province, city, county, street = (part or "" for part in parts)
        return cls(province=province, city=city, county=county, address=street)


class Item(Model):
    """One thing that was bought, and where to see it."""

    name: str
    url: str

    @classmethod
    def of(cls, goods: Goods, fallback: str | None, path: str) -> Item:
        """Raises `Invalid` when neither the goods nor the settings have a link."""
        url = goods.url or fallback
        if not url:
            raise Invalid("the insurer needs a link", fields=[FieldError(f"{path}.url", "is needed by this partner")])
        return cls(name=goods.name, url=url)


class ProductDetails(Model):
    """`product_info`: mandatory in the page's table, although the page's own sample leaves it out."""

    order_path: str
    goods_list: tuple[Item, ...]


class OrderCreation(Model):
    """createorder."""

    openid: str
    order_no: str
    pay_time: int
    pay_amount: int
    delivery_no: str
    delivery_place: Place
    receipt_place: Place
    product_info: ProductDetails

    @classmethod
    def of(cls, openid: str, parcel: Parcel, goods_url: str | None) -> OrderCreation:
        goods = tuple(Item.of(item, goods_url, f"parcel.goods.{index}") for index, item in enumerate(parcel.goods))
        return cls(
            openid=openid,
            order_no=parcel.payment_reference,
            pay_time=int(parcel.paid_at.timestamp()),
            pay_amount=parcel.paid.minor(),
            delivery_no=parcel.waybill,
            delivery_place=Place.of(parcel.sent_from),
            receipt_place=Place.of(parcel.sent_to),
            product_info=ProductDetails(order_path=parcel.order_path or "", goods_list=goods),
        )


class ClaimFiling(Model):
    """claim."""

    openid: str
    order_no: str
    refund_delivery_no: str
    refund_company: str


class OrderQuery(Model):
    """getorderlist, by our order alone."""

    order_no: str


Text = Annotated[str, StringConstraints(max_length=512)]
Fen = Annotated[int, Field(ge=0, lt=2**63)]


class Row(BaseModel):
    """One insured order in getorderlist; members that we do not read are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    order_no: Text
    policy_no: Text
    report_no: Text = ""
    refund_delivery_no: Text = ""
    premium: Fen | None = None
    estimate_amount: Fen | None = None
    status: int
    pay_fail_reason: Text = ""
    pay_finish_time: Fen = 0
    insurance_end_date: Text = ""


class Heard(BaseModel):
    """Every answer: errcode (absent or 0: done), errmsg for people, and what the call brings."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    errcode: int = 0
    errmsg: str = ""
    policy_no: Text | None = None
    report_no: Text | None = None
    insurance_end_date: Text = ""
    estimate_amount: Fen | None = None
    premium: Fen | None = None
    rows: Annotated[list[Row] | None, Field(validation_alias="list")] = None
    funds: Fen | None = None
    need_close: bool = False
    total: int | None = None
    claim_num: int | None = None
    claim_succ_num: int | None = None

    @property
    def row(self) -> Row | None:
        """The only order that was asked for. Raises `NotUnderstood` when there are several."""
        if self.rows and len(self.rows) > 1:
            raise NotUnderstood(f"getorderlist shows {len(self.rows)} orders under one number")
        return self.rows[0] if self.rows else None

    @property
    def code(self) -> str:
        """errcode; for a list without error the order's status, or `none` for an empty one."""
        if self.errcode or self.rows is None:
            return str(self.errcode)
        return f"status {self.row.status}" if self.row else "none"

    @property
    def message(self) -> str | None:
        """What people may read; the diagnostics behind it change with each call."""
        return self.errmsg.split(" hint:")[0].split(" rid:")[0][:500] or None if self.errcode else None


def moment(text: str) -> datetime | None:
    """`yyyy-MM-dd HH:mm:ss` on Beijing's wall clock. Raises `NotUnderstood`."""
    if not text:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=BEIJING).astimezone(UTC)
    except ValueError:
        raise NotUnderstood("insurance_end_date is not yyyy-MM-dd HH:mm:ss") from None
