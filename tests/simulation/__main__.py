"""Tell many stories and say what was broken: `python -m tests.simulation --seeds 10000`.

--seeds N     how many (default 1000)
--from S      the first seed (default 0)
--seed S      this one alone
--verbose     every line of it
--jobs N      processes (default 2)
--digests     print the trace's hash of each seed
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.simulation import coverage
from tests.simulation.portions import portion, quieten
from tests.simulation.story import Told, tell

SHARE = 20


def arguments(words: list[str]) -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--until-broken", action="store_true", dest="until_broken")
    parser.add_argument("--digests", action="store_true")
    return parser.parse_args(words)


def one(seed: int, verbose: bool) -> int:
    """One story; the exit status says whether every promise was kept."""
    quieten()
    told = tell(seed, verbose=verbose)
    complain(told, lines=not verbose)
    print(f"seed {seed}: {told.operations} operations, {len(told.violations)} promises broken, trace {told.digest}")
    return bool(told.violations)


def until_broken(seeds: range) -> int:
    """The first story in which something is broken."""
    quieten()
    for seed in seeds:
        told = tell(seed)
        if told.violations:
            complain(told, lines=True)
            return 1
    print(f"every promise was kept in {len(seeds)} stories")
    return 0


def many(asked: argparse.Namespace) -> int:
    """Stories by the thousand, and what they covered."""
    began = time.monotonic()
    last = asked.first + asked.seeds
    shares = [range(start, min(start + SHARE, last)) for start in range(asked.first, last, SHARE)]
    reached: coverage.Reached = Counter()
    faults: Counter[str] = Counter()
    operations, broken = 0, []
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        for stories, cells in pool.map(portion, shares):
            reached.update(cells)
            for told in stories:
                faults.update(told.faults)
                operations += told.operations
                if asked.digests:
                    print(f"{told.seed} {told.digest}")
                if told.violations:
                    broken.append(told.seed)
                    complain(told, lines=len(broken) <= 3)
    seconds = time.monotonic() - began
    print(
        f"{asked.seeds} seeds from {asked.first}: {operations} operations, {faults.total()} requests, {seconds:.0f} s"
    )
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(faults.items())))
    print("\n".join(coverage.report(reached)))
    print(f"broken: {broken}" if broken else "every promise was kept in every story")
    return bool(broken)


def complain(told: Told, *, lines: bool) -> None:
    """Say what was broken, what came before, and how to see it again."""
    if not told.violations:
        return
    if lines:
        print("\n".join(told.lines))
    for violation in told.violations[:5]:
        print(f"seed {told.seed}: {violation.oracle}: {violation.detail}")
    print(f"again: python -m tests.simulation --seed {told.seed} --verbose", flush=True)


def main() -> int:
    """The exit status is 1 if any promise was broken."""
    asked = arguments(sys.argv[1:])
    if asked.until_broken:
        return until_broken(range(asked.first, asked.first + asked.seeds))
    return one(asked.seed, asked.verbose) if asked.seed is not None else many(asked)


if __name__ == "__main__":
    sys.exit(main())
