"""How secrets are written in a configuration: one or several, as base64 or hexadecimal."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr

__all__ = ["Secrets", "decoded", "several"]


def several(value: Any) -> Any:
    """One text as a list of one: where several may stand, one may stand without brackets."""
    return [value] if isinstance(value, str) else value


Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(several), Field(min_length=1)]
"""One secret or several, while one is being replaced."""


def decoded(text: str) -> bytes:
    """The bytes behind hexadecimal or base64 (also the URL-safe form); nothing for any other text."""
    text = text.strip()
    if re.fullmatch(r"(?:[0-9a-fA-F]{2})+", text):
        return bytes.fromhex(text)
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""
