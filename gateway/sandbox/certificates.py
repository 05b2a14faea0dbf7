"""Keys and certificates for development: a small authority that signs nothing but loopback servers and their clients.

They are made on the spot, live for a year, say DEVELOPMENT in their subject, and must never be trusted in production.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["DevelopmentCA", "rsa_key", "server_context", "write_private"]

ORGANISATION = "lendgate DEVELOPMENT"


def write_private(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    """Write `key` as unencrypted PKCS#8 PEM that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600, exist_ok=True)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def rsa_key(path: Path, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key at `path` with its public half beside it (`.pub`), both made on first use."""
    if not path.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        write_private(path, key)
        path.with_suffix(".pub").write_bytes(
            key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return key
    loaded = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(loaded, rsa.RSAPrivateKey):
        raise ValueError(f"{path} holds another kind of key; delete it to have an RSA key made")
    return loaded


class DevelopmentCA:
    """An authority kept in `directory` as `ca.pem` and `ca.key`, made on first use."""

    def __init__(self, directory: Path, name: str = "root") -> None:
        self.certificate_path = directory / "ca.pem"
        self._key_path = directory / "ca.key"
        if not self.certificate_path.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            write_private(self._key_path, key)
            subject = _subject(f"lendgate DEVELOPMENT {name} CA")
            certificate = (
                _builder(subject, subject, key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
                .add_extension(_key_usage(sign_certificates=True), critical=True)
                .sign(key, hashes.SHA256())
            )
            self.certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, path: Path, common_name: str, *, client: bool = False) -> None:
        """Write a certificate for `common_name` to `path` (`.pem`) and its key beside it (`.key`), unless present.

        Server certificates name localhost and 127.0.0.1; client certificates are for client authentication only.
        """
        if path.exists():
            return
        authority = x509.load_pem_x509_certificate(self.certificate_path.read_bytes())
        loaded = serialization.load_pem_private_key(self._key_path.read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(path.with_suffix(".key"), key)
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            _builder(_subject(common_name), authority.subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(_key_usage(sign_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(loaded.public_key()), critical=False)
        )
        if not client:
            names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        path.write_bytes(builder.sign(loaded, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))


def server_context(directory: Path, *, client_certificates: bool) -> ssl.SSLContext:
    """TLS 1.2+ for a simulator from `server.pem`, `server.key` and `ca.pem`; asks for client certificates if told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / "server.pem", directory / "server.key")
    if client_certificates:
        context.load_verify_locations(directory / "ca.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _subject(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=365))
    )


def _key_usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
