"""The OpenAPI document against the running sandbox: thousands of calls that schemathesis makes up from it.

Two ways
- boundaries: every value at the edge of what a schema allows and one step beyond it, other methods, missing headers;
  the same each time
- generated: right and wrong calls at random from the same seed each time; `LENDGATE_GENERATED=200` makes that many
  for each call and from a new seed, to look for what is not known yet
Answers must be what the document says: status, content type, headers, body, and the kind of problem. A right call is
never refused for something that its schema could have said, a wrong one never taken.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, CheckContext, GenerationMode, Response
from schemathesis.specs.openapi import checks

from gateway.api.openapi import document
from gateway.api.routes import PAGES, ROUTES
from gateway.model.money import MINOR_UNITS
from tests.end_to_end.leading import Leader, Standing
from tests.end_to_end.sandbox_house import SandboxHouse

AT_LEAST = 2_000
MORE = "LENDGATE_GENERATED"
GENERATED = int(os.environ.get(MORE, "6"))
"""Right calls for each call of the document, and as many wrong ones."""

CURRENCIES = ("CNY", "GBP", *{places: code for code, places in sorted(MINOR_UNITS.items())}.values())
"""The two of the sandbox and one for each number of decimals: every other is more of the same."""

OUR_FAULT = {"internal_error", "storage_failed", "adapter_error"}
ABOUT_THE_FORM = {"malformed_json", "malformed_request", "unsupported_media_type", "idempotency_key_required"}
SCHEMAS_CAN_SAY = re.compile(r"is needed|is not a (field|parameter) of this call|\w+ should (?!match .*\\[Ss]).*")
"""What no right call may hear about a field; partners' rules, and those of the house, read otherwise.

Patterns with `\\S` or `[^\\s]` are left out: dialects of regular expressions differ in what a space is (U+0085).
"""

DOCUMENT: dict[str, Any] = document(ROUTES, PAGES, "http://127.0.0.1:1")
CALLS = [f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods]
PUBLIC = {page.template for page in PAGES}
OPERATORS = {route.name for route in ROUTES if "platform" not in route.roles}
RIGHT, WRONG = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
# Where anybody may ask and every text is a path, no call can be a wrong one.
WAYS = [(call, mode) for call in CALLS for mode in (RIGHT, WRONG) if mode is RIGHT or call.split()[1] not in PUBLIC]


@dataclass(frozen=True)
class Live:
    """The document as schemathesis reads it, and the sandbox that it is held against."""

    house: SandboxHouse
    schema: Any
    standing: Standing
    session: requests.Session

    def operation(self, call: str) -> Any:
        method, _, path = call.partition(" ")
        return self.schema[path][method]

    def boundaries(self, call: str) -> Iterator[Case]:
        generation = self.schema.config.generation
        operation = self.operation(call)
        yield from self.schema.iter_coverage_cases(
            operation, generation_modes=[RIGHT, WRONG], generation_config=generation
        )

    def judge(self, case: Case, call: str, leader: Leader, *further: Any) -> None:
        """Send one case and hold the answer against the document."""
        leader.lead(case)
        key = self.house.key("operator" if call in OPERATORS else "shop")
        headers = {"Authorization": f"Bearer {key}"}
        answer = case.call(base_url=self.house.url, session=self.session, headers=headers)
        case.validate_response(answer, checks=[*CHECKS, *further], headers=headers)


def narrowed(published: dict[str, Any]) -> dict[str, Any]:
    money = published["components"]["schemas"]["Money"]["properties"]["currency"]
    money["enum"] = [code for code in money["enum"] if code in CURRENCIES]
    return published


def nothing_of_ours_broke(context: CheckContext, answer: Response, case: Case) -> None:
    assert answer.status_code != 500
    assert kind_of(answer) not in OUR_FAULT


def the_problem_is_one_that_the_call_can_have(context: CheckContext, answer: Response, case: Case) -> None:
    kind = kind_of(answer)
    if kind and case.method == case.operation.method.upper():
        responses = DOCUMENT["paths"][case.operation.path][case.method.lower()]["responses"]
        described = responses[str(answer.status_code)]["description"]
        # Pages without a key describe their statuses in words.
        assert f"`{kind}`" in described or "`" not in described


def a_right_call_is_refused_for_nothing_that_a_schema_says(context: CheckContext, answer: Response, case: Case) -> None:
    if case.meta is None or case.meta.generation.mode is not RIGHT or not kind_of(answer):
        return
    assert kind_of(answer) not in ABOUT_THE_FORM
    for error in answer.json().get("errors", []):
        assert not SCHEMAS_CAN_SAY.fullmatch(error["detail"]), error


def a_wrong_call_is_refused(context: CheckContext, answer: Response, case: Case) -> bool | None:
    vanished = [name for name, value in (case.query or {}).items() if value == []]
    if vanished:  # an empty list leaves nothing to send, and so nothing that is wrong
        return None
    return checks.negative_data_rejection(context, answer, case)


def kind_of(answer: Response) -> str:
    """The kind of problem, or nothing."""
    is_problem = answer.headers.get("content-type", [""])[0].startswith("application/problem+json")
    return str(answer.json()["type"]).removeprefix("/problems/") if is_problem else ""


CHECKS = [
    nothing_of_ours_broke,
    the_problem_is_one_that_the_call_can_have,
    a_right_call_is_refused_for_nothing_that_a_schema_says,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    a_wrong_call_is_refused,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.allow_header_conformance,
]


@pytest.fixture(scope="session")
def live(sandbox: SandboxHouse) -> Iterator[Live]:
    schema = schemathesis.openapi.from_dict(narrowed(sandbox.get("/openapi.json")))
    with closing(requests.Session()) as session:
        session.trust_env = False
        yield Live(sandbox, schema, Standing.make(sandbox), session)


def test_the_document_that_is_served_has_the_calls_that_are_tested(sandbox: SandboxHouse) -> None:
    served = sandbox.get("/openapi.json")["paths"]

    assert [f"{method.upper()} {path}" for path, methods in served.items() for method in methods] == CALLS


def test_the_boundaries_alone_are_thousands(live: Live) -> None:
    every = itertools.chain.from_iterable(map(live.boundaries, CALLS))

    assert sum(1 for _ in itertools.islice(every, AT_LEAST)) == AT_LEAST


@pytest.mark.parametrize("call", CALLS)
def test_at_its_boundaries_a_call_answers_as_documented(live: Live, call: str) -> None:
    leader = Leader(live.house, live.standing)

    for case in live.boundaries(call):
        live.judge(case, call, leader)


@pytest.mark.parametrize(("call", "mode"), WAYS, ids=[f"{call} {mode.name.lower()}" for call, mode in WAYS])
def test_whatever_it_is_asked_a_call_answers_as_documented(live: Live, call: str, mode: GenerationMode) -> None:
    leader = Leader(live.house, live.standing)

    @settings(
        max_examples=GENERATED,
        derandomize=MORE not in os.environ,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=live.operation(call).as_strategy(mode))
    def ask(case: Case) -> None:
        live.judge(case, call, leader, checks.ignored_auth)

    ask()
