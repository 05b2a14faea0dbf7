"""Data keys that can be destroyed: a value opens in its place, by its key, and in no other way."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.crypto.envelope import COMMITMENT, VALUE_KEY, DataKey, key_commitment, key_id_of
from gateway.crypto.seal import Sealer
from gateway.model.problems import NotProven

KEY = DataKey("00112233445566aa", b"k" * 32)


def test_a_value_opens_in_its_place_alone() -> None:
    sealed = KEY.seal(b"Zhang Wei", b"operation pay_1")

    assert KEY.open(sealed, b"operation pay_1") == b"Zhang Wei"
    with pytest.raises(NotProven):
        KEY.open(sealed, b"operation pay_2")


def test_a_value_names_its_key_and_shows_nothing_of_its_content() -> None:
    sealed = KEY.seal(b"Zhang Wei", b"")

    assert key_id_of(sealed) == KEY.id
    assert b"Zhang" not in sealed


def test_a_value_of_the_installation_names_no_data_key() -> None:
    sealed = Sealer(b"k" * 32).seal(b"x" * 100, b"")

    assert key_id_of(sealed) is None
    assert key_commitment(sealed) is None


@pytest.mark.parametrize("other", [DataKey("00112233445566ab", b"k" * 32), DataKey(KEY.id, b"K" * 32)])
def test_no_other_key_opens_it(other: DataKey) -> None:
    sealed = KEY.seal(b"Zhang Wei", b"")

    with pytest.raises(NotProven):
        other.open(sealed, b"")


def test_a_changed_byte_is_found_wherever_it_is() -> None:
    sealed = KEY.seal(b"Zhang Wei", b"")

    for at in range(len(sealed)):
        with pytest.raises(NotProven):
            KEY.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"")


def test_a_ciphertext_that_another_key_decrypts_as_well_is_refused() -> None:
    """AES-GCM alone would open it: only the commitment says which key was meant."""
    nonce, head = b"n" * 12, b"\x02" + bytes.fromhex(KEY.id)
    first = hashlib.sha256(COMMITMENT + b"another key").digest()
    value_key = hmac.digest(b"k" * 32, VALUE_KEY + nonce, "sha256")

    forged = head + first + nonce + AESGCM(value_key).encrypt(nonce, b"Li Na", head + first + nonce)

    with pytest.raises(NotProven, match="not committed"):
        KEY.open(forged, b"")


def test_the_commitment_is_that_of_the_values_own_key() -> None:
    sealed = KEY.seal(b"Zhang Wei", b"place")

    own = hmac.digest(b"k" * 32, VALUE_KEY + sealed[41:53] + b"place", "sha256")

    assert key_commitment(sealed) == hashlib.sha256(COMMITMENT + own).hexdigest()
