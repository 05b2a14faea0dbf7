"""Where the place stands in a leaf."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.audit.record import Leaf
from gateway.crypto.canonical import canonical_json

PLACE = {"counter": 7, "number": 2, "previous": "ab"}


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 1, "verb": "create_payment", "left out": None},
        {"format": 1, "detail": {"place": 0}, "what": {"place": 0}},
        {"format": 1, "detail": '"place":0', "what": "start"},
    ],
)
def test_a_leaf_is_canonical_json_with_its_place_among_its_members(fields: dict[str, Any]) -> None:
    leaf, _ = Leaf(fields)(2, "ab", 7)

    kept = {name: value for name, value in fields.items() if value is not None}
    assert leaf == canonical_json({**kept, "place": PLACE})
    assert json.loads(leaf)["place"] == PLACE
