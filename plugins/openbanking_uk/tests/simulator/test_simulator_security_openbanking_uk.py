"""Who may ask the bank at all: certificates, client assertions, tokens, request objects, message signatures."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.testing import ManualClock
from lendgate_openbanking_uk.simulator_jose import hash_half, read_compact, signed_by, thumbprint
from lendgate_openbanking_uk.simulator_refusals import Refused
from lendgate_openbanking_uk.simulator_seal import Seal

OB = "http://openbanking.org.uk/"
CREDENTIALS = {"grant_type": "client_credentials", "scope": "payments"}


# Client assertions and grants


async def test_client_credentials_give_a_token_that_says_how_long_it_lives(tpp: Any) -> None:
    heard = await tpp.token(CREDENTIALS)

    assert heard.status == 200
    assert {name: heard.body[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "payments",
    }
    assert heard.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"aud": "https://elsewhere.example"},
        {"exp": 0},
        {"exp": 9_999_999_999},
        {"iat": 9_999_999_999},
        {"iat": None},
        {"jti": ""},
    ],
    ids=str,
)
async def test_a_wrong_client_assertion_is_refused_in_the_form_of_oauth(tpp: Any, changed: Any) -> None:
    heard = await tpp.token(CREDENTIALS, tpp.assertion(**changed))

    assert (heard.status, heard.body["error"]) == (401, "invalid_client")


async def test_the_issuer_is_an_audience_too(tpp: Any) -> None:
    assert (await tpp.token(CREDENTIALS, tpp.assertion(aud=[tpp.bank.url]))).status == 200


async def test_a_client_assertion_is_good_once(tpp: Any) -> None:
    assertion = tpp.assertion()

    first, again = await tpp.token(CREDENTIALS, assertion), await tpp.token(CREDENTIALS, assertion)

    assert (first.status, again.status) == (200, 401)


@pytest.mark.parametrize("header", [{"alg": "RS256"}, {"kid": "unknown"}, {"crit": ["exp"]}], ids=str)
async def test_a_client_assertion_of_another_kind_is_refused(tpp: Any, header: Any) -> None:
    claims = json.loads(_payload(tpp.assertion()))

    heard = await tpp.token(CREDENTIALS, tpp.jwt(claims, **header))

    assert (heard.status, heard.body["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        ({"grant_type": "client_credentials", "scope": "everything"}, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": "accounts payments"}, "invalid_scope"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "never"}, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "never"}, "invalid_grant"),
    ],
)
async def test_a_wrong_grant_is_refused(tpp: Any, grant: Any, error: str) -> None:
    heard = await tpp.token(grant)

    assert (heard.status, heard.body["error"]) == (400, error)


async def test_a_code_is_good_once_and_its_reuse_ends_the_tokens_made_from_it(tpp: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]
    returned = await tpp.authorise(consent)
    token = (await tpp.exchange(returned)).body["access_token"]
    place = f"domestic-payment-consents/{consent}/funds-confirmation"
    before = await tpp.call("GET", place, token=token)

    again = await tpp.exchange(returned)

    assert before.status == 200
    assert (again.status, again.body["error"]) == (400, "invalid_grant")
    assert (await tpp.call("GET", place, token=token)).status == 401


@pytest.mark.parametrize(
    ("changed", "wait"),
    [({"redirect_uri": "http://127.0.0.1:9/other"}, 0), ({"code_verifier": "w" * 43}, 0), ({}, 61)],
)
async def test_a_code_is_bound_to_redirect_verifier_and_a_minute(tpp: Any, changed: Any, wait: int) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]
    returned = await tpp.authorise(consent)
    tpp.clock.advance(timedelta(seconds=wait))
    grant = {
        "grant_type": "authorization_code",
        "code": returned["code"],
        "redirect_uri": "http://127.0.0.1:9/v1/returns/bank",
        "code_verifier": "v" * 43,
    }

    heard = await tpp.token({**grant, **changed})

    assert (heard.status, heard.body["error"]) == (400, "invalid_grant")


# Tokens at the resources


async def test_without_a_known_token_the_answer_is_a_bare_401(tpp: Any) -> None:
    heard = await tpp.call("GET", "domestic-payments/x", token="nobody")

    assert (heard.status, heard.raw) == (401, b"")


async def test_a_token_is_bound_to_the_certificate_that_asked_for_it(tpp: Any, stranger: Any) -> None:
    stranger.tokens["payments"] = await tpp.own_token("payments")

    heard = await stranger.call("GET", "domestic-payments/x")

    assert (heard.status, heard.raw) == (401, b"")


@pytest.mark.parametrize(("version", "code"), [("v4.0", "TKXP"), ("v3.1", None)])
async def test_an_expired_token_is_a_401_with_a_body_in_v4_only(tpp: Any, version: str, code: str | None) -> None:
    tpp.version = version
    await tpp.own_token("payments")
    tpp.clock.advance(timedelta(seconds=300))

    heard = await tpp.call("GET", "domestic-payments/x")

    assert heard.status == 401
    assert (heard.code if heard.raw else None) == code


async def test_another_scope_or_kind_of_grant_is_a_403(tpp: Any) -> None:
    body, token = await tpp.authorised_payment()

    statuses = [
        (await tpp.call("GET", "domestic-payments/x", token=await tpp.own_token("accounts"))).status,
        (await tpp.call("GET", "domestic-payments/x", token=token)).status,
        (await tpp.pay(body, await tpp.own_token("payments"))).status,
    ]

    assert statuses == [403, 403, 403]
    assert tpp.bank.ledger.effects == []


# The request object and the page


async def test_the_return_carries_a_signed_id_token_that_binds_code_and_state(tpp: Any, bank_key_id: str) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]

    returned = await tpp.authorise(consent)

    token = read_compact(returned["id_token"])
    claims = token.claims()
    now = int(tpp.clock.now().timestamp())
    assert set(returned) == {"code", "id_token", "state"}
    assert (token.header["alg"], token.header["kid"]) == ("PS256", bank_key_id)
    assert claims["c_hash"] == hash_half(returned["code"])
    assert claims["s_hash"] == "bOhtX8F73IMjSPeVAqxyTQ"
    assert (claims["nonce"], claims["openbanking_intent_id"]) == ("n-0S6_WzA2Mj", consent)
    assert claims["iat"] <= now < claims["exp"]


WRONG_REQUESTS: list[dict[str, Any]] = [
    {"iss": "somebody"},
    {"aud": "https://elsewhere.example"},
    {"response_type": "code"},
    {"redirect_uri": "https://evil.example/return"},
    {"redirect_uri": "http://127.0.0.1:9/return#there"},
    {"scope": "openid accounts"},
    {"state": None},
    {"nonce": None},
    {"nbf": None},
    {"exp": None},
    {"exp": 0},
    {"exp": 1_767_231_000 + 3601},
    {"nbf": 1_767_231_000 + 60},
    {"code_challenge": None},
    {"code_challenge_method": "plain"},
    {"claims": None},
    {"claims": {"id_token": {"openbanking_intent_id": {"value": "unknown", "essential": True}}}},
]


@pytest.mark.parametrize("changed", WRONG_REQUESTS, ids=str)
async def test_a_wrong_request_object_opens_no_page(tpp: Any, changed: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]

    status, text = await _open(tpp, tpp.link(tpp.request_claims(consent, **changed)))

    assert status == 400
    assert "cannot open this request" in text


async def test_what_stands_outside_must_agree_with_the_request_object(tpp: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]

    status, text = await _open(tpp, tpp.link(tpp.request_claims(consent), state="other"))

    assert (status, "state differs" in text) == (400, True)


async def test_registered_addresses_are_compared_exactly(tpp: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]
    await tpp.people("rules", redirect_uris=["https://gw.example/v1/returns/bank"])

    status, _ = await _open(tpp, tpp.link(tpp.request_claims(consent)))

    assert status == 400


@pytest.mark.parametrize(("decision", "expected"), [("approve", "code"), ("refuse", "error")])
async def test_a_person_decides_on_a_page_without_scripts(tpp: Any, decision: str, expected: str) -> None:
    consent = (await tpp.payment_consent(name="B <Orrower>")).body["Data"]["ConsentId"]
    status, text = await _open(tpp, tpp.link(tpp.request_claims(consent)))
    ticket = text.split('name="ticket" value="')[1].split('"')[0]
    form = {"ticket": ticket, "decision": decision}

    async with tpp.session.post(f"{tpp.bank.url}/authorize/decision", data=form, allow_redirects=False) as reply:
        place = reply.headers["Location"]
        assert reply.status == 303
    async with tpp.session.post(f"{tpp.bank.url}/authorize/decision", data=form, allow_redirects=False) as reply:
        again = reply.status

    assert status == 200
    assert "250.00 GBP to B &lt;Orrower&gt;" in text
    assert "<script" not in text
    assert place.startswith("http://127.0.0.1:9/v1/returns/bank#")
    assert expected in dict(parse_qsl(urlsplit(place).fragment))
    assert again == 400


async def test_scripts_decide_for_a_page_that_was_opened(tpp: Any) -> None:
    consent = (await tpp.payment_consent()).body["Data"]["ConsentId"]
    await _open(tpp, tpp.link(tpp.request_claims(consent)))

    answer = await tpp.people("authorise", consent_id=consent, approve=True)

    assert "#code=" in answer["url"]


# Message signatures


async def test_answers_are_signed_by_the_bank_errors_too(tpp: Any) -> None:
    good = await tpp.payment_consent()
    bad = await tpp.call("GET", "domestic-payments/no")

    public = tpp.bank.tokens._signer._key.public_key()
    for heard in (good, bad):
        token = read_compact(heard.headers["x-jws-signature"])
        assert signed_by(public, token, _b64(heard.raw))
        assert token.header[OB + "iss"] == "001580000000000BNK"


WRONG_SIGNATURES = [
    ({"alg": "RS256"}, "U016"),
    ({"kid": "unknown"}, "U016"),
    ({"typ": "JWT"}, "U016"),
    ({"b64": False}, "U016"),
    ({"jku": "https://evil.example"}, "U016"),
    ({OB + "iss": "001580000000000BBB/BBBBBBBBBBBBBBBBBBBBBB"}, "U016"),
    ({OB + "tan": "other.example"}, "U016"),
    ({OB + "iat": 1_767_231_001}, "U016"),
    ({OB + "iat": "1767231000"}, "U016"),
    ({OB + "iat": None}, "U017"),
    ({"crit": None}, "U017"),
    ({"crit": [OB + "iat", OB + "iss"]}, "U016"),
    ({"crit": [OB + "iat", OB + "iss", OB + "tan", "alg"]}, "U016"),
]


@pytest.mark.parametrize(("changed", "code"), WRONG_SIGNATURES, ids=str)
async def test_a_wrong_signature_header_is_refused_by_its_own_code(tpp: Any, changed: Any, code: str) -> None:
    raw = json.dumps(tpp.consent_body()).encode()
    headers = {"x-jws-signature": tpp.signature(raw, **changed)}

    heard = await tpp.call("POST", "domestic-payment-consents", body=raw, key="k", headers=headers)

    assert (heard.status, heard.code) == (400, code)


async def test_bytes_that_were_not_signed_are_refused(tpp: Any) -> None:
    raw = json.dumps(tpp.consent_body()).encode()
    signature = tpp.signature(raw)
    protected, _, last = signature.split(".")
    wrong = {
        "U015": {"x-jws-signature": tpp.signature(raw + b" ")},
        "U018": {"x-jws-signature": f"{protected}.{_b64(raw)}.{last}"},
        "U019": {"x-jws-signature": ""},
    }

    codes = [
        (await tpp.call("POST", "domestic-payment-consents", body=raw, key="k", headers=headers)).code
        for headers in wrong.values()
    ]

    assert codes == list(wrong)


# Published vectors, against the bank's own verifier


@pytest.fixture
def seal(vectors: Any, vector_key: rsa.RSAPrivateKey) -> Seal:
    keys = {vectors["key"]["id"]: vector_key.public_key()}
    return Seal(keys, vectors["organisation"], "bank", vectors["trust_anchor"], None)  # type: ignore[arg-type]  # unused


def test_the_published_signature_is_accepted(seal: Seal, vectors: Any) -> None:
    message = vectors["message"]

    seal.check(message["signature"], message["body"].encode(), datetime.fromisoformat(vectors["now"]))


def test_the_form_of_the_oldest_versions_is_refused(seal: Seal, vectors: Any) -> None:
    old = vectors["message_b64_false"]["signature"]

    with pytest.raises(Refused) as refused:
        seal.check(old, vectors["message"]["body"].encode(), ManualClock().now())

    assert refused.value.problems[0].code == "U016"


def test_a_body_that_was_written_again_is_refused(seal: Seal, vectors: Any) -> None:
    again = json.dumps(json.loads(vectors["message"]["body"])).encode()

    with pytest.raises(Refused) as refused:
        seal.check(vectors["message"]["signature"], again, ManualClock().now())

    assert refused.value.problems[0].code == "U015"


@pytest.mark.parametrize(("raw", "salt"), [(True, 32), (False, 222)], ids=["over the raw body", "salt of 222 bytes"])
def test_other_ways_to_sign_the_same_bytes_are_refused(
    seal: Seal, vectors: Any, vector_key: rsa.RSAPrivateKey, raw: bool, salt: int
) -> None:
    header, body = _b64(vectors["message"]["header"].encode()), vectors["message"]["body"]
    signed = f"{header}.{body if raw else _b64(body.encode())}".encode()
    signature = vector_key.sign(signed, PSS(MGF1(SHA256()), salt), SHA256())

    with pytest.raises(Refused) as refused:
        seal.check(f"{header}..{_b64(signature)}", body.encode(), ManualClock().now())

    assert refused.value.problems[0].code == "U015"


@pytest.mark.parametrize("what", ["client_assertion", "request_object"])
def test_the_published_tokens_verify(vectors: Any, vector_key: rsa.RSAPrivateKey, what: str) -> None:
    token = read_compact(vectors[what]["token"])

    assert signed_by(vector_key.public_key(), token)
    assert token.claims() == vectors[what]["claims"]


def test_the_published_hashes_and_thumbprint_come_out(vectors: Any) -> None:
    assert {text: hash_half(text) for text in vectors["hashes"]} == vectors["hashes"]
    assert thumbprint(base64.b64decode(vectors["certificate"]["der"])) == vectors["certificate"]["thumbprint"]


async def _open(tpp: Any, url: str) -> tuple[int, str]:
    async with tpp.session.get(url) as reply:
        return reply.status, await reply.text()


def _payload(token: str) -> bytes:
    return base64.urlsafe_b64decode(token.split(".")[1] + "==")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
