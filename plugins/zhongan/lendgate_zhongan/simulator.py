"""A strict stand-in for the insurer's gateway and a sample policy service (check, add, query), plain HTTP on loopback.

Rules
- Every business value is text. Money is yuan with at most two decimals; moments are yyyyMMddHHmmss in Beijing.
- One channelOrderNo, one policy: a repeat is refused and changes nothing (the code for it is not published).
- The ledger gets `policy`, keyed by channelOrderNo, when a policy is issued.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from email import message_from_bytes
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from gateway.model.clock import Clock
from gateway.sandbox import Effect, Onboarding, Simulator, rsa_key
from lendgate_zhongan.simulator_envelope import BEIJING, InsurerEnvelope, Refused

__all__ = ["ZhonganSimulator"]

APP_KEY: Final = "00000000000000000000000000000001"
CHANNEL_ID: Final = "9001"
PRODUCTS: Final = {"TESTMASK0001": Decimal("0.01")}  # product mask -> premium per yuan insured
LIABILITY_LIMIT: Final = Decimal(500_000)  # yuan, over all policies in force of one insured person
HOLDER: Final = ("policyHolderUserName", "policyHolderCertiType", "policyHolderCertiNo", "policyHolderPhone")
INSURED: Final = ("insureUserName", "insureCertiType", "insureCertiNo")
MONEY: Final = re.compile(r"\d{1,10}(\.\d{1,2})?")
CENT: Final = Decimal("0.01")


@dataclass(frozen=True)
class Application:
    """What was asked to be insured, after all checks."""

    order: str
    insured: str
    premium: Decimal
    sum_insured: Decimal
    begin: str
    end: str

    def terms(self) -> dict[str, str]:
        return {
            "premium": str(self.premium),
            "sumInsured": str(self.sum_insured),
            "policyBeginDate": self.begin,
            "policyEndDate": self.end,
        }


@dataclass(frozen=True)
class Issued:
    """One policy in force."""

    number: str
    application: Application

    def members(self) -> dict[str, str]:
        url = f"https://policy.example/{self.number}"
        return {"isSuccess": "Y", "policyNo": self.number, "policyDownloadUrl": url, **self.application.terms()}


class ZhonganSimulator(Simulator):
    """The insurer, one merchant, one product (`TESTMASK0001`: premium 1 % of the sum insured).

    Magic certificate numbers of the insured, beginning with: `SIMDECLINE` → refused by check and add;
    `SIMBINDONLY` → passes the check, refused by add; `SIMINTERNAL` → the policy is issued, but add answers
    SIM_INTERNAL. A person insured for more than 500,000 yuan in all gets 307.

    People: POST `/_sandbox/replies` {"signature": "plain" | "stripped" | "none", "nested": bool} changes how the
    insurer signs and whether it puts everything into a text member `resultJson`.
    """

    name: ClassVar[str] = "zhongan"
    key_bits: ClassVar[int] = 2048

    def __init__(self, directory: Path, url: str, clock: Clock | None = None) -> None:
        super().__init__(directory, url, clock)
        merchant = load_pem_public_key((directory / "merchant.pub").read_bytes())
        assert isinstance(merchant, rsa.RSAPublicKey)
        self.envelope = InsurerEnvelope(rsa_key(directory / "insurer.key"), merchant, APP_KEY)
        self.nested = False
        self.policies: dict[str, Issued] = {}  # by channelOrderNo

    @classmethod
    def onboard(cls, directory: Path, url: str) -> Onboarding:
        for side in ("merchant", "insurer"):
            rsa_key(directory / f"{side}.key", cls.key_bits)
        (mask,) = PRODUCTS
        return Onboarding(
            settings={
                "base_url": url,
                "app_key": APP_KEY,
                "channel_id": CHANNEL_ID,
                "legacy_sha1": True,
                "allow_plain_http": True,
                "rsa_bits": cls.key_bits,
                "products": {"credit_life": {"product_mask": mask, "premium_rate": str(PRODUCTS[mask])}},
                "not_found_codes": ["SIM_POLICY_NOT_FOUND"],
            },
            hosts=(url.removeprefix("http://"),),
            signing_key=(APP_KEY, f"file:{directory / 'merchant.key'}"),
            partner_keys={"zhongan": f"file:{directory / 'insurer.pub'}"},
            legacy=True,
        )

    def routes(self) -> Iterable[web.AbstractRouteDef]:
        return [web.post("/Gateway.do", self._gateway), web.post("/_sandbox/replies", self._replies)]

    def operation(self, request: web.Request, body: bytes) -> str:
        found = re.search(rb"zhongan\.[A-Za-z.]{1,80}", body) if request.path == "/Gateway.do" else None
        return found[0].decode() if found else super().operation(request, body)

    def state(self) -> Mapping[str, Any]:
        return {
            "policies": [{"number": issued.number, **asdict(issued.application)} for issued in self.policies.values()],
            "replies": {"signature": self.envelope.signature_form, "nested": self.nested},
        }

    async def _gateway(self, request: web.Request) -> web.Response:
        now = self.clock.now()
        form = members_of_form(request.headers.get("Content-Type", ""), await request.read())
        try:
            service, members = self.envelope.open(form, now)
        except Refused as no:
            return _json(self.envelope.seal(None, no, now))
        services = {
            "zhongan.open.common.validatePolicy": self._validate,
            "zhongan.open.common.addPolicy": self._add,
            "zhongan.open.common.queryPolicyInfo": self._query,
        }
        try:
            if service not in services:
                raise Refused("SIM_SERVICE", f"no service {service}")
            answer = services[service](texts(members))
        except Refused as no:
            answer = {"isSuccess": "N", "errorCode": no.code, "errorMsg": no.message}
        if self.nested:
            answer = {"resultJson": json.dumps(answer, ensure_ascii=False)}
        return _json(self.envelope.seal(answer, None, now))

    async def _replies(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted.get("signature", "plain") not in ("plain", "stripped", "none"):
            return web.Response(status=422, text="signature is plain, stripped or none\n")
        self.envelope.signature_form = wanted.get("signature", "plain")
        self.nested = bool(wanted.get("nested", False))
        return _json(json.dumps(self.state(), default=str).encode())

    def _validate(self, asked: Mapping[str, str]) -> dict[str, str]:
        return {"isSuccess": "Y", **self._application(asked).terms()}

    def _add(self, asked: Mapping[str, str]) -> dict[str, str]:
        application = self._application(asked)
        if application.order in self.policies:
            raise Refused("SIM_DUPLICATE_ORDER", "channelOrderNo was used before")
        if application.insured.startswith("SIMBINDONLY"):
            raise Refused("SIM_DECLINED", "not insurable at this time")
        now = self.clock.now()
        issued = Issued(f"P{now.astimezone(BEIJING):%Y%m%d}{len(self.policies) + 1:06d}", application)
        self.policies[application.order] = issued
        detail = {"policy_no": issued.number, "sum_insured": str(application.sum_insured)}
        self.ledger.record(Effect("policy", application.order, now, application.premium, "CNY", detail))
        if application.insured.startswith("SIMINTERNAL"):
            raise Refused("SIM_INTERNAL", "system is busy")
        return issued.members()

    def _query(self, asked: Mapping[str, str]) -> dict[str, str]:
        order, number = asked.get("channelOrderNo"), asked.get("policyNo")
        if not order and not number:
            raise Refused("SIM_FIELD", "channelOrderNo or policyNo is needed")
        for issued in self.policies.values():
            if order in (None, issued.application.order) and number in (None, issued.number):
                return issued.members()
        raise Refused("SIM_POLICY_NOT_FOUND", "no such policy")

    def _application(self, asked: Mapping[str, str]) -> Application:
        """All checks that validatePolicy and addPolicy share, in their order."""
        if needed(asked, "channelId") != CHANNEL_ID:
            raise Refused("SIM_CHANNEL", "channelId is not known")
        rate = PRODUCTS.get(needed(asked, "productMask"))
        if rate is None:
            raise Refused("SIM_PRODUCT", "productMask is not in the contract")
        order = needed(asked, "channelOrderNo")
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", order):
            raise Refused("SIM_FIELD", "channelOrderNo has another alphabet")
        nested(asked, "policyHolderUserInfo", HOLDER)
        insured = nested(asked, "insureUserInfo", INSURED)
        certificate = insured["insureCertiNo"]
        premium, sum_insured = money(asked, "premium"), money(asked, "sumInsured")
        begin, end = moment(asked, "policyBeginDate"), moment(asked, "policyEndDate")
        if begin >= end:
            raise Refused("SIM_PERIOD", "policyEndDate is not after policyBeginDate")
        if certificate.startswith("SIMDECLINE"):
            raise Refused("SIM_DECLINED", 'not insurable: see "https://policy.example/rules"')
        self._check_limit(order, certificate, sum_insured)
        if premium != (sum_insured * rate).quantize(CENT, ROUND_HALF_UP):
            raise Refused("SIM_PREMIUM", f"premium is not {rate} of sumInsured")
        return Application(order, certificate, premium, sum_insured, asked["policyBeginDate"], asked["policyEndDate"])

    def _check_limit(self, order: str, certificate: str, sum_insured: Decimal) -> None:
        now = self.clock.now().astimezone(BEIJING).strftime("%Y%m%d%H%M%S")
        others = (
            issued.application.sum_insured
            for issued in self.policies.values()
            if issued.application.insured == certificate
            and issued.application.order != order
            and issued.application.end > now
        )
        if sum(others, sum_insured) > LIABILITY_LIMIT:
            raise Refused("307", "liability limit of the insured exceeded")


def members_of_form(content_type: str, body: bytes) -> dict[str, str]:
    """The fields of an urlencoded or multipart form; a field that is given twice is left out."""
    if content_type.startswith("multipart/form-data"):
        message = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
        parts = [part for part in message.walk() if not part.is_multipart()]
        pairs = [
            (str(part.get_param("name", header="Content-Disposition")), bytes(part.get_payload(decode=True)).decode())
            for part in parts
        ]
    else:
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True)
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}


def texts(members: Mapping[str, Any]) -> Mapping[str, str]:
    for name, value in members.items():
        if not isinstance(value, str):
            raise Refused("SIM_TYPE", f"{name} is not text")
    return members


def needed(asked: Mapping[str, str], name: str) -> str:
    if not asked.get(name):
        raise Refused("SIM_FIELD", f"{name} is missing")
    return asked[name]


def money(asked: Mapping[str, str], name: str) -> Decimal:
    value = needed(asked, name)
    if not MONEY.fullmatch(value):
        raise Refused("SIM_FIELD", f"{name} is not yuan with at most two decimals")
    return Decimal(value)


def moment(asked: Mapping[str, str], name: str) -> datetime:
    try:
        if len(needed(asked, name)) != 14:
            raise ValueError
        return datetime.strptime(asked[name], "%Y%m%d%H%M%S").replace(tzinfo=BEIJING)
    except ValueError:
        raise Refused("SIM_FIELD", f"{name} is not yyyyMMddHHmmss") from None


def nested(asked: Mapping[str, str], name: str, members: Iterable[str]) -> Mapping[str, str]:
    """The object (or the first of an array of objects) that travels as JSON text in the member `name`."""
    try:
        value = json.loads(needed(asked, name))
    except ValueError:
        raise Refused("SIM_FIELD", f"{name} is not JSON text") from None
    if (name == "insureUserInfo") != isinstance(value, list):
        raise Refused("SIM_FIELD", f"{name}: the policy holder is an object, the insured an array")
    first = (value or [None])[0] if isinstance(value, list) else value
    if not isinstance(first, dict):
        raise Refused("SIM_FIELD", f"{name} is empty")
    for member in members:
        if not isinstance(first.get(member), str) or not first[member]:
            raise Refused("SIM_FIELD", f"{name}.{member} is missing")
    return first


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", charset="utf-8")
