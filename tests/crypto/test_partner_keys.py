"""The key under which a partner knows an act."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.partner_keys import derive_partner_key
from gateway.model.problems import AdapterError, ConfigurationError
from gateway.model.terms import KeyForm

SECRET = bytes(range(32))
ACT = ("platform", "riverbank-main", "payment", "LN-1001-D1")
FIELDS = st.tuples(st.text(), st.text(), st.text(), st.text())


def test_the_same_act_has_the_same_key_for_ever() -> None:
    """These values are kept by partners: if one changes, a repeated order is a second one."""
    assert derive_partner_key(SECRET, *ACT, KeyForm()) == "Z6TX7RJ3CLN4UUY5L7LKUDWRQ45PIRK5"
    assert derive_partner_key(SECRET, *ACT, KeyForm(20, "digits")) == "57327060432627375325"
    assert (
        derive_partner_key(SECRET, *ACT, KeyForm(64))
        == "Z6TX7RJ3CLN4UUY5L7LKUDWRQ45PIRK5WZY4ONIFZMOSVPUDDTORLELVUUWOSR6T"
    )


@given(FIELDS, st.integers(16, 64))
def test_a_key_has_the_partners_form(act: tuple[str, str, str, str], length: int) -> None:
    assert re.fullmatch(rf"[A-Z2-7]{{{length}}}", derive_partner_key(SECRET, *act, KeyForm(length)))
    assert re.fullmatch(rf"[1-9][0-9]{{{length - 1}}}", derive_partner_key(SECRET, *act, KeyForm(length, "digits")))


@given(FIELDS, FIELDS)
def test_different_acts_have_different_keys(one: tuple[str, str, str, str], other: tuple[str, str, str, str]) -> None:
    keys = {derive_partner_key(SECRET, *act, KeyForm()) for act in (one, other)}

    assert len(keys) == len({one, other})


def test_moving_a_letter_between_two_fields_makes_another_act() -> None:
    assert derive_partner_key(SECRET, "ab", "c", "payment", "r", KeyForm()) != derive_partner_key(
        SECRET, "a", "bc", "payment", "r", KeyForm()
    )


def test_another_secret_gives_other_keys() -> None:
    assert derive_partner_key(SECRET, *ACT, KeyForm()) != derive_partner_key(SECRET[::-1], *ACT, KeyForm())


@pytest.mark.parametrize("length", [0, 15, 65])
def test_a_length_that_no_partner_takes_is_the_adapters_mistake(length: int) -> None:
    with pytest.raises(AdapterError, match="16 to 64"):
        derive_partner_key(SECRET, *ACT, KeyForm(length))


def test_a_short_installation_secret_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="32 bytes"):
        derive_partner_key(SECRET[:-1], *ACT, KeyForm())
