"""The record of a bureau inquiry names what allows it, and what it is for."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.operations.running import permission_of
from gateway.store.operation import Operation


def a_report(permission: dict[str, Any], kind: str = "credit_report") -> Operation:
    return Operation.begun(id="rep_1", kind=kind, body={"purpose": "account_review", "permission": permission})


@pytest.mark.parametrize(
    ("permission", "named"),
    [
        ({"consent": "con_1", "document_hash": "ab" * 32}, "con_1"),
        ({"document_hash": "ab" * 32}, "document sha256:" + "ab" * 32),
        ({"channel": "app"}, "stated by the platform"),
        ({}, "stated by the platform"),
    ],
)
def test_a_bureau_inquiry_names_its_permission_and_purpose(permission: dict[str, Any], named: str) -> None:
    assert permission_of(a_report(permission)) == (named, "account_review")


def test_an_operation_that_moves_money_names_neither() -> None:
    assert permission_of(a_report({}, kind="payment")) == (None, None)
