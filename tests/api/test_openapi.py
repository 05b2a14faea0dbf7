"""The OpenAPI document: valid, complete, and true of what the API answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.examples import EXAMPLES
from gateway.api.handler import NoBody
from gateway.api.openapi import document, problem_kinds_of
from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.api.routes import PAGES, ROUTES
from tests.api.house import Caller, payment

DOCUMENT: dict[str, Any] = document(ROUTES, PAGES, "http://127.0.0.1:8080")


def test_it_is_valid() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_every_address_is_in_it() -> None:
    described = {(method.upper(), path) for path, methods in DOCUMENT["paths"].items() for method in methods}

    assert {(route.method, route.path) for route in ROUTES} <= described
    assert {page.template for page in PAGES} <= {path for _, path in described}


def test_every_call_has_a_name_of_its_own() -> None:
    names = [said["operationId"] for methods in DOCUMENT["paths"].values() for said in methods.values()]

    assert len(names) == len(set(names))


def test_every_call_that_takes_a_body_has_an_example_that_its_model_takes() -> None:
    taking = {route.name: route.body for route in ROUTES if route.body not in (None, NoBody)}

    assert set(EXAMPLES) == set(taking)
    for name, example in EXAMPLES.items():
        body = taking[name]
        assert body is not None
        body.model_validate(example)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_fits_the_schema_that_is_published(name: str) -> None:
    method, _, path = name.partition(" ")
    content = DOCUMENT["paths"][path][method.lower()]["requestBody"]["content"]["application/json"]

    Draft202012Validator({**content["schema"], "components": DOCUMENT["components"]}).validate(content["example"])


def test_every_problem_that_a_route_names_is_a_known_kind() -> None:
    assert {kind for route in ROUTES for kind in problem_kinds_of(route)} <= set(PROBLEM_KINDS)


def test_a_call_that_acts_asks_for_its_key_and_others_do_not() -> None:
    for route in ROUTES:
        parameters = DOCUMENT["paths"][route.path][route.method.lower()]["parameters"]
        assert route.idempotent == ("Idempotency-Key" in [one["name"] for one in parameters])


async def test_it_is_served_without_a_key(shop: Caller) -> None:
    answer = await shop.send("GET", "/openapi.json", headers={"Authorization": None})

    assert (answer.status, answer.body["openapi"]) == (200, "3.1.0")
    assert answer.body["paths"].keys() == {*DOCUMENT["paths"]}


async def test_answers_are_what_it_promises(shop: Caller) -> None:
    paid = await shop.act("/v1/payments", payment())
    refused = await shop.act("/v1/payments", payment("128.13"))
    wrong = await shop.act("/v1/payments", {"colour": "red"})
    read = await shop.get(f"/v1/payments/{paid.body['id']}")

    for answer, method, path in (
        (paid, "post", "/v1/payments"),
        (refused, "post", "/v1/payments"),
        (wrong, "post", "/v1/payments"),
        (read, "get", "/v1/payments/{id}"),
    ):
        promised = DOCUMENT["paths"][path][method]["responses"][str(answer.status)]
        media_type = answer.headers["Content-Type"].partition(";")[0]
        schema = {**promised["content"][media_type]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema).validate(answer.body)


async def test_a_problem_is_one_that_the_call_says_it_can_have(shop: Caller) -> None:
    said = json.dumps(DOCUMENT["paths"]["/v1/payments"]["post"]["responses"])

    for body, key in ((payment("128.13"), "a"), ({"colour": 1}, "b"), (payment(connection="danube"), "c")):
        answer = await shop.act("/v1/payments", body, key=key)
        assert f"`{answer.kind}`" in said
