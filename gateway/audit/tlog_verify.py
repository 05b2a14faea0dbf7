"""Verifies a log's directory from its entries up, against its signed checkpoint and against one that was kept outside.

  1. the checkpoint is signed by the log, and it or an earlier one is cosigned by enough known witnesses
  2. each entry has the hash that the tile above it holds            (C2SP tlog-tiles)
  3. each full tile has the hash that stands in the level above      (RFC 6962 section 2.1)
  4. the root of all is the one in the checkpoint
  5. the tree begins with the tree of the checkpoint that was saved earlier, and with that of the one that witnesses
     cosigned last: nothing was rolled back or rewritten

Rules
- Memory does not grow with the log but for 32 bytes in 65,536 entries; all cores are used.
- What is found is reported, with its place, and does not stop the rest. Only wrong arguments raise.
- Without anything from outside it says that rollback and rewriting are not excluded. It never keeps silent about it.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from gateway.audit.checkpoint import CHECKPOINT, Checkpoint, Opened, open_checkpoint
from gateway.audit.directory import read_minimum
from gateway.audit.note import InvalidNote, Signed, VerifierKey, format_note, parse_note
from gateway.audit.policy import COSIGNED
from gateway.audit.tiles import ENTRIES, TILE_HEIGHT, TILE_WIDTH, MissingTile, Read, TileReader, levels, tile_path
from gateway.audit.tlog_findings import LogFault, LogFinding
from gateway.audit.tlog_scan import MOST_FINDINGS, Part, Row, check_row, parts, scan_part, stored_row
from gateway.audit.tree import RightEdge, subtree_root
from gateway.model.problems import StorageError

__all__ = ["LogReport", "Progress", "verify_log"]

WORTH_PROCESSES: Final = 262_144
"""Entries below which starting processes takes longer than they save."""

Progress = Callable[[int, int], None]
"""Called with the entries scanned so far and the log's size."""


@dataclass(slots=True)
class LogReport:
    """What was verified and what was found."""

    origin: str
    size: int = 0
    root: bytes = b""
    entries: int = 0
    pruned: int = 0  # entries below the published minimum index whose bundles are gone; their hashes were verified
    content_bytes: int = 0
    since: Checkpoint | None = None
    witnesses: tuple[Signed, ...] = ()
    findings: list[LogFinding] = field(default_factory=list)
    faults: int = 0
    remarks: list[str] = field(default_factory=list)
    evidence: tuple[bytes, bytes] | None = None  # two notes that the log signed and that contradict each other

    @property
    def passed(self) -> bool:
        return self.faults == 0

    @property
    def anchored(self) -> bool:
        """Whether anything from outside the log stands behind the result."""
        return (self.since is not None and self.since.size > 0) or bool(self.witnesses)

    def find(self, *findings: LogFinding) -> None:
        """Keep findings, up to a limit."""
        self.faults += len(findings)
        self.findings += findings[: MOST_FINDINGS - len(self.findings)]

    def take(self, part: Part) -> None:
        """Add up what a part has found."""
        self.entries += part.entries
        self.pruned += part.pruned
        self.content_bytes += part.content_bytes
        self.find(*part.findings)
        self.faults += part.faults - len(part.findings)


def verify_log(
    read: Read,
    key: VerifierKey,
    *,
    since: bytes | None = None,
    witnesses: Collection[VerifierKey] = (),
    quorum: int = 0,
    workers: int | None = None,
    progress: Progress | None = None,
) -> LogReport:
    """Verify the log behind `read`, which `key` has to have signed; `read` must be picklable unless `workers` is 1.

    `since` is a checkpoint of this log that was kept outside. Raises `InvalidNote` if that one is not genuine.
    """
    saved = None if since is None else open_checkpoint(since, key).checkpoint
    report = LogReport(key.name, since=saved)
    # 1.
    raw = read(CHECKPOINT)
    opened = _open(report, raw, key)
    cosigned = _cosigned(report, read, key, witnesses, quorum)
    if opened is not None and raw is not None:
        report.size, report.root = opened.checkpoint.size, opened.checkpoint.root
        # 2. to 4.
        _Scan(report, read, _minimum(report, read)).run(workers, progress)
        # 5.
        if saved is not None and since is not None:
            _compare(report, read, raw, saved, since)
        if cosigned is not None:
            _compare(report, read, raw, cosigned.checkpoint, format_note(cosigned.note))
    _remark(report, read)
    return report


def _open(report: LogReport, raw: bytes | None, key: VerifierKey) -> Opened | None:
    """Step 1. An unsigned checkpoint is a finding, and what it says is still compared with the tree."""
    if raw is None:
        report.find(LogFinding(LogFault.MISSING, CHECKPOINT, "the log has no checkpoint"))
        return None
    try:
        return open_checkpoint(raw, key)
    except InvalidNote as error:
        report.find(LogFinding(LogFault.CHANGED, CHECKPOINT, str(error)))
    try:
        note = parse_note(raw)
        return Opened(Checkpoint.parse(note.text), note)
    except InvalidNote:
        return None


def _cosigned(
    report: LogReport, read: Read, key: VerifierKey, witnesses: Collection[VerifierKey], quorum: int
) -> Opened | None:
    """Step 1: the newest checkpoint that enough witnesses cosigned. The published one may be a moment newer."""
    wrong = "no checkpoint is there"
    for path in (CHECKPOINT, COSIGNED) if witnesses else ():
        raw = read(path)
        if raw is None:
            continue
        try:
            opened = open_checkpoint(raw, key, witnesses, max(1, quorum))
        except InvalidNote as error:
            wrong = str(error)
            continue
        report.witnesses = opened.witnesses
        return opened
    if quorum:
        report.find(LogFinding(LogFault.MISSING, COSIGNED, f"no checkpoint is cosigned by enough witnesses: {wrong}"))
    return None


def _minimum(report: LogReport, read: Read) -> int:
    try:
        minimum = read_minimum(read)
    except StorageError as error:
        report.find(LogFinding(LogFault.CHANGED, "minimum_index", str(error)))
        return 0
    if minimum > report.size:
        report.find(LogFinding(LogFault.CHANGED, "minimum_index", f"{minimum} is above the size {report.size}"))
    return minimum


class _Scan:
    """Steps 2 to 4: parts, then the levels above them, then the root."""

    def __init__(self, report: LogReport, read: Read, minimum: int) -> None:
        self._report = report
        self._read = read
        self._minimum = minimum
        self._whole = Part()  # the levels above the parts
        self._tails: dict[int, Row] = {}  # the hashes of each level's unfinished tile
        self._strays: dict[int, bytes] = {}

    def run(self, workers: int | None, progress: Progress | None) -> None:
        size, row = self._report.size, []
        for number, part in enumerate(self._parts(workers)):
            self._report.take(part)
            self._whole.doubts += part.doubts
            self._strays |= part.strays
            if part.tail:
                self._tails[0] = part.tail
            if len(part.row) == TILE_WIDTH:
                row.append(subtree_root(part.row))
            else:
                self._tails[1] = part.row
            if progress is not None:
                progress(min(size, (number + 1) * TILE_WIDTH * TILE_WIDTH), size)
        for level in range(2, levels(size)):
            row = self._level(level, row)
        self._judge()
        self._report.take(self._whole)
        self._name_strays()

    def _parts(self, workers: int | None) -> Iterator[Part]:
        size, number = self._report.size, parts(self._report.size)
        if workers is None:
            workers = (os.cpu_count() or 1) if size >= WORTH_PROCESSES else 1
        if min(workers, number) <= 1:
            for index in range(number):
                yield scan_part(self._read, size, index, self._minimum)
            return
        # Fresh processes: a fork would copy the locks of this one's threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, number), mp_context=context) as pool:
            waiting: deque[Future[Part]] = deque()
            for index in range(number):
                waiting.append(pool.submit(scan_part, self._read, size, index, self._minimum))
                # No more in flight than keeps every process busy.
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _level(self, level: int, derived: Row) -> Row:
        """Compare the tiles of one level with the hashes from below; gives those of the level above."""
        size, above = self._report.size, []
        for index in range(-(-len(derived) // TILE_WIDTH)):
            stored = stored_row(self._whole, self._read, level, index, size)
            row = derived[index * TILE_WIDTH : (index + 1) * TILE_WIDTH]
            row = check_row(self._whole, self._read, size, level, index, row, stored)
            if len(row) == TILE_WIDTH:
                above.append(subtree_root(row))
            else:
                self._tails[level] = row
        return above

    def _judge(self) -> None:
        """Step 4, and what the root says about the doubts at the right edge."""
        doubts = self._whole.doubts
        for choice in product((True, False), repeat=len(doubts)):
            stored = {doubt.level: doubt.stored for doubt, derived in zip(doubts, choice, strict=True) if not derived}
            if self._root(self._tails | stored) == self._report.root:
                for doubt, derived in zip(doubts, choice, strict=True):
                    self._whole.find(*doubt.findings(derived))
                return
        detail = f"its root is not that of the {self._report.size} entries that are there"
        self._whole.find(LogFinding(LogFault.CHANGED, CHECKPOINT, detail))
        for doubt in doubts:
            self._whole.find(*doubt.findings(None))

    def _root(self, tails: dict[int, Row]) -> bytes:
        edge = RightEdge()
        for level in sorted(tails, reverse=True):
            edge.extend(tails[level], TILE_HEIGHT * level)
        return edge.root()

    def _name_strays(self) -> None:
        """Say of a bundle that does not belong in its place whose entries it holds."""
        homes = {root: index for index, root in self._strays.items()}
        if not homes:
            return
        reader = TileReader(self._read, self._report.size)
        for index in range(self._report.size // TILE_WIDTH):
            try:
                stray = homes.get(reader(TILE_HEIGHT, index))
            except MissingTile:
                continue
            if stray is not None:
                fault = LogFault.REORDERED if index in self._strays else LogFault.DUPLICATED
                detail = f"it is the bundle {tile_path(ENTRIES, index)}"
                self._report.find(LogFinding(fault, tile_path(ENTRIES, stray), detail, stray * TILE_WIDTH))


def _compare(report: LogReport, read: Read, raw: bytes, saved: Checkpoint, since: bytes) -> None:
    """Step 5."""
    if saved.size > report.size:
        detail = f"it has {report.size} entries, and the log had signed {saved.size}"
        report.find(LogFinding(LogFault.ROLLED_BACK, CHECKPOINT, detail, report.size))
        return
    try:
        root = TileReader(read, report.size).root(saved.size)
    except MissingTile as error:
        report.find(LogFinding(LogFault.MISSING, CHECKPOINT, f"the tree of size {saved.size} is lost: {error}"))
        return
    if root != saved.root:
        report.evidence = (since, raw)
        detail = f"the first {saved.size} entries are not those that the log had signed: its history was written anew"
        report.find(LogFinding(LogFault.CHANGED, CHECKPOINT, detail))


def _remark(report: LogReport, read: Read) -> None:
    if report.since is not None and report.since.size > 0:
        report.remarks.append(f"Compared with the checkpoint of size {report.since.size} that was kept outside.")
    for one in report.witnesses:
        report.remarks.append(f"Cosigned by {one.key.name} at {one.at:%Y-%m-%dT%H:%M:%SZ}; see that this is recent.")
    if not report.anchored:
        report.remarks.append(
            "NO OUTSIDE ANCHOR was given (a saved checkpoint or a witness): that the log was rolled back or written "
            "anew and signed again is NOT excluded."
        )
    if report.pruned:
        report.remarks.append(f"{report.pruned} entries were pruned: their hashes stand, their content is not checked.")
    if report.size and read(tile_path(ENTRIES, report.size // TILE_WIDTH)) is not None:
        report.remarks.append("There are entries beyond the checkpoint: it is being replaced, or it was put back.")
