"""The process's own log: lines for people or JSON for machines, both without keys.

Rules
- It is for operators and says what happened to the process. What happened to money stands in the records, not here.
- API keys and bearer tokens are blotted out in whatever text they came; that is a net under those who log, no licence.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Final, Literal

__all__ = ["set_up_logs"]

SECRET: Final = re.compile(r"(lg_(?:sandbox|production)_|[Bb]earer |[Bb]asic )[A-Za-z0-9._~+/=-]{8,}")
LINE: Final = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


def set_up_logs(level: str, form: Literal["text", "json"]) -> None:
    """Log to the standard error output."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines() if form == "json" else Lines(LINE))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class Lines(logging.Formatter):
    """One line of text, and a traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        return _blotted(super().format(record))


class JSONLines(logging.Formatter):
    """One JSON object a line: `at` (RFC 3339, UTC), `level`, `logger`, `message`, and `exception` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _blotted(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = _blotted(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def _blotted(text: str) -> str:
    return SECRET.sub(r"\1…", text)
