"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1 is the same tree): hashes, proofs, verification.

Rules
- Pure: knows no file, no signature and no clock. Hashes of complete subtrees come from a reader that is handed in.
- A leaf is hashed behind 0x00 and a node behind 0x01, so that neither can ever pass for the other.
- Verification raises `InvalidProof`; it gives no verdict that a caller could overlook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final

from gateway.model.problems import GatewayError

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "InvalidProof",
    "ReadHash",
    "RightEdge",
    "consistency_proof",
    "hash_children",
    "hash_leaf",
    "inclusion_proof",
    "range_root",
    "subtree_root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES: Final = 32

EMPTY_ROOT: Final = sha256().digest()
"""The root of a tree without leaves (RFC 6962 section 2.1)."""

ReadHash = Callable[[int, int], bytes]
"""`read(level, index)` gives the hash over the leaves index * 2**level … (index + 1) * 2**level - 1."""


class InvalidProof(GatewayError):
    """A proof does not show what it is said to show."""


def hash_leaf(leaf: bytes) -> bytes:
    """The hash of an entry's bytes."""
    return sha256(b"\x00" + leaf).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """The hash of a node."""
    return sha256(b"\x01" + left + right).digest()


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """The node over 2**n neighbouring hashes of one level."""
    row = list(hashes)
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return row[0]


class RightEdge:
    """A tree that grows at its right: the roots of its complete subtrees, from the left; at most 64 hashes."""

    __slots__ = ("_subtrees",)

    def __init__(self) -> None:
        self._subtrees: list[tuple[int, bytes]] = []  # (level, hash); levels fall

    @property
    def size(self) -> int:
        """Leaves so far."""
        return sum(1 << level for level, _ in self._subtrees)

    def append(self, hash_: bytes, level: int = 0) -> None:
        """Add a leaf's hash, or the root of the next complete subtree of 2**level leaves."""
        subtrees = self._subtrees
        if subtrees and subtrees[-1][0] < level:
            raise ValueError(f"a subtree of level {level} cannot follow one of level {subtrees[-1][0]}")
        while subtrees and subtrees[-1][0] == level:
            hash_ = hash_children(subtrees.pop()[1], hash_)
            level += 1
        subtrees.append((level, hash_))

    def extend(self, hashes: Iterable[bytes], level: int = 0) -> None:
        """Add several of one level."""
        for hash_ in hashes:
            self.append(hash_, level)

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._subtrees:
            return EMPTY_ROOT
        *rest, (_, root) = self._subtrees
        for _, left in reversed(rest):
            root = hash_children(left, root)
        return root


def range_root(read: ReadHash, first: int, end: int) -> bytes:
    """The root over the leaves `first` … `end` - 1, where `first` begins a subtree of at least that size."""
    edge = RightEdge()
    while first < end:
        level = (end - first).bit_length() - 1
        edge.append(read(level, first >> level), level)
        first += 1 << level
    return edge.root()


def inclusion_proof(read: ReadHash, index: int, size: int) -> list[bytes]:
    """PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf's sibling up.

    Raises `IndexError` unless 0 <= index < size.
    """
    if not 0 <= index < size:
        raise IndexError(f"a tree of {size} leaves has no leaf {index}")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _left_part(end - begin)
        if index < middle:
            path.append(range_root(read, middle, end))
            end = middle
        else:
            path.append(range_root(read, begin, middle))
            begin = middle
    return path[::-1]


def consistency_proof(read: ReadHash, first: int, second: int) -> list[bytes]:
    """PROOF(first, D[second]) of RFC 6962 section 2.1.2. Raises `IndexError` unless 0 < first <= second."""
    if not 0 < first <= second:
        raise IndexError(f"nothing can be proved between the sizes {first} and {second}")
    begin, end, proof = 0, second, []
    while first != end:
        middle = begin + _left_part(end - begin)
        if first <= middle:
            proof.append(range_root(read, middle, end))
            end = middle
        else:
            proof.append(range_root(read, begin, middle))
            begin = middle
    if begin:  # otherwise the verifier already holds this very root
        proof.append(range_root(read, begin, end))
    return proof[::-1]


def _left_part(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def verify_inclusion(index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """RFC 9162 section 2.1.3.2: the leaf stands at `index` of the tree of `size` leaves under `root`.

    Raises `InvalidProof`.
    """
    # 0. Lengths; the RFC takes them for granted. A short "hash" would let other bytes stand in its place.
    _require_hashes([leaf_hash, *proof])
    # 1.
    if not 0 <= index < size:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    # 2. and 3.
    node, last, hash_ = index, size - 1, leaf_hash
    # 4.
    for sibling in proof:
        if last == 0:
            raise InvalidProof(f"the inclusion proof is longer than the way from leaf {index} to the root")
        if node & 1 or node == last:
            hash_ = hash_children(sibling, hash_)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            hash_ = hash_children(hash_, sibling)
        node, last = node >> 1, last >> 1
    # 5.
    if last:
        raise InvalidProof(f"the inclusion proof is shorter than the way from leaf {index} to the root")
    if hash_ != root:
        raise InvalidProof(f"the proof leads leaf {index} to another root than the one of the tree of size {size}")


def verify_consistency(first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]) -> None:
    """RFC 9162 section 2.1.4.2: the tree of `second` leaves begins with the tree of `first` leaves.

    The roots' lengths are not judged where the sizes are equal. Raises `InvalidProof`, also for `first` = 0: of the
    empty tree nothing can be proved, because every tree begins with it.
    """
    if not 0 < first <= second:
        raise InvalidProof(f"nothing can be proved between the sizes {first} and {second}")
    _require_hashes(proof)
    if first == second:
        if proof or first_root != second_root:
            raise InvalidProof(f"there are two trees of size {first}, or a proof where none is needed")
        return
    # 1. and 2.
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        raise InvalidProof("the consistency proof is empty")
    # 3. and 4.
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    # 5. and 6.
    first_hash, second_hash, last = _climb(path, node, last)
    # 7.
    if last:
        raise InvalidProof("the consistency proof is too short")
    if first_hash != first_root:
        raise InvalidProof(f"the proof does not lead to the root of size {first}")
    if second_hash != second_root:
        raise InvalidProof(f"the proof does not lead to the root of size {second}")


def _climb(path: Sequence[bytes], node: int, last: int) -> tuple[bytes, bytes, int]:
    """Steps 5 and 6: the roots of both trees as the proof gives them, and how much of the way is left."""
    first_hash = second_hash = path[0]
    for hash_ in path[1:]:
        if last == 0:
            raise InvalidProof("the consistency proof is too long")
        if node & 1 or node == last:
            first_hash = hash_children(hash_, first_hash)
            second_hash = hash_children(hash_, second_hash)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            second_hash = hash_children(second_hash, hash_)
        node, last = node >> 1, last >> 1
    return first_hash, second_hash, last


def _require_hashes(hashes: Iterable[bytes]) -> None:
    for hash_ in hashes:
        if len(hash_) != HASH_BYTES:
            raise InvalidProof(f"a hash has {HASH_BYTES} bytes, not {len(hash_)}")
