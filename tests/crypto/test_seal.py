"""Values sealed at rest."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.seal import OVERHEAD_BYTES, Sealer
from gateway.model.problems import ConfigurationError, NotProven

KEY, OTHER = bytes(32), bytes(range(32))


def test_a_sealed_value_opens_under_its_own_context_only() -> None:
    sealer = Sealer(KEY)

    sealed = sealer.seal(b"token", b"connection/app")

    assert sealer.open(sealed, b"connection/app") == b"token"
    with pytest.raises(NotProven, match="does not belong"):
        sealer.open(sealed, b"connection/other")


def test_the_layout_is_version_key_id_nonce_and_ciphertext() -> None:
    sealed = Sealer(KEY, entropy=lambda count: b"n" * count).seal(b"token", b"context")

    assert sealed[:1] == b"\x01"
    assert sealed[5:17] == b"n" * 12
    assert sealed[17:] == AESGCM(KEY).encrypt(b"n" * 12, b"token", sealed[:5] + b"context")
    assert len(sealed) == len(b"token") + OVERHEAD_BYTES


def test_any_flipped_bit_is_refused() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"token", b"")

    for at in range(len(sealed)):
        with pytest.raises((NotProven, ConfigurationError)):
            sealer.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"")


@pytest.mark.parametrize("sealed", [b"", b"\x01", bytes(OVERHEAD_BYTES), b"\x01" + bytes(OVERHEAD_BYTES - 2)])
def test_what_was_never_sealed_is_not_proven(sealed: bytes) -> None:
    with pytest.raises(NotProven, match="no sealed value"):
        Sealer(KEY).open(sealed, b"")


def test_the_same_value_never_looks_the_same() -> None:
    sealer = Sealer(KEY)

    assert sealer.seal(b"token", b"") != sealer.seal(b"token", b"")


def test_a_retired_key_still_opens_and_no_longer_seals() -> None:
    before, after = Sealer(OTHER), Sealer(KEY, retired=[OTHER])

    assert after.open(before.seal(b"token", b""), b"") == b"token"
    with pytest.raises(ConfigurationError, match="retired sealing keys"):
        before.open(after.seal(b"token", b""), b"")


def test_a_sealer_shows_no_key_and_refuses_one_of_another_length() -> None:
    assert KEY.hex() not in repr(Sealer(KEY))
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Sealer(KEY[:-1])
