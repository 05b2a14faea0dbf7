"""The hooks by which pluggy learns what a distribution brings. All are plain functions; verbs are never hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

__all__ = ["ENTRY_POINT_GROUP", "PROJECT", "AdapterHooks", "hookimpl"]

PROJECT = "lendgate"
ENTRY_POINT_GROUP = "lendgate"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's answer to one of the hooks below."""


class AdapterHooks:
    """What a plugin module may answer."""

    @hookspec
    def adapters(self) -> Sequence[type[Any]]:  # type: ignore[empty-body]  # a hook specification has no body
        """The adapter classes of this distribution."""

    @hookspec
    def simulators(self) -> Sequence[type[Any]]:  # type: ignore[empty-body]  # a hook specification has no body
        """The simulated institutions of this distribution; imported only where a sandbox runs."""
