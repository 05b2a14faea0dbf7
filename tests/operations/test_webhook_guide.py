"""The guide's recipe takes what the gateway sends, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.operations.endpoint_secrets import OVERLAP
from gateway.operations.notifications import SCHEDULE
from gateway.operations.receivers import SEND_SECONDS
from gateway.testing.clock import ManualClock
from tests.operations.lending_platform import Got, listening, office
from tests.sources import ROOT

GUIDE = (ROOT / "docs" / "lending" / "webhooks.md").read_text(encoding="utf-8")

Verify = Callable[[dict[str, str], bytes, str], None]


@pytest.fixture
def verify() -> Verify:
    recipe = GUIDE.split("```python\n")[1].split("```")[0]
    names: dict[str, Verify] = {}
    exec(recipe, names)  # noqa: S102 - it is the guide's own text
    return names["verify"]


async def sent(folder: Path, at: datetime) -> tuple[Got, str]:
    """A delivery at that moment, and its secret."""
    async with listening() as platform, office(folder, ManualClock(at)) as lender:
        added = await lender.add(platform.url)
        await lender.happens(await lender.operation())
        await lender.notifier.round()
        return platform.got[0], added.secret


async def test_the_recipe_takes_a_genuine_message(tmp_path: Path, verify: Verify) -> None:
    got, secret = await sent(tmp_path, datetime.now(UTC))

    verify(got.headers, got.body, secret)


async def test_the_recipe_refuses_what_was_changed_or_signed_by_somebody_else(tmp_path: Path, verify: Verify) -> None:
    got, secret = await sent(tmp_path, datetime.now(UTC))
    later = {**got.headers, "webhook-timestamp": str(int(time.time()) + 60)}
    other_id = {**got.headers, "webhook-id": "evt_other"}
    unsigned = {**got.headers, "webhook-signature": "v2,abc v1,"}

    for headers, body, key in (
        (got.headers, got.body + b" ", secret),
        (later, got.body, secret),
        (other_id, got.body, secret),
        (unsigned, got.body, secret),
        (got.headers, got.body, "whsec_" + "A" * 44),
    ):
        with pytest.raises(ValueError, match="not signed"):
            verify(headers, body, key)


@pytest.mark.parametrize("age", [timedelta(minutes=6), -timedelta(minutes=6)])
async def test_the_recipe_refuses_what_is_stale_or_from_the_future(
    tmp_path: Path, verify: Verify, age: timedelta
) -> None:
    got, secret = await sent(tmp_path, datetime.now(UTC) - age)

    with pytest.raises(ValueError, match="too old"):
        verify(got.headers, got.body, secret)


def test_the_guide_names_the_times_as_they_are() -> None:
    hour = timedelta(hours=1)

    assert (
        *(timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30)),
        *(2 * hour, 8 * hour, 24 * hour, 24 * hour, 24 * hour),
    ) == SCHEDULE
    assert "5 seconds, 1 minute, 5 minutes, 30 minutes, 2 hours, 8 hours and three times 24 hours" in GUIDE
    assert f"within {SEND_SECONDS:.0f} seconds" in GUIDE
    assert f"For {OVERLAP // hour} hours everything is signed" in GUIDE
