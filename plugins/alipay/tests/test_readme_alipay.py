"""What the README says, checked against the adapter and the simulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lendgate_alipay.adapter import Alipay, AlipaySettings

README = Path(__file__).parents[1].joinpath("README.md").read_text()


@pytest.mark.parametrize("name", [*AlipaySettings.model_fields, *Alipay.terms])
def test_every_setting_and_verb_is_described(name: str) -> None:
    assert f"`{name}`" in README


def test_every_act_of_a_person_is_described(client: Any) -> None:
    acts = [route.path for route in client.simulator.routes() if route.path.startswith("/_sandbox/")]

    assert [act for act in acts if f"`{act.removeprefix('/_sandbox/')}`" not in README] == []
