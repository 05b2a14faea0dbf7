"""Runs the proofs: campaigns that kill, cut, restore, simulate and plant defects, one after the other.

    python run.py prove                     everything in full: some hours on two cores
    python run.py prove --quick             each of them, short
    python run.py prove crash-sqlite …      those alone
    python run.py prove --list              what there is

What each prints is shown as it comes and kept in `bench/results/<name>.txt`, under a head with the command, the commit,
the date and how busy the machine was. A short run is kept as `<name>-quick.txt`, so that it never takes a full one's
place. Exit status 1 if any of them failed. A zero says only what its number of trials can say: the
bound beside it is the rule of three, 3/N, below which the true share lies with 95 % confidence.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "bench" / "results"


@dataclass(frozen=True, slots=True)
class Proof:
    """One campaign: its command in full and in short, and what its number counts."""

    name: str
    shows: str
    trials: int
    unit: str
    full: tuple[str, ...]
    quick: tuple[str, ...]
    quick_trials: int


def _campaign(name: str, shows: str, command: str, full: int, quick: int, seed: int) -> Proof:
    """A command that takes the number of its trials, as its last option, and a seed."""
    words = tuple(command.split())
    in_full, short = ((*words, str(count), "--seed", str(seed)) for count in (full, quick))
    return Proof(name, shows, full, words[-1].removeprefix("--"), in_full, short, quick)


def _module(name: str, shows: str, full: str, quick: str, trials: int = 0, unit: str = "") -> Proof:
    return Proof(name, shows, trials, unit, ("-m", *full.split()), ("-m", *quick.split()), 0)


PROOFS: Final = (
    _campaign(
        "crash-sqlite",
        "a gateway on SQLite is killed; three ledgers agree",
        "bench/crash_campaign.py --kills",
        2000,
        40,
        20261,
    ),
    _campaign(
        "crash-postgres",
        "two gateways on one PostgreSQL database are killed; three ledgers agree",
        "bench/crash_campaign.py --store postgres --kills",
        2000,
        40,
        20262,
    ),
    _campaign(
        "server-kills",
        "the PostgreSQL server is killed under two gateways; three ledgers agree",
        "bench/server_kills.py --kills",
        200,
        10,
        20263,
    ),
    _campaign(
        "power-cuts",
        "what SQLite had not synced is dropped or torn; nothing that was promised is lost",
        "bench/power_cuts.py --cuts",
        1000,
        50,
        20264,
    ),
    _campaign(
        "restore-drills",
        "an old copy of the store comes back under load; nothing is paid again",
        "bench/restore_drills.py --drills",
        200,
        5,
        20265,
    ),
    _module(
        "simulation",
        "engine, adapters and partners on a virtual clock, one seed after another",
        "tests.simulation --seeds 10000",
        "tests.simulation --seeds 200",
        10_000,
        "seeds",
    ),
    _module(
        "planted-defects",
        "each planted defect is caught by an oracle that does not know it",
        "tests.simulation.defects --full",
        "tests.simulation.defects",
    ),
)


def run(proof: Proof, *, quick: bool) -> int:
    """Run one; show what it prints, and keep it. Its exit status."""
    words = proof.quick if quick else proof.full
    trials = proof.quick_trials if quick else proof.trials
    began = time.monotonic()
    result = RESULTS / f"{proof.name}{'-quick' if quick else ''}.txt"
    unfinished = result.with_suffix(".unfinished")
    with unfinished.open("w", encoding="utf-8") as kept:
        _both(kept, f"{proof.name}: {proof.shows}\n")
        _both(kept, f"  command   python {' '.join(words)}\n  commit    {_commit()}\n")
        _both(kept, f"  date      {datetime.now(UTC).isoformat(timespec='seconds')}\n  machine   {_machine()}\n\n")
        status = _shown(words, kept)
        _both(kept, f"\n  exit status {status} after {time.monotonic() - began:.0f} s; {_load()}\n")
        if trials:
            _both(kept, f"  a zero above, over {trials:,} {proof.unit}: at 95 % fewer than 3/N = {3 / trials:.1e}\n")
    unfinished.replace(result)
    return status


def _shown(words: Sequence[str], kept: IO[str]) -> int:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            _both(kept, line.replace(f"{ROOT}{os.sep}", ""))
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise


def _both(kept: IO[str], text: str) -> None:
    kept.write(text)
    kept.flush()
    sys.stdout.write(text)
    sys.stdout.flush()


def _commit() -> str:
    """The commit that was run; `+ changes` where the tree was not clean."""
    try:
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
        changed = subprocess.check_output(
            ["git", "status", "--porcelain", "--", ".", ":!bench/results"], cwd=ROOT, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown (no git here)"
    return commit + (" + changes" if changed.strip() else "")


def _machine() -> str:
    python = f"Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, {python}; {_load()}"


def _load() -> str:
    return "load " + " ".join(f"{one:.2f}" for one in os.getloadavg())


def main() -> int:
    """Run what was asked for; 1 if any failed."""
    parser = argparse.ArgumentParser(
        prog="run.py prove", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [proof.name for proof in PROOFS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all without one")
    parser.add_argument("--quick", action="store_true", help="short campaigns: whether they run, not what they prove")
    parser.add_argument("--list", action="store_true", help="say what there is")
    arguments = parser.parse_args()
    if strange := set(arguments.names) - set(names):
        parser.error(f"there is no {', '.join(sorted(strange))}; there are {', '.join(names)}")
    chosen = [proof for proof in PROOFS if not arguments.names or proof.name in arguments.names]
    if arguments.list:
        for proof in chosen:
            print(f"{proof.name:<16} {proof.shows}\n{'':<16} python {' '.join(proof.full)}")
        return 0
    RESULTS.mkdir(exist_ok=True)
    statuses = {}
    for number, proof in enumerate(chosen, 1):
        print(f"── {number} of {len(chosen)}: {proof.name}", flush=True)
        statuses[proof.name] = run(proof, quick=arguments.quick)
    failed = [name for name, status in statuses.items() if status]
    print(f"── failed: {', '.join(failed)}" if failed else f"── all good: {', '.join(statuses)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
