"""The simulated wallet's certificates: a root, the merchant's application certificate, and the one it signs with.

Rules
- Names are exactly C, O, OU, CN, in this order: serial numbers of any other form differ between public clients.
- The bundle also holds a root that is not signed with RSA, which serial numbers must pass over. Blocks are separated
  by blank lines, as the wallet's own download is.
- Everything says DEVELOPMENT, is made on first use, and is never trusted outside a sandbox.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.sandbox import rsa_key

__all__ = ["Authority", "bundle_serial", "serial"]

RSA_SIGNATURES: Final = "1.2.840.113549.1.1"
LIFE: Final = dt.timedelta(days=5 * 365)


def serial(certificate: x509.Certificate) -> str:
    """The md5, in hex, of the issuer's name (encoded order reversed) followed by the decimal serial number."""
    names = [attribute for rdn in reversed(list(certificate.issuer.rdns)) for attribute in rdn]
    issuer = ",".join(f"{name.rfc4514_attribute_name}={name.value!s}" for name in names)
    return hashlib.md5(f"{issuer}{certificate.serial_number}".encode(), usedforsecurity=False).hexdigest()


def bundle_serial(bundle: bytes) -> str:
    """The serials of all certificates in `bundle` that are signed with RSA, joined with `_`, in the file's order."""
    held = x509.load_pem_x509_certificates(bundle)
    return "_".join(serial(one) for one in held if one.signature_algorithm_oid.dotted_string.startswith(RSA_SIGNATURES))


class Authority:
    """The wallet's certificate authority, kept in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.bundle = directory / "alipayRootCert.crt"
        self.application = directory / "appCertPublicKey.crt"
        self.own = directory / "alipayCertPublicKey.crt"

    def issue_all(self) -> None:
        """Write the bundle and both certificates, unless they are there."""
        if not self.bundle.exists():
            key = rsa_key(self._directory / "root.key")
            elliptic = ec.generate_private_key(ec.SECP256R1())
            roots = [
                _certificate(_name("Root R1"), _name("Root R1"), key.public_key(), key, authority=True),
                _certificate(_name("Root E1"), _name("Root E1"), elliptic.public_key(), elliptic, authority=True),
            ]
            self.bundle.write_bytes(b"\n".join(root.public_bytes(Encoding.PEM) for root in roots))
        if not self.application.exists():
            self._issue(self.application, "Merchant Application", rsa_key(self._directory / "app.key").public_key())
        if not self.own.exists():
            self.reissue()

    def reissue(self) -> None:
        """Replace the wallet's own certificate: the same key under a new serial number, as happens every five years."""
        self._issue(self.own, "Wallet Signer", rsa_key(self._directory / "alipay.key").public_key())

    def _issue(self, path: Path, subject: str, key: rsa.RSAPublicKey) -> None:
        root = rsa_key(self._directory / "root.key")
        certificate = _certificate(_name(subject), _name("Root R1"), key, root, authority=False)
        path.write_bytes(certificate.public_bytes(Encoding.PEM))


def _name(common_name: str) -> x509.Name:
    parts = {
        NameOID.COUNTRY_NAME: "CN",
        NameOID.ORGANIZATION_NAME: "lendgate DEVELOPMENT",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Wallet Sandbox",
        NameOID.COMMON_NAME: f"DEVELOPMENT {common_name}",
    }
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    signer: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    authority: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=365))  # tests set their clocks back
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True)
        .sign(signer, hashes.SHA256())
    )
