"""Stock grants: what is asked of a token endpoint, with names in the place of secrets."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qsl

import pytest

from gateway.crypto.schemes import ClientAssertion, Unsigned
from gateway.crypto.secrets import fill_secrets, names_of_secrets
from gateway.model.message import Bearer, Code, Handoff, InQuery, Request, Secret, TokenPaths
from gateway.model.problems import ConsentRequired
from gateway.wire.grants import AppToken, AuthorisationCode, ClientCredentials

URL = "https://bank.example/token"
HANDOFF = Handoff("state", "nonce", "v" * 43, "https://us.example/v1/returns/main", "https://us.example/v1/callbacks/1")
CODE = Code(Secret("code"), HANDOFF)


def fields(request: Request) -> dict[str, str]:
    assert request.header("Content-Type") == "application/x-www-form-urlencoded;charset=utf-8"
    return dict(parse_qsl(request.body.decode()))


def test_client_credentials_name_their_secret_in_the_body() -> None:
    grant = ClientCredentials("app", URL, "client-1", "body", scope="payments", parameters={"audience": "api"})

    request = grant.request(None)

    assert (request.method, request.url) == ("POST", URL)
    assert fields(request) == {
        "grant_type": "client_credentials",
        "scope": "payments",
        "audience": "api",
        "client_id": "client-1",
        "client_secret": "__secret.client_secret__",
    }


def test_client_credentials_name_their_secret_in_the_header() -> None:
    request = ClientCredentials("app", URL, "client:1", "basic", secret="bank_secret").request(None)

    filled = fill_secrets(request, {"bank_secret": "s/1"}.__getitem__)

    assert fields(request) == {"grant_type": "client_credentials"}
    assert base64.b64decode((filled.header("Authorization") or "")[6:]) == b"client%3A1:s%2F1"


@pytest.mark.parametrize("authentication", ["scheme", "certificate"])
def test_without_a_secret_only_the_client_id_is_sent(authentication: str) -> None:
    grant = ClientCredentials("app", URL, "client-1", authentication)  # type: ignore[arg-type]  # of this test

    request = grant.request(None)

    assert fields(request) == {"grant_type": "client_credentials", "client_id": "client-1"}
    assert not names_of_secrets(request)


def test_a_code_is_exchanged_with_its_verifier_and_return_address() -> None:
    scheme = ClientAssertion("client-1", "https://bank.example")
    grant = AuthorisationCode("consent:C1", URL, "client-1", "scheme", scheme=scheme)

    assert grant.scheme == scheme
    assert fields(grant.request(CODE)) == {
        "grant_type": "authorization_code",
        "code": "__secret.code__",
        "redirect_uri": HANDOFF.return_url,
        "code_verifier": HANDOFF.code_verifier,
        "client_id": "client-1",
    }


def test_without_a_code_a_person_is_asked_first() -> None:
    with pytest.raises(ConsentRequired, match="authorise first"):
        AuthorisationCode("consent:C1", URL, "client-1", "certificate").request(None)


def test_an_authorised_token_is_renewed_by_its_refresh_token() -> None:
    grant = AuthorisationCode("consent:C1", URL, "client-1", "body")

    assert fields(grant.renew(Secret("refresh"))) == {
        "grant_type": "refresh_token",
        "refresh_token": "__secret.refresh__",
        "client_id": "client-1",
        "client_secret": "__secret.client_secret__",
    }
    assert ClientCredentials("app", URL, "client-1", "body").renew(Secret("refresh")) is None


def test_an_application_token_is_asked_for_in_json() -> None:
    grant = AppToken(
        "app",
        URL,
        {"grant_type": "client_credential", "appid": "A1", "secret": Secret("app_secret"), "force_refresh": False},
        placement=InQuery("access_token"),
        paths=TokenPaths(error="errcode"),
        refused=frozenset({"40001", "42001"}),
    )

    filled = fill_secrets(grant.request(None), {"app_secret": 'a"b'}.__getitem__)

    assert json.loads(filled.body) == {
        "grant_type": "client_credential",
        "appid": "A1",
        "secret": 'a"b',
        "force_refresh": False,
    }
    assert grant.placement == InQuery("access_token") and grant.renew(Secret("refresh")) is None


def test_grants_are_values_with_the_standards_defaults() -> None:
    one, same = (ClientCredentials("app", URL, "client-1", "body") for _ in range(2))

    assert one == same and hash(one) == hash(same)
    assert (one.scheme, one.placement, one.paths, one.refused) == (Unsigned(), Bearer(), TokenPaths(), {401})
