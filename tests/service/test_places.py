"""Every key's line is found, however the TOML is written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from gateway.service.places import Path, Places, dotted

TEXT = '''# a comment with [brackets] and key = "value"
title = "one"  # = "two"

[gateway]
mode = "sandbox"
"quoted key" = 1
dotted.inner = 2
many = [
    "first",  # a comment, with "quotes" and ]
    [1, 2],
    { deep = true },
]
inline = { a = 1, "b c" = [3], d.e = "}" }
basic = """
[not.a.table]
key = 'no'  \\"""
"""
literal = \'\'\'
[neither]
\'\'\'
after = 5
path = 'C:\\x'

  [ connections . "river.bank" ]
  hosts = []

[[rows]]
name = "one"
[[rows]]
name = "two"
[rows.under]
name = "below two"
'''

LINES: list[tuple[Path, int]] = [
    (("title",), 2),
    (("gateway",), 4),
    (("gateway", "mode"), 5),
    (("gateway", "quoted key"), 6),
    (("gateway", "dotted", "inner"), 7),
    (("gateway", "many"), 8),
    (("gateway", "many", 0), 9),
    (("gateway", "many", 1, 1), 10),
    (("gateway", "many", 2, "deep"), 11),
    (("gateway", "inline", "b c", 0), 13),
    (("gateway", "inline", "d", "e"), 13),
    (("gateway", "basic"), 14),
    (("gateway", "literal"), 18),
    (("gateway", "after"), 21),
    (("gateway", "path"), 22),
    (("connections", "river.bank"), 24),
    (("connections", "river.bank", "hosts"), 25),
    (("rows", 0, "name"), 28),
    (("rows", 1, "name"), 30),
    (("rows", 1, "under", "name"), 32),
]


def every_path(value: Any, path: Path = ()) -> list[Path]:
    if isinstance(value, dict):
        return [path, *(inner for name in value for inner in every_path(value[name], (*path, name)))]
    if isinstance(value, list):
        return [path, *(inner for index, one in enumerate(value) for inner in every_path(one, (*path, index)))]
    return [path]


@pytest.mark.parametrize(("path", "line"), LINES, ids=lambda value: dotted(value) if isinstance(value, tuple) else "")
def test_a_key_is_found_on_its_line(path: Path, line: int) -> None:
    assert Places("x.toml", TEXT).line(path) == line


def test_it_finds_what_tomllib_reads_and_nothing_else() -> None:
    places = Places("x.toml", TEXT)

    expected = {path for path in every_path(tomllib.loads(TEXT)) if path}
    assert set(places._lines) == expected | {("rows",)}


def test_a_key_that_is_missing_is_missed_in_its_table() -> None:
    assert Places("x.toml", TEXT).line(("gateway", "port")) == 4


def test_a_message_names_file_line_and_field() -> None:
    said = Places("x.toml", TEXT).say(("gateway", "many", 1), "is wrong")

    assert said == "x.toml:10: gateway.many[1]: is wrong"


def test_a_value_that_came_from_no_file_has_no_line() -> None:
    assert Places().say(("gateway", "mode"), "is wrong") == "configuration: gateway.mode: is wrong"
