"""Tests here share one running sandbox."""

from __future__ import annotations

from tests.end_to_end.sandbox_house import sandbox

__all__ = ["sandbox"]
