"""What every model shares: moments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from gateway.model.schema import Instant

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


def test_a_moment_is_kept_in_utc() -> None:
    assert INSTANT.validate_json('"2026-03-01T09:30:00+08:00"') == datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
    assert INSTANT.validate_json('"2026-03-01T09:30:00+08:00"').tzinfo is UTC


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+03:00", "9999-12-31T23:59:59-03:00", "9999-12-31T23:59:59Z"])
def test_a_moment_that_no_other_zone_can_write_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="between the years"):
        INSTANT.validate_python(text)


@pytest.mark.parametrize("text", ["0001-01-02T00:00:00Z", "9999-12-30T00:00:00Z"])
def test_whatever_is_taken_can_be_written_in_every_zone(text: str) -> None:
    moment = INSTANT.validate_python(text)

    for hours in (-23, 23):
        assert moment.astimezone(timezone(timedelta(hours=hours))) == moment


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python("2026-03-01T09:30:00")
