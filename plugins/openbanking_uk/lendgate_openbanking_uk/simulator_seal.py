"""`x-jws-signature`: the bank checks it on signed requests and puts it on every signed answer.

OBIE v3.1.11 and v4.0, "Message Signing": a detached JWS, PS256 only, without `b64`, over base64url(header) "."
base64url(body). The steps of the check, each with its own error code:

(1) the header is there (U019)            (2) it is a detached JWS without `b64` (U018, U016)
(3) alg, typ, cty and kid (U016)          (4) the three claims are there (U017) and no others (U016)
(5) crit names exactly the three (U016)   (6) iss and tan are the registered ones, iat lies in the past (U016)
(7) the signature fits the exact bytes of the body (U015)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from lendgate_openbanking_uk.simulator_jose import Compact, Malformed, Signer, b64, read_compact, signed_by
from lendgate_openbanking_uk.simulator_refusals import Refused

__all__ = ["IAT", "ISS", "TAN", "Seal"]

IAT: Final = "http://openbanking.org.uk/iat"
ISS: Final = "http://openbanking.org.uk/iss"
TAN: Final = "http://openbanking.org.uk/tan"
CLAIMS: Final = (IAT, ISS, TAN)
KNOWN: Final = {"alg", "kid", "typ", "cty", "crit", *CLAIMS}


class Seal:
    """The client's signature is checked against `keys` (key id to key) and the registered `client` and `anchor`."""

    def __init__(
        self, keys: Mapping[str, rsa.RSAPublicKey], client: str, bank: str, anchor: str, signer: Signer
    ) -> None:
        self._keys = keys
        self._client = client
        self._bank = bank
        self._anchor = anchor
        self._signer = signer

    def put(self, body: bytes, now: datetime) -> str:
        """The bank's own signature over an answer."""
        header = {
            "alg": "PS256",
            "kid": self._signer.key_id,
            IAT: int(now.timestamp()),
            ISS: self._bank,
            TAN: self._anchor,
            "crit": list(CLAIMS),
        }
        return self._signer.detached(header, body)

    def check(self, value: str | None, body: bytes, now: datetime) -> None:
        """Steps (1) to (7). Raises `Refused`."""
        if value is None:  # (1)
            raise Refused.because("U019", "x-jws-signature is missing", "x-jws-signature")
        try:  # (2)
            jws = read_compact(value)
        except Malformed as wrong:
            raise signature_refused("U018", str(wrong)) from None
        if jws.encoded_payload:
            raise signature_refused("U018", "the payload must be left out")
        key = self._judge_header(jws.header, now)
        self._require_signature(key, jws, body)  # (7)

    def _judge_header(self, header: Mapping[str, Any], now: datetime) -> rsa.RSAPublicKey:
        if "b64" in header:  # (2)
            raise signature_refused("U016", "b64 ended with version 3.1.3")
        if header.get("alg") != "PS256":  # (3)
            raise signature_refused("U016", "alg must be PS256")
        if header.get("typ", "JOSE") != "JOSE" or header.get("cty", "json") not in ("json", "application/json"):
            raise signature_refused("U016", "typ must be JOSE and cty json")
        key = self._keys.get(str(header.get("kid")))
        if key is None:
            raise signature_refused("U016", "kid names no key of this client")
        missing = [name for name in (*CLAIMS, "crit") if name not in header]  # (4)
        if missing:
            raise signature_refused("U017", f"{', '.join(missing)} missing")
        if set(header) - KNOWN:
            raise signature_refused("U016", f"{', '.join(sorted(set(header) - KNOWN))} not expected")
        crit = header["crit"]  # (5)
        if not isinstance(crit, list) or len(crit) != len(CLAIMS) or set(map(str, crit)) != set(CLAIMS):
            raise signature_refused("U016", "crit must name iat, iss and tan, each once")
        if (header[ISS], header[TAN]) != (self._client, self._anchor):  # (6)
            raise signature_refused("U016", "iss or tan is not the registered one")
        issued = header[IAT]
        if isinstance(issued, bool) or not isinstance(issued, int | float) or issued > now.timestamp():
            raise signature_refused("U016", "iat must be a number in the past")
        return key

    @staticmethod
    def _require_signature(key: rsa.RSAPublicKey, jws: Compact, body: bytes) -> None:
        if not signed_by(key, jws, b64(body)):
            raise signature_refused("U015", "the signature does not fit the body")


def signature_refused(code: str, message: str) -> Refused:
    return Refused.because(code, f"x-jws-signature: {message}", "x-jws-signature")
