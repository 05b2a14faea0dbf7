"""The keys of one connection: our own signing key, the partner's public keys and the shared secrets.

Rules
- A key is parsed once, when the connection opens. Nothing here prints, logs or returns a private byte; `repr` and every
  message show ids, lengths and digests only.
- What is signed with SHA-1 or a short RSA key, is refused unless the connection is marked `legacy`.
- Without a key or secret nothing verifies: a missing one refuses the message, it never lets it pass.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.crypto import algorithms
from gateway.crypto.pem import PrivateKey, PublicKey, read_private_key, read_public_key
from gateway.model.problems import AdapterError, ConfigurationError, NotProven, UnknownKey

__all__ = ["KeyRing", "SigningKey"]

MAC_SECRET_BYTES_AT_LEAST: Final = 16  # 128 bits (FAPI 2.0 section 5.4.1); shorter only for a `legacy` connection

SecretValue = str | bytes | Sequence[bytes]


class SigningKey:
    """Our own private key and the id under which the partner knows it."""

    __slots__ = ("key", "key_id", "public")

    def __init__(self, key_id: str, key: PrivateKey) -> None:
        self.key_id = key_id
        self.key = key
        self.public: PublicKey = key.public_key()

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id!r})"


class KeyRing:
    """Implements `gateway.model.message.Keys` for one connection; `place` names it in messages."""

    def __init__(
        self,
        place: str,
        *,
        own: SigningKey | None = None,
        partner: Mapping[str, PublicKey] | None = None,
        secrets: Mapping[str, tuple[bytes, ...]] | None = None,
        legacy: bool = False,
    ) -> None:
        self._place = place
        self._own = own
        self._partner = dict(partner or {})
        self._secrets = dict(secrets or {})
        self._legacy = legacy

    @classmethod
    def load(
        cls,
        place: str,
        *,
        key_id: str = "",
        private_key: str | bytes | None = None,
        partner_keys: Mapping[str, str | bytes] | None = None,
        secrets: Mapping[str, SecretValue] | None = None,
        legacy: bool = False,
    ) -> KeyRing:
        """Parse what the configuration holds.

        `partner_keys`: id to public key or certificate. `secrets`: name to value, or to several values while one is
        being replaced: the first is used, all of them verify. Raises `ConfigurationError`.
        """
        own = None
        if private_key is not None:
            own = SigningKey(key_id, read_private_key(private_key, f"{place}: signing key {key_id!r}", legacy=legacy))
        ring = cls(place, own=own, legacy=legacy)
        for name, text in (partner_keys or {}).items():
            ring.add_partner_key(name, text)
        for name, value in (secrets or {}).items():
            ring._secrets[name] = _values(value, f"{place}: secret {name!r}")
        return ring

    def __repr__(self) -> str:
        own = repr(self._own.key_id) if self._own else None
        return f"KeyRing({self._place!r}, own={own}, partner={sorted(self._partner)}, secrets={sorted(self._secrets)})"

    def __reduce__(self) -> str:
        raise TypeError("a key ring is neither copied nor pickled: its keys stay where they were loaded")

    @property
    def key_id(self) -> str:
        """The id of our own current signing key. Raises `ConfigurationError` where there is none."""
        return self._signing_key().key_id

    @property
    def partner_key_ids(self) -> frozenset[str]:
        return frozenset(self._partner)

    def add_partner_key(self, key_id: str, pem: str | bytes) -> None:
        """Hold one more key of the partner, such as one that was fetched. Raises `ConfigurationError`."""
        key = read_public_key(pem, f"{self._place}: partner key {key_id[:80]!r}", legacy=self._legacy)
        self._partner = {**self._partner, key_id: key}

    def sign(self, message: bytes, algorithm: str) -> bytes:
        """Sign with our own key. Raises `ConfigurationError` where it is missing or of another type."""
        own = self._signing_key()
        if not algorithms.fits(own.public, algorithm):
            raise ConfigurationError(f"{self._place}: our signing key is no key for {algorithm}; configure one that is")
        if algorithm in algorithms.LEGACY and not self._legacy:
            raise ConfigurationError(self._only_legacy(algorithm))
        return algorithms.sign(own.key, message, algorithm)

    def verify(self, message: bytes, signature: bytes, algorithm: str, key_id: str | None = None) -> None:
        """Check a partner's signature. Raises `NotProven`, or `UnknownKey` when no such key id is held."""
        if algorithm in algorithms.LEGACY and not self._legacy:
            raise NotProven(self._only_legacy(algorithm))
        tried = []
        for name, key in self._candidates(key_id):
            if not algorithms.fits(key, algorithm):
                continue
            tried.append(name)
            try:
                algorithms.verify(key, message, signature, algorithm)
            except InvalidSignature:
                continue
            return
        if not tried:
            raise NotProven(f"{self._place}: no key of the partner is of the type that {algorithm} takes")
        raise NotProven(
            f"the {algorithm} signature of {len(signature)} bytes does not fit {_described(message)} "
            f"under the key {' or '.join(repr(name[:80]) for name in tried)}"
        )

    def mac(self, message: bytes, algorithm: str, secret: str) -> bytes:
        """HMAC under the connection's secret of that name. Raises `ConfigurationError` where it is missing."""
        _require_mac(algorithm)
        values = self._secrets.get(secret)
        if not values:
            raise ConfigurationError(self._no_secret(secret))
        if self._is_short(values[0]):
            raise ConfigurationError(self._too_short(secret))
        return hmac.digest(values[0], message, "sha256")

    def verify_mac(self, message: bytes, tag: bytes, algorithm: str, secret: str) -> None:
        """Compare in constant time. Raises `NotProven`, also where the secret is missing."""
        _require_mac(algorithm)
        values = self._secrets.get(secret)
        if not values:
            raise NotProven(self._no_secret(secret))
        if any(self._is_short(value) for value in values):
            raise NotProven(self._too_short(secret))
        if not any(hmac.compare_digest(hmac.digest(value, message, "sha256"), tag) for value in values):
            raise NotProven(
                f"the {algorithm} tag of {len(tag)} bytes does not fit {_described(message)} "
                f"under the secret {secret!r}"
            )

    def encrypt(self, plaintext: bytes, algorithm: str, key_id: str | None = None) -> bytes:
        """Encrypt one block to the partner's key. Raises `ConfigurationError` where there is no one key to take."""
        found = [key for name, key in self._partner.items() if key_id in (None, name) and _is_rsa(key)]
        if len(found) != 1:
            raise ConfigurationError(
                f"{self._place}: {len(found)} RSA keys of the partner could encrypt; configure one, or name its key id"
            )
        key = found[0]
        assert isinstance(key, rsa.RSAPublicKey)
        try:
            return algorithms.encrypt(key, plaintext, algorithm)
        except ValueError:
            raise AdapterError(
                f"{len(plaintext)} bytes are too long for one {algorithm} block of a {key.key_size}-bit key; "
                "encrypt a shorter piece at a time"
            ) from None

    def decrypt(self, ciphertext: bytes, algorithm: str) -> bytes:
        """Decrypt one or more blocks of our modulus' length. Raises `NotProven` for anything else."""
        key = self._own.key if self._own else None
        if not isinstance(key, rsa.RSAPrivateKey):
            raise NotProven(f"{self._place}: there is no RSA key of ours to decrypt with; configure it")
        try:
            return algorithms.decrypt(key, ciphertext, algorithm)
        except ValueError:
            # One message for every cause: which check failed would help only somebody who guesses plaintexts.
            raise NotProven(
                f"{len(ciphertext)} bytes could not be decrypted with our {key.key_size}-bit key "
                f"({algorithm}, blocks of {(key.key_size + 7) // 8} bytes)"
            ) from None

    def reveal(self, name: str) -> str:
        """The text of a secret, for the core alone: it fills in what adapters wrote as `Secret(name)`.

        Not part of `Keys`. Raises `ConfigurationError` where the secret is missing or is no text.
        """
        values = self._secrets.get(name)
        if not values:
            raise ConfigurationError(self._no_secret(name))
        try:
            return values[0].decode()
        except UnicodeDecodeError:
            raise ConfigurationError(f"{self._place}: the secret {name!r} is no text and fits no message") from None

    def _signing_key(self) -> SigningKey:
        if self._own is None:
            raise ConfigurationError(f"{self._place}: no signing key is configured; create one and name it there")
        return self._own

    def _candidates(self, key_id: str | None) -> list[tuple[str, PublicKey]]:
        if not self._partner and key_id is None:
            raise NotProven(f"{self._place}: no public key of the partner is configured, so nothing can be proven")
        if key_id is None:
            return list(self._partner.items())
        if key_id not in self._partner:
            raise UnknownKey(key_id)
        return [(key_id, self._partner[key_id])]

    def _is_short(self, value: bytes) -> bool:
        return len(value) < MAC_SECRET_BYTES_AT_LEAST and not self._legacy

    def _too_short(self, name: str) -> str:
        return (
            f"{self._place}: the secret {name!r} is too short to authenticate anything "
            f"(at least {MAC_SECRET_BYTES_AT_LEAST} bytes); ask the partner for a longer one"
        )

    def _only_legacy(self, algorithm: str) -> str:
        return f"{self._place}: {algorithm} is broken; it is used only where the connection is marked `legacy`"

    def _no_secret(self, name: str) -> str:
        return f"{self._place}: there is no secret {name!r}; configure it"


def _values(value: SecretValue, place: str) -> tuple[bytes, ...]:
    if isinstance(value, str):
        value = value.encode()
    several = (value,) if isinstance(value, bytes) else tuple(value)
    if not several or not all(several):
        raise ConfigurationError(f"{place} is empty; give it a value or remove it")
    return several


def _require_mac(algorithm: str) -> None:
    if algorithm not in algorithms.MAC:
        raise AdapterError(f"there is no MAC algorithm {algorithm!r}; there are {', '.join(sorted(algorithms.MAC))}")


def _is_rsa(key: PublicKey) -> bool:
    return isinstance(key, rsa.RSAPublicKey)


def _described(message: bytes) -> str:
    """Enough to compare with what the other side signed, and nothing of what it says."""
    return f"{len(message)} bytes (SHA-256 begins {hashlib.sha256(message).hexdigest()[:8]})"
