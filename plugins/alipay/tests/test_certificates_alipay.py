"""Serial numbers of certificates, against the published ones; the keys do not matter, the names and numbers do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lendgate_alipay.certificates import bundle_serial, certificate_serial

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())["certificates"]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def name(unit: str, common_name: str) -> x509.Name:
    parts = {
        NameOID.COUNTRY_NAME: "CN",
        NameOID.ORGANIZATION_NAME: "Example Wallet Test",
        NameOID.ORGANIZATIONAL_UNIT_NAME: unit,
        NameOID.COMMON_NAME: common_name,
    }
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts.items()])


def certificate(case: dict[str, Any], key: rsa.RSAPrivateKey) -> str:
    signer = ec.generate_private_key(ec.SECP256R1()) if case["signature"] == "ecdsa" else key
    built = (
        x509.CertificateBuilder()
        .subject_name(name(*case["subject"]))
        .issuer_name(name(*case["issuer"]))
        .public_key(signer.public_key())
        .serial_number(int(case["serial"], 16))
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(signer, hashes.SHA384() if case["signature"] == "sha384RSA" else hashes.SHA256())
    )
    return built.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(("which", "serial"), [("app", "app_cert_sn"), ("alipay", "alipay_cert_sn")])
def test_the_published_numbers_come_out(which: str, serial: str, key: rsa.RSAPrivateKey) -> None:
    assert certificate_serial(certificate(VECTORS[which], key)) == VECTORS[serial]


@pytest.mark.parametrize("between", ["", "\n", "\r\n\r\n", "a line that is no certificate\n"])
def test_a_bundle_passes_over_what_is_not_signed_with_rsa(between: str, key: rsa.RSAPrivateKey) -> None:
    bundle = between.join(certificate(case, key) for case in VECTORS["bundle"])

    assert bundle_serial(bundle) == VECTORS["root_cert_sn"]


def test_a_bundle_passes_over_what_cannot_be_read(key: rsa.RSAPrivateKey) -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle = broken + "".join(certificate(case, key) for case in VECTORS["bundle"])

    assert bundle_serial(bundle) == VECTORS["root_cert_sn"]


def test_text_without_a_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        certificate_serial("MIIB")
    with pytest.raises(ValueError, match="RSA"):
        bundle_serial("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
