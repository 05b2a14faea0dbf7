"""What the transparency log costs: growing it, verifying it, and how far it is behind. `python bench/audit.py`.

Method
- A leaf has 300 bytes. Logs are built without fsync, which changes nothing on disk; whatever is timed runs with it.
- grow: 100 entries, their tiles and a signed checkpoint, everything fsynced, at four sizes of the log; medians of 30.
  It has to cost the same at every size.
- verify: the whole log from its entries up, with one process. `CPU` counts the process's own time, so that other work
  on the machine matters less; it still shares caches with it. Best of five. Then all cores, by the clock.
- behind: records come in at a steady rate; for each, the time until a checkpoint covers it is published.
- Memory is the peak of the verifying process, which includes the interpreter and all imports.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.machine import cores, cpu_name, fsync_milliseconds
from gateway.audit.checkpoint import Checkpoint, sign_checkpoint
from gateway.audit.directory import Directory, FileReader, OperatingSystem
from gateway.audit.head import HeadFile
from gateway.audit.note import Signer, VerifierKey
from gateway.audit.sequencer import Sequencer
from gateway.audit.tiles import Edge
from gateway.audit.tlog_verify import verify_log
from gateway.model.clock import SystemClock
from tests.audit.logs import Records, a_signer

LEAF_BYTES = 300
SIZES = (10_000, 100_000, 1_000_000, 2_000_000)
ROUNDS = 30


class WithoutSync(OperatingSystem):
    """For what is not timed."""

    @staticmethod
    def fsync(fd: object) -> None:
        return None


def a_leaf(index: int) -> bytes:
    """As large as the record of a change."""
    return b"%0*d" % (LEAF_BYTES, index)


def append(edge: Edge, directory: Directory, until: int) -> None:
    """Entries and tiles up to the size `until`."""
    while edge.size < until:
        for index in range(edge.size, min(until, edge.size + 20_000)):
            edge.append(a_leaf(index))
        directory.add(edge.take_full())
    directory.add(edge.take_partial())


def publish(edge: Edge, directory: Directory, signer: Signer) -> None:
    """A checkpoint of what is there."""
    checkpoint = Checkpoint(signer.key.name, edge.size, edge.root())
    directory.publish(sign_checkpoint(checkpoint, signer))


def grow(root: Path, signer: Signer) -> None:
    """What a further checkpoint costs at each size."""
    quick, directory, edge = Directory(root, WithoutSync()), Directory(root), Edge()
    for size in SIZES:
        append(edge, quick, size)
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            append(edge, directory, edge.size + 100)
            publish(edge, directory, signer)
            took.append((time.perf_counter() - began) * 1000)
        print(f"grow     {size:>9,} entries: {statistics.median(took):6.2f} ms for 100 more, lowest {min(took):.2f}")


def verify(root: Path, key: str) -> None:
    """In a process of its own, for its memory."""
    rates = []
    for _ in range(5):
        began = time.process_time()
        report = verify_log(FileReader(root), VerifierKey.parse(key), workers=1)
        assert report.passed
        rates.append(report.size / (time.process_time() - began) / 1e6)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"verify   {report.size:>9,} entries: {max(rates):6.2f} M/s of CPU on one core, peak {peak} MB")
    began = time.perf_counter()
    report = verify_log(FileReader(root), VerifierKey.parse(key), workers=cores())
    rate = report.size / (time.perf_counter() - began) / 1e6
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"verify   {report.size:>9,} entries: {rate:6.2f} M/s by the clock on {cores()} cores, peak {peak} MB each")


class Feed(Records):
    """A store into which records come at a steady rate."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[float] = []

    async def run(self, rate: int, seconds: int) -> None:
        began = time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            due = int(elapsed * rate) - len(self.came)
            self.add(a_leaf(index) for index in range(due))
            self.came += [time.monotonic()] * due
            await asyncio.sleep(0.005)

    async def leaves(self, *, after: int = 0, limit: int = 1000) -> list[tuple[int, bytes]]:
        positions = range(after + 1, min(after + limit, len(self.rows)) + 1)
        return [(position, self.rows[position]) for position in positions]


async def behind(root: Path, signer: Signer, rate: int, seconds: int) -> None:
    """How long records wait for a checkpoint that covers them."""
    feed, directory = Feed(), Directory(root)
    sequencer = Sequencer(directory, HeadFile(directory), feed, signer, SystemClock())
    covered: list[float] = []
    plain = directory.publish

    def noting(checkpoint: bytes) -> None:
        plain(checkpoint)
        size = int(checkpoint.split(b"\n")[1])
        covered.extend([time.monotonic()] * (size - len(covered)))

    directory.publish = noting  # type: ignore[method-assign]  # the moment when a checkpoint is durable
    await sequencer.open()
    running = asyncio.create_task(sequencer.run())
    await feed.run(rate, seconds)
    await asyncio.sleep(2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await sequencer.close()
    lags = sorted(there - came for came, there in zip(feed.came, covered, strict=True))
    median, high, most = (lags[int(len(lags) * share) - 1] for share in (0.5, 0.99, 1))
    print(f"behind   {rate:>9,} a second: median {median:.2f} s, 99th {high:.2f} s, most {most:.2f} s")


def main() -> None:
    """The whole bench, or one verification in a process of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--verify", nargs=2, metavar=("ROOT", "KEY"), help="only verify this log")
    chosen = parser.parse_args()
    if chosen.verify:
        verify(Path(chosen.verify[0]), chosen.verify[1])
        return
    signer = a_signer()
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        root = Path(folder)
        load = os.getloadavg()[0]
        print(f"{cpu_name()}, {cores()} cores, load {load:.1f}, fsync {fsync_milliseconds(root):.2f} ms")
        grow(root / "log", signer)
        subprocess.run([sys.executable, __file__, "--verify", str(root / "log"), str(signer.key)], check=True)
        for rate in (500, 5000):
            asyncio.run(behind(root / f"behind-{rate}", signer, rate, 10))


if __name__ == "__main__":
    main()
