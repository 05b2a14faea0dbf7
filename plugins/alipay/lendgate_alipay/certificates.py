"""Serial numbers of certificates, as certificate mode writes them into every call.

Rules
- A serial number is the md5 of the issuer's name and the decimal serial, with nothing between. It identifies; it
  proves nothing, so md5 does no harm here.
- In a bundle, certificates that are not signed with RSA are passed over, and so are those that cannot be read: the
  bundle that is handed out holds both.

Source: opendocs, "certificate mode, serial numbers" (the official SDKs compute the same).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

__all__ = ["bundle_serial", "certificate_serial"]

BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
RSA_SIGNATURES: Final = "1.2.840.113549.1.1"  # PKCS #1; GM/T SM2 certificates have another arc


def certificate_serial(pem: str) -> str:
    """The serial number of the first certificate in `pem`. Raises `ValueError`."""
    found = BLOCK.search(pem)
    if found is None:
        raise ValueError("no certificate in PEM stands there")
    return _serial(x509.load_pem_x509_certificate(found.group().encode()))


def bundle_serial(pem: str) -> str:
    """The serial numbers of all RSA certificates in `pem`, in order, joined with `_`. Raises `ValueError`."""
    serials = [serial for block in BLOCK.findall(pem) if (serial := _rsa_serial(block)) is not None]
    if not serials:
        raise ValueError("no certificate that is signed with RSA stands there")
    return "_".join(serials)


def _rsa_serial(block: str) -> str | None:
    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
    except ValueError:
        return None  # one certificate of the real bundle has bytes behind its end
    try:
        signed_with_rsa = certificate.signature_algorithm_oid.dotted_string.startswith(RSA_SIGNATURES)
    except UnsupportedAlgorithm:
        return None
    return _serial(certificate) if signed_with_rsa else None


def _serial(certificate: x509.Certificate) -> str:
    """The encoded order of names is C, O, OU, CN; the text has them in reverse."""
    names = [name for rdn in reversed(list(certificate.issuer.rdns)) for name in rdn]
    issuer = ",".join(f"{name.rfc4514_attribute_name}={name.value!s}" for name in names)
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()
