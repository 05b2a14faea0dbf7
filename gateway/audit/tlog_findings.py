"""What can be wrong with a log's directory, and how entries that differ from their hashes are told apart.

Rules
- A finding names the file and, where it can, the entry. Which of two files was changed is decided by what stands above
  both of them, in the end by the signed root.
- Removed, copied, moved and rewritten entries are different findings: they send a person to different places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["LogFault", "LogFinding", "compare_entries"]


class LogFault(StrEnum):
    """What was found."""

    CHANGED = "changed"
    MISSING = "missing"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class LogFinding:
    """One fault: the file, and the entry's index where it is known."""

    fault: LogFault
    path: str
    detail: str
    index: int | None = None

    def __str__(self) -> str:
        entry = "" if self.index is None else f", entry {self.index}"
        return f"{self.fault}: {self.path}{entry}: {self.detail}"


def compare_entries(found: Sequence[bytes], expected: Sequence[bytes], path: str, first: int) -> Iterator[LogFinding]:
    """Say how the leaf hashes of a bundle differ from those that the tree has for it; `first` is the first index."""
    absent, extra = Counter(expected), Counter(found)
    absent, extra = absent - extra, extra - absent
    if not absent and not extra:
        places = [place for place, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
        detail = f"the entries {first + places[0]} to {first + places[-1]} are there, in another order"
        yield LogFinding(LogFault.REORDERED, path, detail, first + places[0])
        return
    gone, added = _places(expected, absent), _places(found, extra)
    if gone == added:
        for place in gone:
            yield _replaced(found[place], expected, path, first, place)
        return
    for place in gone:
        yield LogFinding(LogFault.MISSING, path, "the entry is not in the bundle", first + place)
    for place in added:
        fault = LogFault.DUPLICATED if found[place] in expected else LogFault.CHANGED
        yield LogFinding(fault, path, f"the bundle's entry {place} does not belong there", first + place)


def _replaced(found: bytes, expected: Sequence[bytes], path: str, first: int, place: int) -> LogFinding:
    if found in expected:
        detail = f"a copy of the entry {first + expected.index(found)} stands in its place"
        return LogFinding(LogFault.DUPLICATED, path, detail, first + place)
    return LogFinding(LogFault.CHANGED, path, "the entry is another one than the log took", first + place)


def _places(hashes: Sequence[bytes], wanted: Counter[bytes]) -> list[int]:
    """Where the hashes in `wanted` stand, each as often as it is wanted, and the last of them first."""
    rest, places = Counter(wanted), []
    for place in range(len(hashes) - 1, -1, -1):
        if rest[hashes[place]] > 0:
            rest[hashes[place]] -= 1
            places.append(place)
    return places[::-1]
