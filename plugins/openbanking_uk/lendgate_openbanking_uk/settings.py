"""What an operator says about one registration at one bank."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gateway import Settings

__all__ = ["OpenBankingUKSettings"]

BASE = Annotated[str, StringConstraints(pattern=r"^https://[^\s?#]+[^\s?#/]$")]
URL = Annotated[str, StringConstraints(pattern=r"^https://[^\s#]+$")]


class OpenBankingUKSettings(Settings):
    """One registration of ours at one bank. Its return address there is /v1/returns/<connection> of this gateway."""

    version: Annotated[Literal["v4.0", "v3.1.11"], Field(description="Version of the API")] = "v4.0"
    base_url: Annotated[BASE, Field(description="What stands before /open-banking/… in the bank's resource URLs")]
    issuer: Annotated[URL, Field(description="`iss` of the bank's authorisation server")]
    authorization_endpoint: Annotated[URL, Field(description="The page where a person authorises")]
    token_endpoint: Annotated[URL, Field(description="The bank's token endpoint, with mutual TLS")]
    assertion_audience: Annotated[
        str | None, Field(description="`aud` of client assertions, if it is not the token endpoint: banks differ")
    ] = None
    client_id: Annotated[str, Field(description="Our client id at this bank")]
    client_scope: Annotated[
        Literal["", "openid "], Field(description="What stands before the scope in client credentials: banks differ")
    ] = ""
    organisation: Annotated[
        str, Field(description="`iss` of our signatures: organisation/software statement id, or the subject DN")
    ]
    bank_organisation: Annotated[str, Field(description="`iss` of the bank's signatures")]
    trust_anchor: Annotated[str, Field(description="`tan` of both sides' signatures")] = "openbanking.org.uk"
    payment_context: Annotated[
        Literal[
            "BillingGoodsAndServicesInAdvance",
            "BillingGoodsAndServicesInArrears",
            "EcommerceMerchantInitiatedPayment",
            "FaceToFacePointOfSale",
            "TransferToSelf",
            "TransferToThirdParty",
        ],
        Field(description="PaymentContextCode of every transfer"),
    ] = "TransferToThirdParty"
