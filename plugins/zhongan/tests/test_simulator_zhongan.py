"""The simulated insurer, driven over a real socket by a client that shares no code with it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gateway.sandbox import Point, Running, serve
from gateway.testing import ManualClock
from lendgate_zhongan.simulator import ZhonganSimulator
from lendgate_zhongan.simulator_envelope import InsurerEnvelope

CHECK, ADD, QUERY = (f"zhongan.open.common.{name}" for name in ("validatePolicy", "addPolicy", "queryPolicyInfo"))


def key(path: Path) -> Any:
    if path.suffix == ".pub":
        return serialization.load_pem_public_key(path.read_bytes())
    return serialization.load_pem_private_key(path.read_bytes(), None)


def text(members: dict[str, Any]) -> bytes:
    return json.dumps(dict(sorted(members.items())), separators=(",", ":"), ensure_ascii=False).encode()


@dataclass
class Client:
    """A merchant, in as few lines as possible."""

    session: aiohttp.ClientSession
    running: Running[ZhonganSimulator]
    clock: ManualClock
    directory: Path

    @property
    def simulator(self) -> ZhonganSimulator:
        return self.running.simulator

    def form(self, service: str, business: dict[str, Any], **changes: str) -> dict[str, str]:
        insurer, merchant = key(self.directory / "insurer.pub"), key(self.directory / "merchant.key")
        plain = text(business)
        blocks = [insurer.encrypt(plain[i : i + 117], padding.PKCS1v15()) for i in range(0, len(plain), 117)]
        form = {
            "appKey": self.running.onboarding.settings["app_key"],
            "bizContent": base64.b64encode(b"".join(blocks)).decode(),
            "charset": "UTF-8",
            "format": "json",
            "serviceName": service,
            "signType": "RSA",
            "timestamp": (self.clock.now() + timedelta(hours=8)).strftime("%Y%m%d%H%M%S%f")[:17],
            "version": "1.0.0",
            **changes,
        }
        return {**form, "sign": base64.b64encode(merchant.sign(text(form), padding.PKCS1v15(), hashes.SHA1())).decode()}

    async def post(self, form: Any) -> dict[str, Any]:
        async with self.session.post(self.running.url + "/Gateway.do", data=form) as reply:
            return dict(json.loads(await reply.read()))

    async def call(self, service: str, business: dict[str, Any], **changes: str) -> dict[str, Any]:
        return self.open(await self.post(self.form(service, business, **changes)))

    def open(self, reply: dict[str, Any]) -> dict[str, Any]:
        insurer, merchant = key(self.directory / "insurer.pub"), key(self.directory / "merchant.key")
        sign = base64.b64decode(reply.pop("sign"))
        insurer.verify(sign, text(reply), padding.PKCS1v15(), hashes.SHA1())
        if "bizContent" not in reply:
            return reply
        cipher, size = base64.b64decode(reply["bizContent"]), merchant.key_size // 8
        blocks = [merchant.decrypt(cipher[i : i + size], padding.PKCS1v15()) for i in range(0, len(cipher), size)]
        return dict(json.loads(b"".join(blocks)))


def application(**changes: Any) -> dict[str, Any]:
    person = {"Name": "测试甲", "CertiType": "P", "CertiNo": changes.pop("certificate", "E00000000")}
    holder = {f"policyHolderUser{n}" if n == "Name" else f"policyHolder{n}": v for n, v in person.items()}
    insured = {f"insureUser{n}" if n == "Name" else f"insure{n}": v for n, v in person.items()}
    members = {
        "productMask": "TESTMASK0001",
        "channelId": "9001",
        "channelOrderNo": "LG20260101P1",
        "policyHolderUserInfo": json.dumps({**holder, "policyHolderPhone": "13800000000"}, ensure_ascii=False),
        "insureUserInfo": json.dumps([insured], ensure_ascii=False),
        "premium": "12.99",
        "sumInsured": "1299.00",
        "policyBeginDate": "20260102000000",
        "policyEndDate": "20260401235959",
        "extraInfo": json.dumps({"loanNo": "L-1"}),
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


class Small(ZhonganSimulator):
    """The key size of the time when the envelope was designed."""

    key_bits = 1024


@pytest.fixture(scope="session", params=[ZhonganSimulator, Small], ids=["rsa-2048", "rsa-1024"])
def onboarded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One pair of keys for all tests of one size: making them is the slow part."""
    directory = tmp_path_factory.mktemp("zhongan")
    request.param.onboard(directory, "http://127.0.0.1:1")
    return request.param, directory


@pytest.fixture
async def client(onboarded: Any) -> AsyncIterator[Client]:
    kind, directory = onboarded
    clock = ManualClock()
    async with (
        await serve(kind, directory, clock=clock) as running,
        aiohttp.ClientSession(trust_env=False) as session,
    ):
        yield Client(session, running, clock, directory)


class TestEnvelope:
    async def test_a_genuine_request_is_opened_and_answered_in_kind(self, client: Client) -> None:
        answer = await client.call(CHECK, application())

        assert answer["isSuccess"] == "Y"
        assert answer["premium"] == "12.99"
        assert client.simulator.ledger.arrivals[0].operation == CHECK

    async def test_multipart_forms_are_accepted_too(self, client: Client) -> None:
        parts = aiohttp.FormData(client.form(CHECK, application()))
        parts._is_multipart = True

        assert client.open(await client.post(parts))["isSuccess"] == "Y"

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"appKey": "0" * 32}, "SIM_APP_KEY"),
            ({"signType": "RSA2"}, "SIM_FIELD"),
            ({"charset": "GBK"}, "SIM_FIELD"),
            ({"version": "2.0.0"}, "SIM_FIELD"),
            ({"timestamp": "20260101091900000"}, "SIM_TIMESTAMP"),  # 11 minutes ago
            ({"timestamp": "20260101013000000"}, "SIM_TIMESTAMP"),  # UTC instead of Beijing time
            ({"timestamp": "20260101093000"}, "SIM_TIMESTAMP"),  # without milliseconds
            ({"bizContent": "QUJD"}, "SIM_DECRYPT"),
        ],
    )
    async def test_each_wrong_public_field_is_refused(self, client: Client, changes: Any, code: str) -> None:
        assert (await client.call(ADD, application(), **changes))["errorCode"] == code
        assert not client.simulator.ledger.effects

    async def test_a_changed_or_missing_field_is_refused(self, client: Client) -> None:
        form = client.form(ADD, application())

        tampered = client.open(await client.post({**form, "serviceName": CHECK}))
        missing = client.open(await client.post({name: value for name, value in form.items() if name != "sign"}))

        assert (tampered["errorCode"], missing["errorCode"]) == ("SIM_SIGN", "SIM_FIELD")

    async def test_an_error_may_be_signed_over_its_stripped_form(self, client: Client) -> None:
        await client.session.post(client.running.url + "/_sandbox/replies", json={"signature": "stripped"})

        reply = await client.post(client.form(ADD, application(), timestamp="x\\"))
        sign = base64.b64decode(reply.pop("sign"))
        insurer = key(client.directory / "insurer.pub")

        assert reply["errorCode"] == "SIM_TIMESTAMP"
        insurer.verify(sign, text(reply).replace(b"\\", b""), padding.PKCS1v15(), hashes.SHA1())

    async def test_the_insurer_may_forget_to_sign_and_may_nest_its_answer(self, client: Client) -> None:
        await client.session.post(client.running.url + "/_sandbox/replies", json={"signature": "none"})
        unsigned = await client.post(client.form(CHECK, application()))
        await client.session.post(client.running.url + "/_sandbox/replies", json={"nested": True})

        nested = await client.call(CHECK, application())

        assert "sign" not in unsigned
        assert json.loads(nested["resultJson"])["isSuccess"] == "Y"

    async def test_a_flipped_byte_of_the_reply_does_not_verify(self, client: Client) -> None:
        client.simulator.faults.arm(Point.TAMPER, CHECK)

        with pytest.raises((InvalidSignature, ValueError)):
            await client.call(CHECK, application())


class TestPolicyService:
    async def test_bind_issues_one_policy_that_can_be_fetched_either_way(self, client: Client) -> None:
        bound = await client.call(ADD, application())

        by_order = await client.call(QUERY, {"channelOrderNo": "LG20260101P1"})
        by_number = await client.call(QUERY, {"policyNo": bound["policyNo"]})

        assert bound["isSuccess"] == "Y"
        assert by_order == by_number == bound
        assert client.simulator.ledger.count() == {("policy", "LG20260101P1"): 1}
        assert client.simulator.ledger.total("policy", "CNY") == Decimal("12.99")

    async def test_a_repeat_is_refused_and_issues_nothing(self, client: Client) -> None:
        await client.call(ADD, application())

        again = await client.call(ADD, application())

        assert (again["isSuccess"], again["errorCode"]) == ("N", "SIM_DUPLICATE_ORDER")
        assert client.simulator.ledger.count() == {("policy", "LG20260101P1"): 1}

    async def test_check_issues_nothing_and_an_unknown_order_is_not_found(self, client: Client) -> None:
        await client.call(CHECK, application())

        assert (await client.call(QUERY, {"channelOrderNo": "LG20260101P1"}))["errorCode"] == "SIM_POLICY_NOT_FOUND"
        assert (await client.call(QUERY, {}))["errorCode"] == "SIM_FIELD"
        assert not client.simulator.ledger.effects

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"productMask": "OTHER"}, "SIM_PRODUCT"),
            ({"channelId": "1"}, "SIM_CHANNEL"),
            ({"channelOrderNo": None}, "SIM_FIELD"),
            ({"premium": 12.99}, "SIM_TYPE"),
            ({"premium": "12.990"}, "SIM_FIELD"),
            ({"premium": "1299"}, "SIM_PREMIUM"),  # fen instead of yuan
            ({"policyBeginDate": "2026-01-02"}, "SIM_FIELD"),
            ({"policyEndDate": "20260101000000"}, "SIM_PERIOD"),
            ({"insureUserInfo": "{}"}, "SIM_FIELD"),
            ({"policyHolderUserInfo": '{"policyHolderUserName": "x"}'}, "SIM_FIELD"),
            ({"sumInsured": "500000.01", "premium": "5000.00"}, "307"),
            ({"certificate": "SIMDECLINE1"}, "SIM_DECLINED"),
        ],
    )
    async def test_each_wrong_application_is_refused(self, client: Client, changes: Any, code: str) -> None:
        answers = [await client.call(service, application(**changes)) for service in (CHECK, ADD)]

        assert [(answer["isSuccess"], answer["errorCode"]) for answer in answers] == [("N", code)] * 2
        assert not client.simulator.ledger.effects

    async def test_the_liability_limit_counts_all_policies_of_a_person(self, client: Client) -> None:
        large = {"sumInsured": "300000.00", "premium": "3000.00"}
        first = await client.call(ADD, application(**large))

        second = await client.call(ADD, application(**large, channelOrderNo="LG20260101P2"))

        assert (first["isSuccess"], second["errorCode"]) == ("Y", "307")

    async def test_magic_certificates_part_check_from_bind(self, client: Client) -> None:
        later = application(certificate="SIMBINDONLY1")
        hidden = application(certificate="SIMINTERNAL1", channelOrderNo="LG20260101P2")

        answers = [await client.call(*asked) for asked in ((CHECK, later), (ADD, later), (ADD, hidden))]
        found = await client.call(QUERY, {"channelOrderNo": "LG20260101P2"})

        assert [answer.get("errorCode") for answer in answers] == [None, "SIM_DECLINED", "SIM_INTERNAL"]
        assert found["isSuccess"] == "Y"

    async def test_unknown_services_and_reserved_names_are_refused(self, client: Client) -> None:
        unknown = await client.call("zhongan.open.common.cancelPolicy", {"policyNo": "P1"})
        reserved = await client.call(QUERY, {"policyNo": "P1", "version": "2"})

        assert (unknown["errorCode"], reserved["errorCode"]) == ("SIM_SERVICE", "SIM_FIELD")


def test_the_published_example_is_opened_by_the_insurers_side() -> None:
    vectors = json.loads((Path(__file__).parent / "vectors.json").read_text("utf-8"))
    merchant, insurer = (rebuilt(vectors["keys"][side]) for side in ("merchant", "insurer"))
    published = vectors["add_policy"]
    fields = {
        **json.loads(vectors["signed_request"]["string"]),
        "serviceName": ADD,
        "bizContent": published["ciphertext"],
        "sign": published["signature"],
    }

    envelope = InsurerEnvelope(insurer, merchant.public_key(), fields["appKey"])
    service, members = envelope.open(fields, datetime(2026, 1, 1, 1, 30, tzinfo=UTC))

    assert (service, members) == (ADD, json.loads(published["plaintext"]))


def rebuilt(primes: dict[str, str]) -> rsa.RSAPrivateKey:
    """The private key that belongs to two primes and e = 65537."""
    p, q, e = int(primes["p"], 16), int(primes["q"], 16), 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, *parts, rsa.RSAPublicNumbers(e, p * q)).private_key()
