"""The guide's worked bytes are what the stock schemes sign."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.crypto.canonical import canonical_pairs
from gateway.crypto.keys import KeyRing
from gateway.crypto.schemes import HMACBody
from gateway.model.message import Request, Stamp
from tests.sources import ROOT

PAGE = (ROOT / "docs/adapters/signing.md").read_text(encoding="utf-8")


def shown(name: str) -> str:
    found = re.search(rf"^{name} +(\S.*)$", PAGE, re.MULTILINE)
    assert found is not None, f"{name} is not on the page"
    return found[1]


def test_the_worked_hmac_is_what_the_scheme_sends() -> None:
    keys = KeyRing.load("the guide", secrets={"shared": b"0123456789abcdef0123456789abcdef"})
    stamp = Stamp(datetime.fromtimestamp(int(shown("X-Timestamp")), UTC), "nonce")

    signed = HMACBody().sign(Request.post("https://bank.example/payments", shown("body").encode()), keys, stamp)

    assert dict(signed.headers)["X-Signature"] == shown("X-Signature")
    assert shown("canonical string") == f"{shown('X-Timestamp')}.{shown('body')}"


def test_the_worked_parameters_are_what_is_signed() -> None:
    assert f"\n{canonical_pairs({'total': '12.30', 'order': 'A1', 'note': ''})}\n" in PAGE
