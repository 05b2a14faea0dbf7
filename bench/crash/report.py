"""Prints what a campaign did and found. Beside each zero stands how much it says."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping

from bench.crash.killing import Killed
from bench.crash.ledgers import Found
from bench.crash.stage import Stage

__all__ = ["histogram", "zero", "show_found", "show_kills", "show_shop"]

BAR = 40


def zero(name: str, wrong: int, of: int, what: str) -> str:
    """`wrong` of `of`; for none, the share that is excluded at 95 % (the rule of three)."""
    bound = f"at 95 %: fewer than 3/{of:,} = {3 / of:.1e}" if wrong == 0 and of else ""
    return f"  {name:<34} {wrong:8,}  of {of:,} {what}  {bound}".rstrip()


def show_kills(killed: Killed, found: Found) -> list[str]:
    """When processes were killed, and in the middle of what. What does not meet the aim comes back as text."""
    kills, lives = killed.kills, found.open_at_death
    with_open = sum(1 for count in lives if count)
    print(f"  kills with an intent open          {with_open:8,}  {100 * with_open / kills:.0f} %")
    print(f"  kills in start or recovery         {killed.in_start:8,}  {100 * killed.in_start / kills:.0f} %")
    print(f"  kills aimed at an act              {killed.aimed:8,}  {100 * killed.aimed / kills:.0f} %")
    print(f"  stayed away past every key's life  {killed.away:8,}")
    print(f"  seconds until ready, median        {statistics.median(killed.starts):8.2f}")
    for number, count in sorted(killed.by_gateway.items()) if len(killed.by_gateway) > 1 else ():
        print(f"  kills of gateway {number + 1:<17} {count:8,}")
    histogram("killed after (seconds)", {f"{tenth / 10:.1f}": n for tenth, n in sorted(killed.instants.items())})
    histogram("intents open at a kill", {str(count): n for count, n in sorted(Counter(lives).items())})
    missed = []
    if with_open < 0.6 * kills and kills >= 100:
        missed.append("fewer than 60 % of the kills met an open intent")
    if killed.in_start < 0.2 * kills and kills >= 100:
        missed.append("fewer than 20 % of the kills fell into a start")
    return missed


def show_shop(stage: Stage) -> None:
    """What the shop and the weather did."""
    shop, calls = stage.shop, len(stage.shop.calls)
    refused = Counter(call.refused for call in shop.calls if call.refused)
    print(f"  calls of the shop                  {calls:8,}")
    print(f"  taken up at the end                {stage.left:8,}  calls that had got no answer in their attempts")
    for name, count in refused.most_common():
        print(f"  refused before anything was opened {count:8,}  {name}")
    histogram("attempts until an answer", {str(attempt): n for attempt, n in sorted(shop.attempts.items())})
    histogram("accidents at the bank", dict(stage.bank.weather.struck.most_common()))


def show_found(found: Found, stage: Stage) -> list[str]:
    """The three ledgers; everything that is wrong comes back as text."""
    operations = found.operations
    share = 100 * found.unknown / max(1, operations)
    kinds = ", ".join(f"{count:,} {kind}s" for kind, count in sorted(found.kinds.items()))
    print(f"  operations                         {operations:8,}  {kinds}")
    print(f"  passed through unknown             {found.unknown:8,}  {share:.0f} %")
    for state, count in sorted(found.states.items()):
        print(f"  ended as {state:<25} {count:8,}")
    print(f"  settled after the last kill in     {stage.settled_seconds:8.1f}  s")
    print(f"  effects at the bank                {found.effects:8,}")
    print(f"  acts that arrived there            {found.acts:8,}  {found.resent:,} of them sent again")
    print(f"  questions that arrived there       {found.questions:8,}")
    print(zero("duplicated effects", len(found.duplicates), operations, "operations"))
    print(zero("lost or wrong outcomes", len(found.outcomes), operations, "operations"))
    print(zero("requests without an intent", len(found.without_intent), found.acts + found.questions, "requests"))
    print(zero("requests sent again wrongly", len(found.requests), found.acts, "acts"))
    print(f"  findings in the log                {len(found.log):8,}")
    print(f"  processes that went wrong          {len(stage.strange):8,}")
    if found.unknown < 0.05 * operations and operations >= 2000:
        return [*found.wrong, *stage.strange, "fewer than 5 % of the operations passed through unknown"]
    return [*found.wrong, *stage.strange]


def histogram(title: str, counts: Mapping[str, int]) -> None:
    """A bar for each name."""
    print(f"  {title}")
    most = max(counts.values(), default=1)
    for name, count in counts.items():
        print(f"    {name:>20} {count:8,} {'█' * max(1, count * BAR // most)}")
