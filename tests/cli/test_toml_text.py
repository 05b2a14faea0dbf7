"""What is written as TOML is read back as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.toml_text import as_toml

text = st.text(st.characters(exclude_categories=["Cs"]))
scalars = text | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
leaves = scalars | st.lists(scalars | st.dictionaries(text, scalars, max_size=2), max_size=3)
tables = st.recursive(leaves, lambda inner: st.dictionaries(text, inner, max_size=3), max_leaves=12)


@given(st.dictionaries(text, tables, max_size=4))
def test_values_come_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(as_toml(values)) == values


def test_tables_are_written_as_people_write_them() -> None:
    values = {"gateway": {"port": 1, "hosts": ["a", "b"]}, "connections": {"river bank": {"tls": {"ca": "file:x"}}}}

    written = as_toml(values)

    assert written == ('[gateway]\nport = 1\nhosts = ["a", "b"]\n\n[connections."river bank".tls]\nca = "file:x"\n')


def test_what_toml_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        as_toml({"key": None})
