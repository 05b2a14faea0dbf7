"""Kills a process that records, sends and publishes, again and again on the same files, and examines what it left.

    python tests/audit/kill_runs.py FOLDER RUNS SEED

The process commits an intent, and only then writes the call into the partner's own journal, as a partner would; its log
is published beside that. After each kill: the published log verifies and continues what was published before, the
store's records verify, and every call that the partner knows has its intent there. One line of JSON says what was seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.journal import Journal
from gateway.audit.note import Kind, Signer, VerifierKey
from gateway.audit.sequencer import Sequencer
from gateway.audit.tlog_verify import verify_log
from gateway.audit.verify import verify
from gateway.crypto.seal import Sealer
from gateway.model.clock import SystemClock
from gateway.model.ids import Identifiers
from gateway.store.interface import Entry, Recorded
from gateway.store.sqlite import SQLiteStore
from gateway.store.work import Work
from tests.audit.history import an_intent, an_outcome

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"l" * 32)
SIGNER = Signer(VerifierKey("log.example/kills", Kind.ED25519, PRIVATE.public_key().public_bytes_raw()), PRIVATE.sign)
SEALER = Sealer(b"k" * 32)
CALLERS = 8


async def work(folder: Path) -> None:
    """Record, send, publish, until the end."""
    clock = SystemClock()
    store = await SQLiteStore.open(folder / "lendgate.db", clock)
    ids = Identifiers(clock.now)
    journal = Journal(ids, clock, "sandbox", ids.new("run"), SEALER.seal)
    directory = Directory(folder / "log")
    sequencer = Sequencer(directory, HeadFile(directory), store, SIGNER, clock, interval_seconds=0.002)
    await sequencer.open()
    partner = os.open(folder / "partner", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    await asyncio.gather(sequencer.run(), *(calls(store, journal, ids, partner) for _ in range(CALLERS)))


async def calls(store: SQLiteStore, journal: Journal, ids: Identifiers, partner: int) -> None:
    """One call after the other."""
    while True:
        unit, intent = Work(store), an_intent(journal, ids.new("pay"))
        durable = await unit.intend(intent)
        os.write(partner, f"{durable.intent}\n".encode())
        unit.add(Recorded(an_outcome(journal, intent)))
        await unit.commit()


async def stored(folder: Path) -> list[Entry]:
    """What the store holds."""
    store = await SQLiteStore.open(folder / "lendgate.db", SystemClock())
    try:
        return await store.entries(limit=10_000_000)
    finally:
        await store.close()


def run(folder: Path, chance: random.Random) -> None:
    """One process, killed at a random moment."""
    child = os.fork()
    if child == 0:
        asyncio.run(work(folder))
        os._exit(1)
    time.sleep(chance.uniform(0.01, 0.12))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main(folder: Path, runs: int, seed: int) -> dict[str, Any]:
    """All runs; what was seen."""
    chance, read, saved = random.Random(seed), FileReader(folder / "log"), None
    seen = {"runs": 0, "faults": 0, "grew": 0, "entries": 0, "partner_calls": 0, "without_intent": 0}
    for _ in range(runs):
        run(folder, chance)
        seen["runs"] += 1
        if read("checkpoint") is not None:
            report = verify_log(read, SIGNER.key, since=saved, workers=1)
            seen["faults"] += report.faults
            seen["grew"] += report.size > seen["entries"]
            seen["entries"], saved = report.size, read("checkpoint")
    entries = asyncio.run(stored(folder))
    seen["faults"] += verify(entries, SEALER.open).faults
    intents = {entry.id for entry in entries if entry.kind == "intent"}
    calls = (folder / "partner").read_text().split()
    seen["partner_calls"] = len(calls)
    seen["without_intent"] = sum(call not in intents for call in calls)
    return seen


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))  # noqa: T201 - a program's answer
