"""Certificates of a partner that were fetched: taken only if they lead to a root that the connection pins.

Rules
- The order of a bundle does not count; its first certificate is the one that is asked about.
- Every certificate on the way is valid at the moment that is handed in, and every issuer may issue.
- Revocation is not looked up: a key that was withdrawn is removed from the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    ExtensionNotFound,
    InvalidVersion,
    KeyUsage,
    load_pem_x509_certificates,
)

from gateway.model.problems import ConfigurationError, NotProven

__all__ = ["require_chain"]

LONGEST_PATH: Final = 5
BUNDLE_AT_MOST: Final = 10


def require_chain(pem: str | bytes, roots: Sequence[str | bytes], now: datetime) -> None:
    """The first certificate in `pem` leads to one of `roots`, by the others in `pem`.

    Raises `NotProven`, and `ConfigurationError` for a root that cannot be read.
    """
    trusted = [certificate for root in roots for certificate in _read(root, "a pinned root", ConfigurationError)]
    bundle = _read(pem, "what was fetched", NotProven)
    current, others = bundle[0], bundle[1:]
    for _ in range(LONGEST_PATH):
        _require_valid(current, now)
        if current in trusted:
            return
        issuer = _issuer_of(current, [*trusted, *others])
        if issuer is None:
            raise NotProven(f"no issuer of the certificate {current.serial_number} is pinned, or came with it")
        current = issuer
    raise NotProven(f"the chain has more than {LONGEST_PATH} certificates")


def _read(pem: str | bytes, what: str, problem: type[ConfigurationError | NotProven]) -> list[Certificate]:
    raw = pem.encode() if isinstance(pem, str) else pem
    try:
        certificates = load_pem_x509_certificates(raw)
    except (ValueError, UnsupportedAlgorithm, InvalidVersion):
        raise problem(f"{what} ({len(raw)} bytes) holds no certificate in PEM") from None
    if len(certificates) > BUNDLE_AT_MOST:
        raise problem(f"{what} holds {len(certificates)} certificates; {BUNDLE_AT_MOST} are taken")
    return certificates


def _require_valid(certificate: Certificate, now: datetime) -> None:
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise NotProven(
            f"the certificate {certificate.serial_number} is valid from {certificate.not_valid_before_utc:%Y-%m-%d} "
            f"to {certificate.not_valid_after_utc:%Y-%m-%d}, not now"
        )


def _issuer_of(certificate: Certificate, candidates: Iterable[Certificate]) -> Certificate | None:
    for candidate in candidates:
        if candidate == certificate or not _may_issue(candidate):
            continue
        try:
            certificate.verify_directly_issued_by(candidate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return candidate
    return None


def _may_issue(certificate: Certificate) -> bool:
    """RFC 5280 sections 4.2.1.3 and 4.2.1.9."""
    try:
        if not certificate.extensions.get_extension_for_class(BasicConstraints).value.ca:
            return False
        return certificate.extensions.get_extension_for_class(KeyUsage).value.key_cert_sign
    except ExtensionNotFound as missing:
        return missing.oid == KeyUsage.oid
    except ValueError:
        return False
