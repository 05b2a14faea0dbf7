"""What an operator configures for one application, and what a caller may add to a call."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from gateway import Model, Settings
from lendgate_alipay.certificates import bundle_serial, certificate_serial
from lendgate_alipay.messages import SceneReport

__all__ = ["AlipaySettings", "PaymentOptions", "TransferOptions"]

Short = Annotated[str, StringConstraints(min_length=1, max_length=32)]


class AlipaySettings(Settings):
    """One application of one merchant."""

    gateway_url: Annotated[
        str,
        StringConstraints(pattern=r"^https?://[^/?#]+/[^?#]+$"),
        Field(description="The gateway's address, such as https://openapi.alipay.com/gateway.do"),
    ]
    app_id: Annotated[str, StringConstraints(pattern="^[0-9]{1,32}$"), Field(description="The application's number")]
    seller_id: Annotated[
        str,
        StringConstraints(pattern="^2088[0-9]{12}$"),
        Field(description="The merchant's own user number: notifications for another one are refused"),
    ]
    mode: Annotated[
        Literal["public_key", "certificate"],
        Field(description="How the application is set up at the console; transfers need `certificate`"),
    ] = "public_key"
    app_certificate: Annotated[
        str | None, Field(description="Certificate mode: appCertPublicKey, in PEM", repr=False)
    ] = None
    root_certificates: Annotated[
        str | None, Field(description="Certificate mode: alipayRootCert, the whole bundle in PEM", repr=False)
    ] = None
    qr_product_code: Annotated[
        Literal["QR_CODE_OFFLINE", "FACE_TO_FACE_PAYMENT"],
        Field(description="The product of the contract for QR codes"),
    ] = "QR_CODE_OFFLINE"
    payer_code_product_code: Annotated[
        Literal["FACE_TO_FACE_PAYMENT", "OFFLINE_PAYMENT"],
        Field(description="The product of the contract for codes that the payer shows"),
    ] = "FACE_TO_FACE_PAYMENT"
    qr_minutes: Annotated[int, Field(ge=5, le=120, description="How long a QR code can be paid, in minutes")] = 90
    transfer_title: Annotated[
        str,
        StringConstraints(min_length=1, max_length=128),
        Field(description="What stands on the payee's bill where a transfer has no remittance text"),
    ] = "放款"
    transfer_scene_name: Annotated[
        str | None, Field(description="The scene of the transfer contract; there is no default for loans")
    ] = None
    transfer_scene_reports: Annotated[
        tuple[SceneReport, ...], Field(description="What the contract asks to be reported with that scene")
    ] = ()
    thresholds: Annotated[
        tuple[int, ...],
        Field(description="Zhima thresholds that were agreed; any from 350 to 950 where this is empty"),
    ] = ()
    certification_code: Annotated[
        Literal["FACE", "FACE_SDK", "SMART_FACE", "CERT_PHOTO", "CERT_PHOTO_FACE"],
        Field(description="How a person is recognised: the biz_code of the certification contract"),
    ] = "FACE"

    @model_validator(mode="after")
    def _certificates_fit(self) -> AlipaySettings:
        if self.mode == "public_key":
            return self
        if self.app_certificate is None or self.root_certificates is None:
            raise ValueError("certificate mode needs app_certificate and root_certificates")
        certificate_serial(self.app_certificate)
        bundle_serial(self.root_certificates)
        return self


class PaymentOptions(Model):
    """`partner_options.alipay` of a payment: where in the merchant's shops it is made."""

    store_id: Annotated[Short | None, Field(description="The shop")] = None
    operator_id: Annotated[
        Annotated[str, StringConstraints(min_length=1, max_length=28)] | None, Field(description="The cashier")
    ] = None
    terminal_id: Annotated[Short | None, Field(description="The till")] = None


class TransferOptions(Model):
    """`partner_options.alipay` of a transfer."""

    account_type: Annotated[Literal["company", "person"], Field(description="Whose bank card it is")] = "person"
