"""Signatures: published vectors, an independent library as oracle, and everything that must prove nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from joserfc import jws, jwt
from joserfc.jwk import RSAKey
from joserfc.registry import HeaderParameter

from gateway import (
    ClientAssertion,
    Handoff,
    NotProven,
    Reply,
    Request,
    Returned,
    SignedLink,
    Stamp,
    UnknownKey,
    half_hash,
    minutes,
)
from gateway.crypto.keys import KeyRing
from lendgate_openbanking_uk.signing import IAT, ISS, TAN, MessageSigning, TLSOnly

NOW = datetime.fromisoformat("2026-01-01T01:30:00+00:00")
STAMP = Stamp(NOW, "0123456789abcdef0123456789abcdef")
ORGANISATION = "001580000000000AAA/AAAAAAAAAAAAAAAAAAAAAA"
# Both sides use the one published key, so that its published signature can stand for the bank's.
SCHEME = MessageSigning("tpp-client-1", "https://as.example", ORGANISATION, ORGANISATION, "openbanking.org.uk")
HANDOFF = Handoff("af0ifjsldkj", "n-0S6_WzA2Mj", "v" * 43, "https://gw.example/v1/openbanking/return", "https://gw/c")
CODE = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk"
KEY_ID = "lendgate-sig-1"


@pytest.fixture
def keys(vector_key: rsa.RSAPrivateKey) -> KeyRing:
    private = vector_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyRing.load("bank", key_id=KEY_ID, private_key=private, partner_keys={KEY_ID: public_pem(vector_key)})


@pytest.fixture
def oracle(vector_key: rsa.RSAPrivateKey) -> RSAKey:
    return RSAKey.import_key(public_pem(vector_key))


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def reply(body: bytes, signature: str | None, status: int = 201) -> Reply:
    headers = (("x-jws-signature", signature),) if signature is not None else ()
    return Reply(status, headers, body, NOW)


def signed(key: rsa.RSAPrivateKey, header: Mapping[str, Any], payload: bytes, *, detached: bool = False) -> str:
    encoded = b64(json.dumps(header).encode())
    signature = key.sign(f"{encoded}.{b64(payload)}".encode(), PSS(MGF1(SHA256()), 32), SHA256())
    return f"{encoded}.{'' if detached else b64(payload)}.{b64(signature)}"


class TestMessages:
    def test_the_published_signature_proves_the_published_body(self, keys: KeyRing, vectors: Any) -> None:
        message = vectors["message"]
        body = message["body"].encode()

        assert SCHEME.verify(reply(body, message["signature"]), REQUEST, keys) == body

    def test_our_signature_has_the_published_header_and_input(
        self, keys: KeyRing, vectors: Any, oracle: RSAKey
    ) -> None:
        body = vectors["message"]["body"].encode()

        sent = SCHEME.sign(Request("POST", "https://bank.example/x", (), body), keys, STAMP)

        header, middle, signature = str(sent.header("x-jws-signature")).split(".")
        signing_input = f"{header}.{b64(body)}".encode()
        assert middle == ""
        assert header == vectors["message"]["signature"].split(".")[0]
        assert hashlib.sha256(signing_input).hexdigest() == vectors["message"]["signing_input_sha256"]
        told = {
            IAT: HeaderParameter("iat", "int"),
            ISS: HeaderParameter("iss", "str"),
            TAN: HeaderParameter("tan", "str"),
        }
        registry = jws.JWSRegistry(header_registry=told, algorithms=["PS256"])
        assert jws.deserialize_compact(f"{header}.{b64(body)}.{signature}", oracle, registry=registry).payload == body

    def test_a_question_is_not_signed_but_has_an_interaction_id(self, keys: KeyRing) -> None:
        for scheme in (SCHEME, TLSOnly()):
            sent = scheme.sign(Request.get("https://bank.example/x"), keys, STAMP)

            assert sent.header("x-jws-signature") is None
            assert sent.header("x-fapi-interaction-id") == "01234567-89ab-4def-8123-456789abcdef"

    def test_a_fraction_of_a_second_is_taken(self, keys: KeyRing, vector_key: rsa.RSAPrivateKey) -> None:
        token = signed(vector_key, header_of(**{IAT: NOW.timestamp() - 0.5}), b"{}", detached=True)

        assert SCHEME.verify(reply(b"{}", token), REQUEST, keys) == b"{}"

    @pytest.mark.parametrize(
        "changed",
        [
            {"alg": "RS256"},
            {"alg": "none"},
            {"typ": "JWT"},
            {"kid": None},
            {"crit": [IAT, ISS]},
            {"crit": [IAT, ISS, TAN, "alg"]},
            {"crit": None},
            {"b64": False},
            {"jwk": {}},
            {ISS: "001580000000000BBB"},
            {TAN: "other.example"},
            {IAT: NOW.timestamp() + 60},
            {IAT: "1767231000"},
            {IAT: True},
        ],
        ids=str,
    )
    def test_a_wrong_header_proves_nothing(self, keys: KeyRing, vector_key: rsa.RSAPrivateKey, changed: Any) -> None:
        token = signed(vector_key, header_of(**changed), b"{}", detached=True)

        with pytest.raises(NotProven):
            SCHEME.verify(reply(b"{}", token), REQUEST, keys)

    def test_a_key_that_is_not_held_is_named(self, keys: KeyRing, vector_key: rsa.RSAPrivateKey) -> None:
        token = signed(vector_key, header_of(kid="bank-sig-2"), b"{}", detached=True)

        with pytest.raises(UnknownKey):
            SCHEME.verify(reply(b"{}", token), REQUEST, keys)

    def test_the_list_of_what_must_fail_fails(self, keys: KeyRing, vectors: Any, vector_key: rsa.RSAPrivateKey) -> None:
        text, good = vectors["message"]["body"], vectors["message"]["signature"]
        body, header = text.encode(), good.split(".")[0]
        digest, encoded = SHA256(), f"{header}.{b64(text.encode())}".encode()
        short, long = PSS(MGF1(digest), 32), PSS(MGF1(digest), 222)
        raw = vector_key.sign(f"{header}.{text}".encode(), short, digest)
        wrong = {
            "written again": (json.dumps(json.loads(text)).encode(), good),
            "over the raw body": (body, f"{header}..{b64(raw)}"),
            "the longest salt": (body, f"{header}..{b64(vector_key.sign(encoded, long, digest))}"),
            "RSASSA-PKCS1-v1_5": (body, f"{header}..{b64(vector_key.sign(encoded, PKCS1v15(), digest))}"),
            "b64 false": (body, vectors["message_b64_false"]["signature"]),
            "not detached": (body, good.replace("..", f".{b64(body)}.")),
            "one byte flipped": (body[:-1] + b"]", good),
        }

        for name, (told, signature) in wrong.items():
            with pytest.raises(NotProven):
                pytest.fail(f"{name}: {SCHEME.verify(reply(told, signature), REQUEST, keys)!r}")

    def test_an_unsigned_answer_proves_nothing_but_a_bare_401(self, keys: KeyRing) -> None:
        assert SCHEME.verify(reply(b"", None, 401), REQUEST, keys) == b""
        for body, status in ((b"{}", 201), (b"", 403), (b"", 429), (b"{}", 401), (b"<html>", 502)):
            with pytest.raises(NotProven):
                SCHEME.verify(reply(body, None, status), REQUEST, keys)

    def test_an_account_answer_is_proven_by_the_channel_below_500(self, keys: KeyRing) -> None:
        assert TLSOnly().verify(reply(b"{}", None, 403), REQUEST, keys) == b"{}"
        with pytest.raises(NotProven):
            TLSOnly().verify(reply(b"{}", None, 500), REQUEST, keys)


REQUEST = Request("POST", "https://bank.example/x", (), b"{}")


def header_of(**changed: Any) -> dict[str, Any]:
    told = {IAT: int(NOW.timestamp()), ISS: ORGANISATION, TAN: "openbanking.org.uk"}
    header = {"alg": "PS256", "kid": KEY_ID, **told, "crit": [IAT, ISS, TAN], **changed}
    return {name: value for name, value in header.items() if value is not None}


class TestTokens:
    def test_the_client_assertion_is_taken_by_another_library(self, keys: KeyRing, oracle: RSAKey) -> None:
        request = Request.form("https://as.example/token", {"grant_type": "client_credentials", "scope": "payments"})

        sent = ClientAssertion("tpp-client-1", "https://as.example/token").sign(request, keys, STAMP)

        form = dict(parse_qsl(sent.body.decode()))
        token = jwt.decode(form["client_assertion"], oracle, algorithms=["PS256"])
        assert token.header == {"alg": "PS256", "kid": KEY_ID, "typ": "JWT"}
        assert token.claims == {
            "iss": "tpp-client-1",
            "sub": "tpp-client-1",
            "aud": "https://as.example/token",
            "jti": STAMP.nonce,
            "iat": 1_767_231_000,
            "exp": 1_767_231_300,
        }
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    def test_the_link_carries_the_published_request_object_and_pkce(
        self, keys: KeyRing, oracle: RSAKey, vectors: Any
    ) -> None:
        published = vectors["request_object"]["claims"]
        told = {"scope": "openid payments", "claims": published["claims"], "max_age": 86_400}
        link = SignedLink("https://as.example/authorize", minutes(15), told)

        query = dict(parse_qsl(urlsplit(SCHEME.link(link, HANDOFF, keys, STAMP)).query))

        claims = jwt.decode(query.pop("request"), oracle, algorithms=["PS256"]).claims
        pkce = {"code_challenge": HANDOFF.code_challenge, "code_challenge_method": "S256"}
        assert claims == {**published, **pkce}
        assert query == {name: claims[name] for name in query}
        assert set(query) == {"response_type", "client_id", "scope", "redirect_uri", "state", "nonce"}

    def test_a_request_object_lives_an_hour_at_most(self, keys: KeyRing, oracle: RSAKey) -> None:
        link = SignedLink("https://as.example/authorize?tenant=1", minutes(120), {"scope": "openid payments"})

        url = SCHEME.link(link, HANDOFF, keys, STAMP)

        query = dict(parse_qsl(urlsplit(url).query))
        claims = jwt.decode(query["request"], oracle, algorithms=["PS256"]).claims
        assert query["tenant"] == "1"
        assert claims["exp"] - claims["nbf"] == 3600


class TestReturns:
    def test_a_return_is_proven_by_its_id_token(self, keys: KeyRing, vector_key: rsa.RSAPrivateKey) -> None:
        proven = SCHEME.verify_return(returned(vector_key, extra="noise", openbanking_intent_id="c-9"), HANDOFF, keys)

        assert proven.parameters == {"code": CODE, "state": HANDOFF.state, "openbanking_intent_id": "c-0001"}

    def test_the_published_hashes_come_out(self, vectors: Any) -> None:
        assert {text: half_hash(text) for text in vectors["hashes"]} == vectors["hashes"]

    @pytest.mark.parametrize(
        "changed",
        [
            {"iss": "https://as.example/"},
            {"aud": "tpp-client-2"},
            {"aud": ["tpp-client-1", "tpp-client-2"]},
            {"exp": 1_767_231_000},
            {"exp": None},
            {"iat": 1_767_231_060},
            {"nonce": "other"},
            {"nonce": None},
            {"acr": "urn:openbanking:psd2:none"},
            {"acr": None},
            {"c_hash": "bOhtX8F73IMjSPeVAqxyTQ"},
            {"c_hash": None},
            {"s_hash": "LDktKdoQak3Pk0cnXxCltA"},
            {"s_hash": None},
            {"openbanking_intent_id": None},
            {"openbanking_intent_id": 7},
        ],
        ids=str,
    )
    def test_a_wrong_id_token_proves_nothing(
        self, keys: KeyRing, vector_key: rsa.RSAPrivateKey, changed: dict[str, Any]
    ) -> None:
        with pytest.raises(NotProven):
            SCHEME.verify_return(returned(vector_key, changed), HANDOFF, keys)

    @pytest.mark.parametrize(
        "told",
        [
            {"code": "another"},
            {"code": ""},
            {"state": "another"},
            {"state": ""},
            {"id_token": ""},
            {"error": "access_denied"},
        ],
        ids=str,
    )
    def test_a_return_that_was_touched_proves_nothing(
        self, keys: KeyRing, vector_key: rsa.RSAPrivateKey, told: Any
    ) -> None:
        with pytest.raises(NotProven):
            SCHEME.verify_return(returned(vector_key, **told), HANDOFF, keys)

    @pytest.mark.parametrize("header", [{"alg": "RS256"}, {"alg": "none"}, {"kid": "other"}], ids=str)
    def test_an_id_token_of_another_kind_proves_nothing(
        self, keys: KeyRing, vector_key: rsa.RSAPrivateKey, header: dict[str, str]
    ) -> None:
        with pytest.raises(NotProven):
            SCHEME.verify_return(returned(vector_key, header=header), HANDOFF, keys)

    def test_an_id_token_is_judged_when_it_comes(self, keys: KeyRing, vector_key: rsa.RSAPrivateKey) -> None:
        late = replace(returned(vector_key), received_at=NOW + timedelta(minutes=5))

        with pytest.raises(NotProven, match="expired"):
            SCHEME.verify_return(late, HANDOFF, keys)


def returned(
    key: rsa.RSAPrivateKey,
    changed: Mapping[str, Any] | None = None,
    *,
    header: Mapping[str, str] | None = None,
    **told: str,
) -> Returned:
    """What a bank that is itself would send back, and what a test changes about it."""
    claims = {
        "iss": "https://as.example",
        "sub": "c-0001",
        "aud": "tpp-client-1",
        "iat": 1_767_231_000,
        "exp": 1_767_231_300,
        "nonce": HANDOFF.nonce,
        "acr": "urn:openbanking:psd2:sca",
        "openbanking_intent_id": "c-0001",
        "c_hash": "LDktKdoQak3Pk0cnXxCltA",
        "s_hash": "bOhtX8F73IMjSPeVAqxyTQ",
        **(changed or {}),
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    token = signed(key, {"alg": "PS256", "kid": KEY_ID, **(header or {})}, json.dumps(kept).encode())
    return Returned({"code": CODE, "id_token": token, "state": HANDOFF.state, **told}, NOW)
