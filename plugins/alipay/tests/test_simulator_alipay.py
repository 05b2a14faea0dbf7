"""The simulated gateway's envelope: what it verifies, in which order, and how it signs."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from gateway.sandbox import Point
from lendgate_alipay.simulator import AlipaySimulator

PKCS1 = padding.PKCS1v15()
ORDER = {"out_trade_no": "P1", "total_amount": "433.00", "subject": "分期 1"}
PRECREATE = "alipay.trade.precreate"


class TestEnvelope:
    @pytest.mark.parametrize(
        ("changes", "code", "sub_code"),
        [
            ({"app_id": None}, "40001", "isv.missing-app-id"),
            ({"app_id": "2021999999999999"}, "40002", "isv.invalid-app-id"),
            ({"method": None}, "40001", "isv.missing-method"),
            ({"method": "alipay.trade.fly"}, "40002", "isv.invalid-method"),
            ({"sign_type": "RSA"}, "40002", "isv.invalid-signature-type"),
            ({"charset": "gbk"}, "40002", "isv.invalid-charset"),
            ({"format": "XML"}, "40002", "isv.invalid-format"),
            ({"version": None}, "40001", "isv.missing-version"),
            ({"timestamp": "2026-01-01T09:30:00"}, "40002", "isv.invalid-timestamp"),
            ({"timestamp": "2026-01-01 01:30:00"}, "40002", "isv.invalid-timestamp"),  # UTC, eight hours off
            ({"app_cert_sn": None}, "40002", "isv.missing-app-cert-sn"),
            ({"app_cert_sn": "0" * 32}, "40002", "isv.app-cert-not-exist"),
            ({"alipay_root_cert_sn": None}, "40002", "isv.missing-alipay-root-cert-sn"),
            ({"alipay_root_cert_sn": "0" * 32}, "40002", "isv.invalid-alipay-root-cert-sn"),
        ],
    )
    async def test_a_wrong_public_parameter_is_named(
        self, client: Any, changes: dict[str, str | None], code: str, sub_code: str
    ) -> None:
        node = json.loads(await client.post(client.signed(client.public(PRECREATE, ORDER, **changes))))

        said = next(iter(node.values()))
        assert (said["code"], said["sub_code"]) == (code, sub_code)
        assert not client.simulator.trades.trades

    @pytest.mark.parametrize("flaw", ["without sign_type", "encoded", "empty kept", "other key order", "no signature"])
    async def test_a_string_that_was_built_otherwise_does_not_verify(self, client: Any, flaw: str) -> None:
        given = client.public(PRECREATE, ORDER, return_url="")
        pairs = [(name, given[name]) for name in sorted(given) if given[name]]
        text = {
            "without sign_type": "&".join(f"{n}={v}" for n, v in pairs if n != "sign_type"),
            "encoded": "&".join(f"{n}={quote_plus(v)}" for n, v in pairs),
            "empty kept": "&".join(f"{n}={given[n]}" for n in sorted(given)),
            "other key order": "&".join(f"{n}={v}" for n, v in reversed(pairs)),
            "no signature": "",
        }[flaw]

        node = json.loads(await client.post(client.signed(given, text)))

        assert next(iter(node.values()))["sub_code"] == "isv.invalid-signature"
        assert not client.simulator.trades.trades

    async def test_the_refusal_of_a_signature_shows_the_string_with_its_ampersands_escaped(self, client: Any) -> None:
        given = client.public(PRECREATE, ORDER)

        node = json.loads(await client.post(client.signed(given, "something else")))

        assert "biz_content=" in next(iter(node.values()))["sub_msg"]
        assert "&amp;charset=utf-8" in next(iter(node.values()))["sub_msg"]

    async def test_a_parameter_with_two_values_fits_no_signature(self, client: Any) -> None:
        given = client.signed(client.public(PRECREATE, ORDER))
        body = given.pop("biz_content")
        url = f"{client.running.url}/gateway.do?{urlencode(given)}&{urlencode({'biz_content': '{}'})}"

        async with client.session.post(url, data={"biz_content": body}) as reply:
            node = json.loads(await reply.text())

        assert node["alipay_trade_precreate_response"]["sub_code"] == "isv.invalid-signature"

    async def test_query_form_and_multipart_are_merged(self, client: Any) -> None:
        given = client.signed(client.public(PRECREATE, ORDER))
        parts = aiohttp.FormData(default_to_multipart=True)
        for name, value in given.items():
            parts.add_field(name, value)

        async with client.session.post(f"{client.running.url}/gateway.do", data=parts) as reply:
            multipart = json.loads(await reply.text())
        async with client.session.post(f"{client.running.url}/gateway.do?{urlencode(given)}") as reply:
            query = json.loads(await reply.text())

        assert multipart["alipay_trade_precreate_response"]["code"] == "10000"
        assert query["alipay_trade_precreate_response"] == multipart["alipay_trade_precreate_response"]

    async def test_what_is_not_json_is_refused(self, client: Any) -> None:
        assert (await client.call(PRECREATE, "{"))["sub_code"] == "isv.illegal-json"
        assert (await client.call(PRECREATE, "[]"))["sub_code"] == "isv.illegal-json"

    async def test_a_reply_is_signed_over_the_text_of_its_node_as_sent(self, client: Any) -> None:
        text = await client.post(client.signed(client.public(PRECREATE, ORDER)))

        name, members = "alipay_trade_precreate_response", json.loads(text)
        node = text[len(f'{{"{name}":') : text.index(',"alipay_cert_sn"')]
        key = client.wallet_key()
        key.verify(base64.b64decode(members["sign"]), node.encode(), PKCS1, hashes.SHA256())
        assert "https:\\/\\/qr.alipay.com" in node
        with pytest.raises(InvalidSignature):  # re-serialised without the escapes
            again = json.dumps(members[name], ensure_ascii=False, separators=(",", ":"))
            key.verify(base64.b64decode(members["sign"]), again.encode(), PKCS1, hashes.SHA256())

    async def test_an_unknown_application_gets_an_unsigned_answer(self, client: Any) -> None:
        given = client.public(PRECREATE, ORDER, app_id="2021999999999999")

        assert "sign" not in json.loads(await client.post(client.signed(given)))

    async def test_errors_are_unsigned_or_in_their_own_member_on_demand(self, client: Any) -> None:
        await client.people("replies", unsigned_errors=True, error_response=True)

        failed = json.loads(await client.post(client.signed(client.public(PRECREATE, "{"))))
        declined = json.loads(await client.post(client.signed(client.public("alipay.trade.query", {}))))

        assert set(failed) == {"error_response", "alipay_cert_sn"}
        assert set(declined) == {"alipay_trade_query_response", "alipay_cert_sn"}

    async def test_public_key_mode_knows_no_certificates(self, public_client: Any) -> None:
        text = await public_client.post(public_client.signed(public_client.public(PRECREATE, ORDER)))
        mixed = await public_client.call(PRECREATE, ORDER, app_cert_sn="0" * 32, alipay_root_cert_sn="0" * 32)

        assert set(json.loads(text)) == {"alipay_trade_precreate_response", "sign"}
        assert mixed["sub_code"] == "isv.app-cert-not-exist"

    async def test_onboarding_twice_gives_the_same(self, client: Any) -> None:
        again = AlipaySimulator.onboard(client.simulator.directory, client.running.url)

        assert again == client.onboarding

    async def test_a_renewed_certificate_has_a_new_number_and_can_be_downloaded(self, client: Any) -> None:
        old = client.simulator.envelope.own_cert_sn
        await client.people("renew-certificate")
        text = await client.post(client.signed(client.public(PRECREATE, ORDER)))
        new = json.loads(text)["alipay_cert_sn"]

        found = await client.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": new})
        gone = await client.call("alipay.open.app.alipaycert.download", {"alipay_cert_sn": old})

        assert new != old
        assert base64.b64decode(found["alipay_cert_content"]).startswith(b"-----BEGIN CERTIFICATE-----")
        assert gone["sub_code"] == "isv.alipay-cert-not-exist"


async def test_faults_and_arrivals_go_by_the_name_of_the_interface(client: Any) -> None:
    client.simulator.faults.arm(Point.CLOSE_AFTER, "alipay.trade.precreate")

    with pytest.raises(aiohttp.ClientError):
        await client.precreate()

    assert [arrival.operation for arrival in client.simulator.ledger.arrivals] == ["alipay.trade.precreate"]
    assert await client.people("pay", out_trade_no="P1") == 200


async def test_the_state_can_be_read(client: Any) -> None:
    await client.paid()
    await client.transfer()
    await client.brief("110101199001010019")

    async with client.session.get(f"{client.running.url}/_sandbox/state") as reply:
        state = json.loads(await reply.text())

    assert [trade["status"] for trade in state["trades"]] == ["TRADE_SUCCESS"]
    assert state["balance"] == "9998701.00"
    assert datetime.fromisoformat(state["trades"][0]["paid_at"]).tzinfo is not None
