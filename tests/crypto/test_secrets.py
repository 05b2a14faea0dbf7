"""Secrets go into a message after its adapter is done, escaped for the place where they stand."""

from __future__ import annotations

import base64

import pytest

from gateway.crypto.secrets import fill_secrets, names_of_secrets
from gateway.model.message import Request, Secret
from gateway.model.problems import ConfigurationError

VALUES = {"app_secret": 'p&s"\\+ü', "a.b": "second"}
URL = "https://bank.example/token"


def test_a_secret_in_a_form_is_form_encoded() -> None:
    request = Request.form(URL, {"grant_type": "client_credentials", "client_secret": Secret("app_secret")})

    filled = fill_secrets(request, VALUES.__getitem__)

    assert filled.body == b"grant_type=client_credentials&client_secret=p%26s%22%5C%2B%C3%BC"


def test_a_secret_in_json_cannot_end_its_text() -> None:
    request = Request.post(URL, {"secret": Secret("app_secret"), "other": Secret("a.b")})

    filled = fill_secrets(request, VALUES.__getitem__)

    assert filled.body == '{"secret":"p&s\\"\\\\+ü","other":"second"}'.encode()


@pytest.mark.parametrize(
    ("content_type", "written"),
    [("text/xml", b"<k>p&amp;s&quot;\\+\xc3\xbc</k>"), ("text/plain", b'<k>p&s"\\+\xc3\xbc</k>')],
)
def test_a_secret_in_xml_cannot_end_its_element(content_type: str, written: bytes) -> None:
    request = Request.post(URL, f"<k>{Secret('app_secret')}</k>".encode(), Content_Type=content_type)

    assert fill_secrets(request, VALUES.__getitem__).body == written


def test_a_secret_in_the_query_cannot_add_a_parameter() -> None:
    request = Request.get(URL, {"appid": "1", "secret": Secret("app_secret")})

    assert fill_secrets(request, VALUES.__getitem__).url == f"{URL}?appid=1&secret=p%26s%22%5C%2B%C3%BC"


def test_basic_credentials_are_encoded_once_the_secret_is_in_place() -> None:
    request = Request("POST", URL, (("Authorization", f"Basic client:{Secret('app_secret')}"),))

    credentials = (fill_secrets(request, VALUES.__getitem__).header("Authorization") or "").removeprefix("Basic ")

    assert base64.b64decode(credentials) == b"client:p%26s%22%5C%2B%C3%BC"


def test_other_headers_take_the_value_as_it_is_if_a_header_can_hold_it() -> None:
    request = Request("GET", URL, (("X-Key", Secret("key")), ("Accept", "*/*")))

    assert fill_secrets(request, lambda name: "v").headers == (("Accept", "*/*"), ("X-Key", "v"))
    with pytest.raises(ConfigurationError, match="no header can hold"):
        fill_secrets(request, lambda name: "v\r\nX-Evil: 1")


def test_a_value_is_not_searched_for_more_secrets() -> None:
    request = Request.post(URL, {"a": Secret("outer")})

    assert b"__secret.inner__" in fill_secrets(request, lambda name: Secret("inner")).body


def test_a_message_without_secrets_stays_the_same_object() -> None:
    request = Request.post(URL, b"\xff\xfe", Content_Type="application/octet-stream")

    assert fill_secrets(request, VALUES.__getitem__) is request


def test_the_names_are_known_before_they_are_asked_for() -> None:
    request = Request.get(URL, {"secret": Secret("app_secret")}, X_Key=Secret("a.b"))

    assert names_of_secrets(request) == {"app_secret", "a.b"}
