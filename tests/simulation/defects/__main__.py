"""Run the planted defects: `python -m tests.simulation.defects [--full] [--write]`.

Without `--full` each at its recorded seed. With it, seeds 0 to 999 for each, and the first that catches it is printed;
`--write` records what was found.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.simulation.defects.planting import TABLE, caught, patches, recorded

HEADING = "# Defect, the first seed that catches it, and the oracle. Written by `--full --write`.\n"


def main(words: list[str]) -> int:
    """The exit status is 1 if any defect was not caught."""
    full, known = "--full" in words, recorded() if TABLE.exists() else {}

    def search(patch: Path) -> tuple[int, str] | None:
        if full:
            return caught(patch, 0, 1000)
        seed = known.get(patch.stem)
        return caught(patch, seed[0], 1) if seed else None

    lines, missed = [], 0
    with ThreadPoolExecutor(2) as pool:
        for patch, found in zip(patches(), pool.map(search, patches()), strict=True):
            missed += found is None
            print(f"{patch.stem}: {f'seed {found[0]}, by {found[1]!r}' if found else 'NOT CAUGHT'}", flush=True)
            if found is not None:
                lines.append(f"{patch.stem} {found[0]} {found[1]}\n")
    if "--write" in words:
        TABLE.write_text(HEADING + "".join(lines))
    print(f"{len(lines)} of {len(lines) + missed} planted defects were caught")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
