"""A gateway that shuts down begins nothing more, and waits for what runs."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.model.problems import Overloaded
from gateway.store.operation import Operation
from tests.house import house


async def test_a_call_that_was_still_being_checked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with house(tmp_path) as h:
        plan = h.engine._plan

        async def drains_first(*what: Any) -> Any:
            await h.engine.drain(timedelta(seconds=1))
            return await plan(*what)

        monkeypatch.setattr(h.engine, "_plan", drains_first)

        with pytest.raises(Overloaded):
            await h.pay()

        assert h.bank.ledger.arrivals == []


async def test_what_begins_while_it_waits_is_waited_for_too(tmp_path: Path) -> None:
    async with house(tmp_path) as h:
        payment = (await h.pay()).operation
        ended: list[str] = []

        async def later(name: str, then: str | None) -> Operation:
            await asyncio.sleep(0.05)
            if then is not None:
                h.engine.own(later(then, None))
            ended.append(name)
            return payment

        h.engine.own(later("a call", "a step after it"))
        await h.engine.drain(timedelta(seconds=5))

        assert ended == ["a call", "a step after it"]
