"""Keys, leaves and whole logs for the tests of the transparency log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoint import Checkpoint, sign_checkpoint
from gateway.audit.note import Kind, Signer, VerifierKey
from gateway.audit.tiles import Edge

ORIGIN = "log.example/lendgate"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def a_signer(name: str = ORIGIN, kind: Kind = Kind.ED25519) -> Signer:
    """A signer with a key of its own."""
    private = Ed25519PrivateKey.generate()
    return Signer(VerifierKey(name, kind, private.public_key().public_bytes_raw()), private.sign)


def a_leaf(index: int) -> bytes:
    return f'{{"id":"rec_{index}","kind":"change"}}'.encode()


def leaves(number: int, first: int = 0) -> list[bytes]:
    return [a_leaf(index) for index in range(first, first + number)]


def a_log(content: Iterable[bytes], signer: Signer) -> dict[str, bytes]:
    """The files of a log with these entries: path to bytes, the signed checkpoint among them."""
    edge = Edge()
    for leaf in content:
        edge.append(leaf)
    files = edge.take_full() | edge.take_partial()
    files["checkpoint"] = sign_checkpoint(Checkpoint(signer.key.name, edge.size, edge.root()), signer)
    return files


class Records:
    """A store that holds nothing but records; what it holds can be changed, which no real store does."""

    def __init__(self, content: Iterable[bytes] = ()) -> None:
        self.rows: dict[int, bytes] = {}
        self.add(content)

    def add(self, content: Iterable[bytes]) -> None:
        for position, leaf in enumerate(content, len(self.rows) + 1):
            self.rows[position] = leaf

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        positions = sorted(position for position in self.rows if position > after)[:limit]
        return [(position, self.rows[position]) for position in positions]
