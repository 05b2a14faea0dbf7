"""What a log holds is counted; a call about a person that names no consent is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gateway.audit.reading import Wanted
from gateway.audit.record import Leaf
from gateway.audit.statistics import data_calls, statistics, without_consent
from tests.audit.logs import a_log, a_signer

SIGNER = a_signer()


def leaf(counter: int, kind: str, **fields: Any) -> bytes:
    named = {"id": f"rec_{counter}", "kind": kind, "at": f"2026-03-01T12:00:{counter:02}.000000Z", "process": "run_1"}
    return Leaf({**named, **fields})(1, "", counter)[0]


def intent(counter: int, verb: str, **fields: Any) -> bytes:
    return leaf(counter, "intent", verb=verb, partner="riverbank", operation=f"op_{counter}", **fields)


def test_kinds_observations_and_gaps_are_counted() -> None:
    content = [
        leaf(1, "system", what="start"),
        intent(2, "create_payment"),
        leaf(3, "outcome", intent="rec_2", observed="genuine", operation="op_2"),
        intent(5, "fetch_balances", consent="con_1", purpose="affordability"),
        leaf(6, "system", what="stop"),
    ]
    files = a_log(content, SIGNER)

    counted = statistics(files.get, len(content))

    assert counted.kinds == Counter(system=2, intent=2, outcome=1)
    assert (counted.unanswered, counted.operations, counted.data_calls) == (1, 2, 1)
    assert (counted.observed, counted.partners) == (Counter(genuine=1), Counter(riverbank=2))
    assert (counted.runs["run_1"].missing, counted.runs["run_1"].stopped) == (1, True)


@pytest.mark.parametrize(
    ("fields", "lacks"),
    [
        ({"consent": "con_1", "purpose": "affordability"}, None),
        ({"consent": "con_1"}, "names no purpose"),
        ({"purpose": "affordability"}, "names no consent"),
        ({}, "names no consent and no purpose"),
    ],
)
def test_a_data_call_without_consent_or_purpose_is_found(fields: dict[str, str], lacks: str | None) -> None:
    files = a_log([intent(1, "create_payment"), intent(2, "fetch_report", **fields)], SIGNER)

    calls: list[Wanted] = list(data_calls(files.get, 2))

    assert [call.id for call in calls] == ["rec_2"]
    assert without_consent(calls[0]) == lacks
