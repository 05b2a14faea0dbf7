"""The power is cut at random moments, also while the damage of the last cut is being repaired.

Whatever the disk has kept, the published checkpoint verifies, none that was published is taken back, and all that was
ever signed is one history. The same disk without fsync, of files or of directories, does not stand this.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway.audit.checkpoint import Checkpoint
from gateway.audit.directory import Directory
from gateway.audit.head import HeadFile
from gateway.audit.note import Signer
from gateway.audit.sequencer import Sequencer
from gateway.audit.tiles import TileReader
from gateway.audit.tlog_verify import verify_log
from gateway.model.problems import GatewayError
from gateway.testing.clock import ManualClock
from tests.audit.logs import Records, a_signer, leaves
from tests.audit.unreliable_disk import PowerCut, UnreliableDisk

MACHINES, LIVES = 60, 5
"""Four tests with 60 machines, each of which loses its power up to five times: more than 1,000 cuts."""

MOST_CALLS = 220
"""Some lives make fewer calls and end at rest."""


class Machine:
    """A disk, a store that outlives it, and everything that was ever signed or published."""

    def __init__(self, chance: random.Random, **disk: bool) -> None:
        self.chance = chance
        self.disk = UnreliableDisk(**disk)
        self.records = Records()
        self.signed: list[str] = []
        self.published: bytes | None = None
        self.signer = a_signer()
        sign = self.signer._sign

        def noting(text: bytes) -> bytes:
            self.signed.append(text.decode())
            return sign(text)

        self.signer = Signer(self.signer.key, noting)

    def live(self, rounds: int, calls: int) -> bool:
        """Work until the power is cut after so many calls; whether it was."""
        self.disk.calls_left = calls
        try:
            asyncio.run(self._work(rounds))
        except PowerCut:
            return True
        return False

    async def _work(self, rounds: int) -> None:
        directory = Directory("log", self.disk)
        sequencer = Sequencer(directory, HeadFile(directory), self.records, self.signer, ManualClock())
        await sequencer.open()
        self.published = self.read("checkpoint")
        for _ in range(rounds):
            number = self.chance.choice((1, 40, 256, 300))
            self.records.add(leaves(number, len(self.records.rows)))
            await sequencer.advance()
            self.published = self.read("checkpoint")
            if self.chance.random() < 0.2:
                await sequencer.prune(self.chance.randint(directory.minimum(), len(self.records.rows)))
        await sequencer.close()

    def lose_power(self) -> None:
        self.disk = self.disk.after_power_cut(self.chance)

    def read(self, path: str) -> bytes | None:
        return self.disk.file(f"log/{path}")

    def check(self) -> None:
        """The published checkpoint verifies, and is not older than the last one that was known to be published."""
        if self.read("checkpoint") is None and self.published is None:
            return
        report = verify_log(self.read, self.signer.key, since=self.published)
        assert report.passed, [str(finding) for finding in report.findings]

    def check_history(self) -> None:
        """There is one text for each size that was ever signed, and the log contains all of them."""
        by_size = {int(text.split("\n")[1]): text for text in self.signed}
        assert len(by_size) == len(set(self.signed))
        size = len(self.records.rows)
        assert size in by_size
        reader = TileReader(self.read, size)
        for text in by_size.values():
            head = Checkpoint.parse(text)
            assert reader.root(head.size) == head.root


def outlive(machine: Machine) -> int:
    cuts = 0
    for _ in range(LIVES):
        cuts += machine.live(rounds=3, calls=machine.chance.randrange(MOST_CALLS))
        machine.lose_power()
        machine.check()
    machine.live(rounds=1, calls=-1)
    machine.check()
    machine.check_history()
    return cuts


@pytest.mark.parametrize("seed", range(4))
def test_every_published_checkpoint_outlives_every_power_cut(seed: int) -> None:
    chance = random.Random(seed)

    cuts = sum(outlive(Machine(chance)) for _ in range(MACHINES))

    assert cuts >= 250


@pytest.mark.parametrize(
    "disk", [{"syncs_files": False}, {"syncs_folders": False}, {"syncs_files": False, "syncs_folders": False}], ids=str
)
def test_without_fsync_this_test_would_fail(disk: dict[str, bool]) -> None:
    chance, failed = random.Random(1), 0

    for _ in range(30):
        try:
            outlive(Machine(chance, **disk))
        except (AssertionError, GatewayError):
            failed += 1

    assert failed > 10
