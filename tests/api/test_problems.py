"""Problems: every kind that the code can raise is in the table, and each says what is safe to do."""

from __future__ import annotations

import ast
import json

import pytest

from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.api.problems import failure, of_operation, of_refusal, refused
from gateway.model import problems
from gateway.model.problems import FieldError, Invalid, Outcome, Overloaded, Refused, Retry
from gateway.store.operation import Operation, Reason
from tests.sources import core


def raised_kinds() -> set[str]:
    """Every `kind="…"` that is given to something that refuses, in the sources."""
    kinds = set()
    for source in core():
        for node in ast.walk(source.tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name == "refused" and isinstance(node.args[0], ast.Constant):
                kinds.add(str(node.args[0].value))
            if name in REFUSALS:
                kinds |= {
                    str(one.value.value)
                    for one in node.keywords
                    if one.arg == "kind" and isinstance(one.value, ast.Constant)
                }
    return kinds


REFUSALS = {name for name, value in vars(problems).items() if isinstance(value, type) and issubclass(value, Refused)}


def test_every_kind_that_is_raised_is_in_the_table() -> None:
    raised = raised_kinds()

    assert {"reference_taken", "unauthenticated"} <= raised
    assert raised - set(PROBLEM_KINDS) == set()


def test_every_class_of_refusal_has_its_kind_in_the_table() -> None:
    assert {getattr(problems, name).kind for name in REFUSALS} <= set(PROBLEM_KINDS)


def test_a_problem_says_everything_that_a_caller_needs() -> None:
    refusal = Invalid("a is wrong", fields=[FieldError("a", "is wrong")], members={"operation": "pay_1"})

    body = json.loads(of_refusal(refusal).body("req_1"))

    assert body == {
        "type": "/problems/invalid_fields",
        "title": "Fields are wrong",
        "status": 422,
        "detail": "a is wrong",
        "outcome": "not_sent",
        "retry": "never",
        "request_id": "req_1",
        "errors": [{"path": "a", "detail": "is wrong"}],
        "operation": "pay_1",
    }


def test_members_of_a_refusal_never_replace_what_a_problem_says() -> None:
    refusal = Refused("no", members={"outcome": "succeeded", "status": 200})

    body = json.loads(of_refusal(refusal).body("req_1"))

    assert (body["outcome"], body["status"]) == ("not_sent", 422)


def test_the_number_of_errors_is_bounded() -> None:
    refusal = Invalid("wrong", fields=[FieldError(str(n), "is wrong") for n in range(1000)])

    assert len(json.loads(of_refusal(refusal).body("r"))["errors"]) == 50


def test_when_to_come_back_is_said_in_the_header() -> None:
    problem = of_refusal(Overloaded("full", retry=Retry.SAME_KEY, retry_after_seconds=7))

    assert (problem.status, problem.headers) == (503, {"Retry-After": "7"})


def test_a_failure_of_ours_is_doubt_only_where_the_call_acts() -> None:
    acted, read = failure("internal_error", acts=True), failure("internal_error", acts=False)

    assert (acted.outcome, acted.retry) == (Outcome.UNKNOWN, Retry.SAME_KEY)
    assert (read.outcome, read.retry) == (Outcome.NOT_SENT, Retry.AFTER)


@pytest.mark.parametrize(
    ("code", "status", "kind", "outcome"),
    [
        ("declined", 422, "declined", Outcome.DECLINED),
        ("not_sent", 503, "not_sent", Outcome.NOT_SENT),
        ("no_answer", 503, "not_sent", Outcome.NOT_SENT),
        ("token_refused", 503, "not_sent", Outcome.NOT_SENT),
        ("busy", 503, "not_sent", Outcome.NOT_SENT),
        ("not_found", 503, "not_sent", Outcome.NOT_SENT),
        ("adapter_error", 422, "failed", Outcome.NOT_SENT),
        ("something_new", 422, "failed", Outcome.NOT_SENT),
        (None, 422, "failed", Outcome.NOT_SENT),
    ],
)
def test_an_operation_that_failed_says_how(code: str | None, status: int, kind: str, outcome: Outcome) -> None:
    operation = failed(Reason(code=code) if code else None)

    problem = of_operation(operation)

    assert (problem.status, problem.kind, problem.outcome) == (status, kind, outcome)
    assert problem.retry is Retry.NEW_REFERENCE
    assert problem.members["operation"]["id"] == "pay_1"


def test_what_the_partner_refused_to_process_is_a_failure_of_the_call_and_of_no_server() -> None:
    problem = of_operation(failed(Reason(code="not_sent", partner_code="U003", partner_message="lies in the past")))

    assert (problem.status, problem.kind, problem.outcome) == (422, "failed", Outcome.NOT_SENT)
    assert (problem.detail, problem.retry) == ("lies in the past", Retry.NEW_REFERENCE)


def test_a_refusal_of_this_floor_takes_the_status_of_its_kind() -> None:
    assert refused("body_too_large", "too large").status == 413


def failed(reason: Reason | None) -> Operation:
    return Operation.model_validate(
        {
            "id": "pay_1",
            "client": "shop",
            "kind": "payment",
            "mode": "sandbox",
            "partner": "riverbank",
            "connection": "riverbank",
            "verb": "create_payment",
            "state": "failed",
            "reference": "R-1",
            "partner_key": "K",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
            "reason": reason,
        }
    )
