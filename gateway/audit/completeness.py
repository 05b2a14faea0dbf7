"""Is one operation's history whole? Its records are counted over every entry of the log up to a size.

For each of its records, in the order of the log
  1. its number is the next one, from 1: none is missing, none stands twice, none moved
  2. it names the hash of the record before it
And behind the last of them the log was read to its end: there is nothing after it, up to that size.

Rules
- Nothing here says that the entries are genuine: verify the log first, against a checkpoint that was kept outside.
- That a record was never written is not found here. The chain shows it only where a later one was; receipts that
  platforms keep show the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.audit.reading import Wanted, chain_of
from gateway.audit.record import leaf_hash
from gateway.audit.tiles import Read
from gateway.audit.tlog_findings import LogFault

__all__ = ["ChainFinding", "ChainReport", "examine_chain"]


@dataclass(frozen=True, slots=True)
class ChainFinding:
    """One fault in an operation's records."""

    fault: LogFault
    index: int | None
    detail: str

    def __str__(self) -> str:
        place = "" if self.index is None else f"entry {self.index}: "
        return f"{self.fault}: {place}{self.detail}"


@dataclass(slots=True)
class ChainReport:
    """One operation's records as the log has them up to `size`."""

    chain: str
    size: int
    first: int  # the index from which on the log was read
    records: list[Wanted] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)  # its intents without an outcome
    findings: list[ChainFinding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return bool(self.records) and not self.findings


def examine_chain(read: Read, size: int, chain: str, first: int = 0) -> ChainReport:
    """Steps 1 and 2 for the operation. Raises `MissingTile` where an entry cannot be read."""
    report = ChainReport(chain, size, first, chain_of(read, size, chain, first))
    if not report.records:
        report.findings.append(ChainFinding(LogFault.MISSING, None, f"the log has no record of {chain}"))
        return report
    number, previous = 0, ""
    for one in report.records:
        # 1.
        if one.number != number + 1:
            report.findings.append(_misnumbered(one, number, report))
        # 2.
        elif one.members["place"]["previous"] != previous:
            detail = f"number {one.number} was written behind another record than the one that stands before it"
            report.findings.append(ChainFinding(LogFault.CHANGED, one.index, detail))
        if one.number > number:
            number, previous = one.number, leaf_hash(one.leaf)
    report.unanswered = _unanswered(report.records)
    return report


def _misnumbered(one: Wanted, number: int, report: ChainReport) -> ChainFinding:
    if one.number > number + 1:
        held = {other.number for other in report.records}
        gone = [missing for missing in range(number + 1, one.number) if missing not in held]
        if gone:
            span = str(gone[0]) if len(gone) == 1 else f"{gone[0]} to {gone[-1]}"
            return ChainFinding(LogFault.MISSING, one.index, f"number {span} is missing before number {one.number}")
        detail = f"number {one.number} stands before number {number + 1}"
        return ChainFinding(LogFault.REORDERED, one.index, detail)
    again = [other.index for other in report.records if other.number == one.number]
    if len(again) > 1:
        places = " and ".join(map(str, again))
        return ChainFinding(LogFault.DUPLICATED, one.index, f"number {one.number} stands at the entries {places}")
    return ChainFinding(LogFault.REORDERED, one.index, f"number {one.number} stands behind number {number}")


def _unanswered(records: list[Wanted]) -> list[str]:
    answered = {one.members.get("intent") for one in records if one.members["kind"] == "outcome"}
    return [one.id for one in records if one.members["kind"] == "intent" and one.id not in answered]
