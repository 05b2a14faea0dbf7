"""What is remembered of erasures: durable, whole lines, and never misread."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.audit.erasures import Erasure, Erasures
from gateway.model.problems import ConfigurationError


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path / "erasures")
    nothing = erasures.read()

    erasures.append("a1", ["01", "02"], "2026-03-01T08:00:00Z")
    erasures.append("b2", [], "2026-03-02T08:00:00Z")

    assert nothing == []
    assert Erasures(tmp_path / "erasures").read() == [
        Erasure("a1", ("01", "02"), "2026-03-01T08:00:00Z"),
        Erasure("b2", (), "2026-03-02T08:00:00Z"),
    ]
    assert (tmp_path / "erasures").stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_is_left_out_and_written_over(tmp_path: Path) -> None:
    erasures = Erasures(tmp_path / "erasures")
    erasures.append("a1", ["01"], "2026-03-01T08:00:00Z")
    with (tmp_path / "erasures").open("a") as file:
        file.write('{"tag": "c3", "ke')
    after_the_crash = erasures.read()

    erasures.append("b2", ["02"], "2026-03-02T08:00:00Z")

    assert [one.tag for one in after_the_crash] == ["a1"]
    assert [one.tag for one in erasures.read()] == ["a1", "b2"]


def test_a_file_that_was_changed_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "erasures").write_text('{"tag": "a1", "keys": [], "at": ""}\nhello\n')

    with pytest.raises(ConfigurationError, match="erasures:2 is no erasure"):
        Erasures(tmp_path / "erasures").read()
