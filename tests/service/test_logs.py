"""The process's log can be read by machines and holds no key."""

from __future__ import annotations

import json
import logging
import sys

import pytest

from gateway.service.logs import LINE, JSONLines, Lines


def record(message: str, *values: object, failure: ValueError | None = None) -> logging.LogRecord:
    made = logging.LogRecord("gateway.test", logging.WARNING, "x.py", 1, message, values, None)
    made.created = 1_772_323_200.25
    if failure is not None:
        try:
            raise failure
        except ValueError:
            made.exc_info = sys.exc_info()
    return made


def test_a_line_is_one_json_object() -> None:
    line = JSONLines().format(record("the plugin %s\nis broken", "sunken"))

    assert json.loads(line) == {
        "at": "2026-03-01T00:00:00.250Z",
        "level": "warning",
        "logger": "gateway.test",
        "message": "the plugin sunken\nis broken",
    }
    assert "\n" not in line


@pytest.mark.parametrize("formatter", [JSONLines(), Lines(LINE)])
@pytest.mark.parametrize("secret", ["lg_production_Zm9vYmFyYmF6", "Bearer eyJhbGciOi.J9-_x", "Basic dXNlcjpwYXNz"])
def test_no_key_is_written_wherever_it_stood(formatter: logging.Formatter, secret: str) -> None:
    line = formatter.format(record("refused %s", secret, failure=ValueError(f"bad header {secret}!")))

    assert secret[-12:] not in line
    assert "bad header" in line
