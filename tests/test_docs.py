"""What the documentation says about states, retries and problems is rendered from the tables that decide.

`python tests/test_docs.py --write` renders it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.model.states import STANDING, TRANSITIONS, Meaning, State
from gateway.wire.observed import Observed
from gateway.wire.retry import DECISIONS, Repeat

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    columns = list(head)
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def states() -> str:
    meanings = [m for m in Meaning if (State.PROCESSING, m) in TRANSITIONS]
    rows = []
    for state in State:
        steps = (TRANSITIONS[state, meaning] for meaning in meanings)
        rows.append([f"`{state}`", *(f"{s.state}{f' (!{s.attention})' if s.attention else ''}" for s in steps)])
    standing = [
        table(("status", "may become"), ((s, ", ".join(sorted(n)) or "nothing else") for s, n in statuses.items()))
        for statuses in STANDING.values()
    ]
    names = list(STANDING)
    return (
        "# States\n\nRendered from `gateway/model/states.py`. A row is the state that stands, a column is what "
        "a proven message means; `!` raises attention.\n\n"
        + table(("stands", *(f"`{m}`" for m in meanings)), rows)
        + "\nSeen, unknown, not found, not processed, busy and a refused token speak about one request only; what they "
        "do depends on what else was sent (`gateway/operations/facts.py`).\n\n"
        + "\n".join(f"## What stands afterwards: {name}\n\n{text}" for name, text in zip(names, standing, strict=True))
    )


def retries() -> str:
    rows = ([f"`{o.name.lower()}`", o.value, *(DECISIONS[r, o].name.lower() for r in Repeat)] for o in Observed)
    head = ("observed", "which means", *(f"{r.name.lower()}" for r in Repeat))
    legend = "\n".join(f"- **{r.name.lower()}**: {r.value}" for r in Repeat)
    return (
        "# Retries\n\nRendered from `gateway/wire/retry.py` and `gateway/wire/observed.py`. The table decides "
        "whether a request may be sent again, never what happened.\n\n" + legend + "\n\n" + table(head, rows)
    )


def problems() -> str:
    rows = (
        [f"`{kind.name}`", str(kind.status), kind.title, kind.meaning, kind.remedy] for kind in PROBLEM_KINDS.values()
    )
    return (
        "# Problems\n\nRendered from `gateway/api/problem_kinds.py`. "
        "The last part of a problem's `type` is its kind.\n\n"
        + table(("kind", "status", "title", "what it means", "what to do"), rows)
    )


PAGES: dict[str, Callable[[], str]] = {"states.md": states, "retries.md": retries, "problems.md": problems}


@pytest.mark.parametrize("page", PAGES)
def test_the_reference_is_what_the_tables_say(page: str) -> None:
    assert (REFERENCE / page).read_text() == PAGES[page](), "run `python tests/test_docs.py --write`"


if __name__ == "__main__" and "--write" in sys.argv:
    for name, render in PAGES.items():
        (REFERENCE / name).write_text(render())
