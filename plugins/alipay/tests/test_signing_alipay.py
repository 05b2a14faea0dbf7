"""The envelope against published vectors, what must not verify, and replies that nobody thought of."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway import Callback, Handoff, NotProven, Reply, Request, SignedLink, Stamp, UnknownKey
from gateway.crypto.keys import KeyRing
from lendgate_alipay.signing import RSA2Envelope, raw_members, to_sign

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text())
SNS = VECTORS["certificates"]
NOW = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
GATEWAY = "https://gateway.example/gateway.do"
PUBLIC = RSA2Envelope("2021000000000001")
CERTIFIED = RSA2Envelope("2021000000000001", SNS["app_cert_sn"], SNS["root_cert_sn"])
HANDOFF = Handoff("state", "nonce", "verifier", "https://gw.example/return", "https://gw.example/callback")


def private(name: str) -> rsa.RSAPrivateKey:
    """A test key, rebuilt from its published primes."""
    p, q = (int(VECTORS["keys"][name][prime], 16) for prime in "pq")
    d = rsa.rsa_recover_private_exponent(65537, p, q)
    numbers = rsa.RSAPublicNumbers(65537, p * q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *crt, numbers).private_key()


MERCHANT, WALLET = private("merchant"), private("wallet")
KEYS = KeyRing.load(
    "test",
    key_id="app",
    private_key=MERCHANT.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ),
    partner_keys={SNS["alipay_cert_sn"]: VECTORS["keys"]["wallet"]["public"]},
)


def request(method: str = "alipay.trade.precreate", biz: str = "{}", **public: str) -> Request:
    return Request.form(f"{GATEWAY}?{urlencode({'method': method, **public})}", {"biz_content": biz})


def reply(body: str, status: int = 200) -> Reply:
    return Reply(status, (), body.encode(), NOW)


def callback(form: str | bytes) -> Callback:
    return Callback("POST", "/v1/callbacks/alipay/x", (), form.encode() if isinstance(form, str) else form, NOW)


def wallet_signs(text: str, charset: str = "utf-8") -> str:
    return base64.b64encode(WALLET.sign(text.encode(charset), padding.PKCS1v15(), hashes.SHA256())).decode()


def scheme_of(case: Mapping[str, Any]) -> RSA2Envelope:
    return CERTIFIED if case["certificate_mode"] else PUBLIC


class TestRequests:
    @pytest.mark.parametrize("case", VECTORS["requests"], ids=lambda case: case["id"])
    def test_the_published_string_and_signature_come_out(self, case: dict[str, Any]) -> None:
        asked = request(case["method"], case["biz_content"], notify_url=case["notify_url"], return_url="")
        stamp = Stamp(datetime.fromisoformat(case["timestamp"]), "0" * 32)

        signed = scheme_of(case).sign(asked, KEYS, stamp)

        sent = dict(parse_qsl(urlsplit(signed.url).query) + parse_qsl(signed.body.decode()))
        assert to_sign(sent) == case["to_sign"]
        assert sent["sign"] == case["sign"]
        assert "return_url" not in sent
        assert signed.body == asked.body

    def test_public_parameters_stand_in_the_query_and_the_content_in_the_form(self) -> None:
        signed = PUBLIC.sign(request(biz='{"a":"分期 1"}'), KEYS, Stamp(NOW, ""))

        assert dict(parse_qsl(signed.body.decode())) == {"biz_content": '{"a":"分期 1"}'}
        assert {"method", "charset", "sign", "timestamp"} < set(dict(parse_qsl(urlsplit(signed.url).query)))

    def test_each_attempt_carries_its_own_time(self) -> None:
        first, second = (PUBLIC.sign(request(), KEYS, Stamp(NOW + timedelta(seconds=late), "")).url for late in (0, 1))

        assert "timestamp=2026-01-01+09%3A30%3A00" in first
        assert first != second

    def test_a_link_carries_everything_in_its_query(self) -> None:
        page = request(
            "zhima.customer.certification.certify", '{"biz_no":"ZM1"}', return_url="https://gw.example/r?state=s"
        )

        url = CERTIFIED.link(SignedLink(GATEWAY, timedelta(minutes=5), request=page), HANDOFF, KEYS, Stamp(NOW, ""))

        given = dict(parse_qsl(urlsplit(url).query))
        signature = base64.b64decode(given["sign"])
        MERCHANT.public_key().verify(signature, to_sign(given).encode(), padding.PKCS1v15(), hashes.SHA256())
        assert given["biz_content"] == '{"biz_no":"ZM1"}'
        assert given["return_url"] == "https://gw.example/r?state=s"


class TestReplies:
    @pytest.mark.parametrize("case", VECTORS["replies"], ids=lambda case: case["id"])
    def test_the_published_reply_is_proven_as_it_stands(self, case: dict[str, Any]) -> None:
        proven = scheme_of(case).verify(reply(case["body"]), request(case["method"]), KEYS)

        assert proven.decode() in case["body"]
        assert json.loads(proven)["code"] == "10000"

    @pytest.mark.parametrize("case", VECTORS["replies"], ids=lambda case: case["id"])
    def test_a_changed_reply_is_not(self, case: dict[str, Any]) -> None:
        for old, new in [("LG20260101", "LG20260102"), ("\\/", "/"), ("1299.00", "1299.01"), ("SUCCESS", "FAIL")]:
            changed = case["body"].replace(old, new)
            if changed != case["body"]:
                with pytest.raises(NotProven):
                    scheme_of(case).verify(reply(changed), request(case["method"]), KEYS)

    def test_a_brace_inside_of_a_string_ends_nothing(self) -> None:
        node = '{"code":"40004","sub_code":"ACQ.INVALID_PARAMETER","sub_msg":"an odd } and \\" and {"}'
        body = f'{{"alipay_trade_precreate_response":{node},"sign":"{wallet_signs(node)}"}}'

        assert PUBLIC.verify(reply(body), request(), KEYS).decode() == node

    def test_spaces_between_the_members_are_not_covered_and_those_inside_are(self) -> None:
        node = '{ "code" : "10000" }'
        body = f' {{ "sign" : "{wallet_signs(node)}" , "alipay_trade_precreate_response" : {node} }} \n'

        assert PUBLIC.verify(reply(body), request(), KEYS).decode() == node

    def test_the_gateways_own_error_is_proven_too(self) -> None:
        node = '{"code":"40002","sub_code":"isv.invalid-method"}'
        body = f'{{"error_response":{node},"sign":"{wallet_signs(node)}"}}'

        assert PUBLIC.verify(reply(body), request(), KEYS).decode() == node

    def test_what_proves_nothing(self) -> None:
        node = '{"code":"10000"}'
        good = f'"alipay_trade_precreate_response":{node}'
        signature = f'"sign":"{wallet_signs(node)}"'
        wrong = {
            "no signature": f"{{{good}}}",
            "an empty signature": f'{{{good},"sign":""}}',
            "a signature that is no text": f'{{{good},"sign":1}}',
            "no base64": f'{{{good},"sign":"*"}}',
            "another method's node": f'{{"alipay_trade_query_response":{node},{signature}}}',
            "two nodes": f'{{{good},"error_response":{node},{signature}}}',
            "the node twice": f"{{{good},{good},{signature}}}",
            "a node that is text": f'{{"alipay_trade_precreate_response":"{{}}",{signature}}}',
            "something behind": f"{{{good},{signature}}} {{}}",
            "a comma too many": f"{{{good},{signature},}}",
            "HTML": "<html></html>",
            "nothing": "",
            "an array": "[]",
            "too deep": '{"a":' + "[" * 100_000,
        }
        for what, body in wrong.items():
            with pytest.raises(NotProven):
                PUBLIC.verify(reply(body), request(), KEYS)
                pytest.fail(what)
        with pytest.raises(NotProven):
            PUBLIC.verify(Reply(200, (), b"\xff", NOW), request(), KEYS)

    @pytest.mark.parametrize("status", [201, 302, 429, 500, 502, 503])
    def test_a_status_other_than_200_is_somebody_elses(self, status: int) -> None:
        with pytest.raises(NotProven):
            PUBLIC.verify(reply(VECTORS["replies"][0]["body"], status), request(), KEYS)

    def test_a_signature_over_the_whole_body_is_not_one_over_the_node(self) -> None:
        node = '{"code":"10000"}'
        whole = f'{{"alipay_trade_precreate_response":{node}}}'

        with pytest.raises(NotProven):
            PUBLIC.verify(reply(f'{whole[:-1]},"sign":"{wallet_signs(whole)}"}}'), request(), KEYS)

    def test_an_unknown_certificate_is_named(self) -> None:
        case = VECTORS["replies"][1]
        body = case["body"].replace(SNS["alipay_cert_sn"], "0" * 32)

        with pytest.raises(UnknownKey) as unknown:
            CERTIFIED.verify(reply(body), request(case["method"]), KEYS)
        assert unknown.value.key_id == "0" * 32

    def test_certificate_mode_wants_to_know_the_certificate(self) -> None:
        case = VECTORS["replies"][0]

        with pytest.raises(NotProven):
            CERTIFIED.verify(reply(case["body"]), request(case["method"]), KEYS)

    def test_a_downloaded_certificate_is_handed_on_unproven(self) -> None:
        body = '{"alipay_open_app_alipaycert_download_response":{"code":"10000"},"alipay_cert_sn":"new","sign":"x"}'
        download = replace(CERTIFIED, self_certified=True)

        proven = download.verify(reply(body), request("alipay.open.app.alipaycert.download"), KEYS)

        assert proven == b'{"code":"10000"}'


class TestNotifications:
    def form(self, text: str, **more: str) -> str:
        told = dict(pair.split("=", 1) for pair in text.split("&"))
        return urlencode({**told, **more})

    def test_the_published_notification_is_proven_without_its_signature(self) -> None:
        case = VECTORS["notifications"][0]

        proven = dict(parse_qsl(PUBLIC.verify_callback(callback(case["form"]), KEYS).decode()))

        assert to_sign(proven) == case["to_sign"]
        assert "sign" not in proven and "sign_type" not in proven

    def test_the_published_message_is_proven(self) -> None:
        case = VECTORS["notifications"][1]
        form = self.form(case["to_sign"], sign_type="RSA2", sign=case["sign"])

        assert PUBLIC.verify_callback(callback(form), KEYS)

    def test_older_senders_cover_sign_type(self) -> None:
        text = "app_id=2021000000000001&msg_method=x"
        form = self.form(text, sign_type="RSA2", sign=wallet_signs(f"{text}&sign_type=RSA2"))

        assert PUBLIC.verify_callback(callback(form), KEYS)

    def test_gbk_is_read_where_it_is_named(self) -> None:
        text = "app_id=2021000000000001&charset=GBK&subject=分期"
        told = {"app_id": "2021000000000001", "charset": "GBK", "subject": "分期"}
        form = urlencode({**told, "sign_type": "RSA2", "sign": wallet_signs(text, "gbk")}, encoding="gbk")

        proven = dict(parse_qsl(PUBLIC.verify_callback(callback(form), KEYS).decode()))

        assert proven["subject"] == "分期"

    def test_empty_values_are_neither_covered_nor_handed_on(self) -> None:
        text = "app_id=2021000000000001&subject=x"
        form = self.form(text, body="", sign_type="RSA2", sign=wallet_signs(text))

        assert "body" not in dict(parse_qsl(PUBLIC.verify_callback(callback(form), KEYS).decode()))

    def test_what_does_not_verify(self) -> None:
        form = VECTORS["notifications"][0]["form"]
        other = "app_id=2021000000000009&out_trade_no=1"
        hidden = "app_id=2021000000000001&body=x&total_amount=1.00"
        wrong: dict[str, str | bytes] = {
            "another amount": form.replace("total_amount=433.00", "total_amount=433.01"),
            "a parameter more": form + "&refund_fee=433.00",
            "a parameter twice": form + "&total_amount=433.00",
            "no signature": form[: form.index("&sign=")],
            "another algorithm": form.replace("sign_type=RSA2", "sign_type=RSA"),
            "another application": self.form(other, sign_type="RSA2", sign=wallet_signs(other)),
            "a parameter inside of another": urlencode(
                {"app_id": "2021000000000001", "body": "x&total_amount=1.00", "sign": wallet_signs(hidden)}
            ),
            "an unknown charset": form.replace("charset=utf-8", "charset=utf-16"),
            "bytes that are no text": form.encode().replace(b"%E5%88%86", b"%E5%88"),
            "bytes that are no form": b"\xff\xfe",
            "nothing": "",
        }
        for what, body in wrong.items():
            with pytest.raises(NotProven):
                PUBLIC.verify_callback(callback(body), KEYS)
                pytest.fail(what)


TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | TEXTS
    | st.sampled_from(['"', "\\", "{", "}", "]", ","]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """`value` as JSON, with spaces, escapes and slashes as a stranger might write them."""
    indent = draw(st.sampled_from([None, 0, 2, "\t"]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\r\n: ")]))
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=indent, separators=separators)
    return text.replace("/", "\\/") if draw(st.booleans()) else text


class TestExtractor:
    @given(st.data(), st.dictionaries(TEXTS, VALUES, max_size=6))
    def test_each_value_comes_out_as_it_stands(self, data: st.DataObject, members: dict[str, Any]) -> None:
        spaces = st.text(" \t\r\n", max_size=3)
        values = {name: data.draw(written(value)) for name, value in members.items()}
        texts = []
        for name, value in values.items():
            before, after, behind, end = (data.draw(spaces) for _ in range(4))
            texts.append(f"{before}{data.draw(written(name))}{after}:{behind}{value}{end}")
        if not members:
            return

        assert raw_members(f"{data.draw(spaces)}{{{','.join(texts)}}}{data.draw(spaces)}") == values

    @given(st.data(), VALUES.filter(lambda value: isinstance(value, dict)))
    def test_a_signed_node_of_any_form_is_proven(self, data: st.DataObject, value: Any) -> None:
        node = data.draw(written({"code": "10000", "more": value}))
        body = f'{{"alipay_trade_precreate_response":{node},"sign":"{wallet_signs(node)}"}}'

        assert PUBLIC.verify(reply(body), request(), KEYS) == node.encode()

    @given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
    def test_any_other_bytes_prove_nothing(self, body: bytes) -> None:
        with pytest.raises(NotProven):
            PUBLIC.verify(Reply(200, (), body, NOW), request(), KEYS)

    @given(st.data())
    def test_a_published_reply_with_one_byte_changed_proves_nothing_else(self, data: st.DataObject) -> None:
        body = bytearray(VECTORS["replies"][0]["body"].encode())
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))

        try:
            proven = PUBLIC.verify(Reply(200, (), bytes(body), NOW), request(), KEYS)
        except NotProven:
            return
        assert proven in VECTORS["replies"][0]["body"].encode()  # the byte stood outside, or was the same

    @given(st.binary(max_size=300))
    def test_any_bytes_in_a_callback_prove_nothing(self, body: bytes) -> None:
        with pytest.raises(NotProven):
            PUBLIC.verify_callback(callback(body), KEYS)


def test_a_string_that_was_built_otherwise_gives_another_signature() -> None:
    case = VECTORS["requests"][0]
    flaws = {
        "without sign_type": case["to_sign"].replace("&sign_type=RSA2", ""),
        "encoded": "&".join(
            f"{p.split('=', 1)[0]}={quote_plus(p.split('=', 1)[1])}" for p in case["to_sign"].split("&")
        ),
        "empty kept": case["to_sign"].replace("&sign_type", "&return_url=&sign_type"),
    }

    signatures = {
        name: base64.b64encode(MERCHANT.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
        for name, text in flaws.items()
    }

    assert case["sign"] not in signatures.values()
