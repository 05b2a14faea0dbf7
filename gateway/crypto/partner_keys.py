"""The key under which a partner knows an act of ours, derived from the platform's own reference.

Rules
- The same client, connection, kind and reference give the same key, for ever and on every machine that holds the
  installation's secret, also after the database was lost and restored: a repeated order carries the same key.
- Fields are joined with their lengths, so that no two different lists of them give the same bytes.
"""

from __future__ import annotations

import base64
import hmac
from typing import Final

from gateway.model.problems import AdapterError, ConfigurationError
from gateway.model.terms import KeyForm

__all__ = ["derive_partner_key"]

SECRET_BYTES_AT_LEAST: Final = 32
LENGTHS: Final = range(16, 65)  # characters
IN_ONE_DIGEST: Final = 51  # whole characters of five bits; those behind come from a second digest


def derive_partner_key(secret: bytes, client: str, connection: str, kind: str, reference: str, form: KeyForm) -> str:
    """HMAC-SHA256 of the fields under the installation's secret, written in the partner's alphabet and length.

    In digits the key never begins with 0, because some systems read it as a number. Raises `ConfigurationError` for a
    short secret and `AdapterError` for a length that is not 16 to 64.
    """
    if len(secret) < SECRET_BYTES_AT_LEAST:
        raise ConfigurationError(f"the installation's secret needs at least {SECRET_BYTES_AT_LEAST} bytes")
    if form.length not in LENGTHS:
        raise AdapterError(f"a partner key of {form.length} characters is impossible; KeyForm takes 16 to 64")
    fields = [field.encode() for field in (client, connection, kind, reference)]
    message = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    first = hmac.digest(secret, message, "sha256")
    if form.alphabet == "digits":
        smallest = 10 ** (form.length - 1)
        return str(smallest + int.from_bytes(first, "big") % (9 * smallest))
    if form.length <= IN_ONE_DIGEST:
        return base64.b32encode(first[: (form.length * 5 + 7) // 8]).decode()[: form.length]
    second = hmac.digest(secret, first + message, "sha256")
    return base64.b32encode(first + second).decode()[: form.length]
