"""What was signed and verified, string by string, and where two canonical strings part.

A signature that does not fit says nothing about why. Two strings beside each other do: what the adapter's scheme gave
to the key, and what the simulator computed with its own code (a simulator that keeps it has an attribute `canonical`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.model.message import Keys

__all__ = ["KeyUse", "WatchedKeys", "compared", "first_difference"]

AROUND = 30
"""How many bytes are shown on each side of the place where two strings part."""


@dataclass(frozen=True, slots=True)
class KeyUse:
    """One use of a key: what for, over which string, with which result, under which key."""

    act: str  # sign, verify, mac, verify_mac, encrypt, decrypt
    message: bytes
    result: bytes
    algorithm: str
    key: str  # a key id, or the name of a secret; never its value


@dataclass
class WatchedKeys:
    """The handles of a connection; every use of them is kept."""

    keys: Keys
    uses: list[KeyUse] = field(default_factory=list)

    @property
    def key_id(self) -> str:
        return self.keys.key_id

    def sign(self, message: bytes, algorithm: str) -> bytes:
        made = self.keys.sign(message, algorithm)
        self.uses.append(KeyUse("sign", message, made, algorithm, self.key_id))
        return made

    def verify(self, message: bytes, signature: bytes, algorithm: str, key_id: str | None = None) -> None:
        self.uses.append(KeyUse("verify", message, signature, algorithm, key_id or "any that the partner has"))
        self.keys.verify(message, signature, algorithm, key_id)

    def mac(self, message: bytes, algorithm: str, secret: str) -> bytes:
        made = self.keys.mac(message, algorithm, secret)
        self.uses.append(KeyUse("mac", message, made, algorithm, secret))
        return made

    def verify_mac(self, message: bytes, tag: bytes, algorithm: str, secret: str) -> None:
        self.uses.append(KeyUse("verify_mac", message, tag, algorithm, secret))
        self.keys.verify_mac(message, tag, algorithm, secret)

    def encrypt(self, plaintext: bytes, algorithm: str, key_id: str | None = None) -> bytes:
        made = self.keys.encrypt(plaintext, algorithm, key_id)
        self.uses.append(KeyUse("encrypt", plaintext, made, algorithm, key_id or "the partner's"))
        return made

    def decrypt(self, ciphertext: bytes, algorithm: str) -> bytes:
        made = self.keys.decrypt(ciphertext, algorithm)
        self.uses.append(KeyUse("decrypt", made, ciphertext, algorithm, self.key_id))
        return made


def first_difference(ours: bytes, theirs: bytes) -> int | None:
    """The place of the first byte in which they differ; None where they are the same."""
    if ours == theirs:
        return None
    pairs = enumerate(zip(ours, theirs, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(ours), len(theirs)))


def compared(ours: bytes, theirs: bytes, *, key: str, section: str = "") -> str:
    """Both strings around the first byte that differs, which is marked; the key, and where the protocol says how."""
    place = first_difference(ours, theirs)
    source = f" ({section})" if section else ""
    if place is None:
        return (
            f"both signed the same {len(ours)} bytes{source}, so the key {key!r}, the algorithm or the encoding of"
            " the signature differs"
        )
    start = max(0, place - AROUND)
    lines = [
        f"the canonical strings differ from byte {place}; key {key!r}{source}",
        f"  adapter   {_window(ours, start, place)}",
        f"  partner   {_window(theirs, start, place)}",
        f"            {' ' * len(_shown(ours[start:place]))}^ byte {place}",
    ]
    return "\n".join(lines)


def _window(text: bytes, start: int, place: int) -> str:
    return _shown(text[start : place + AROUND]) or "(nothing)"


def _shown(raw: bytes) -> str:
    return repr(raw)[2:-1]
