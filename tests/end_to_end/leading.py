"""Leads calls that were made up from the OpenAPI document to things that exist, so that they reach an institution.

Rules
- Only what a document cannot know is replaced: ids, connections, references, keys, and the fields of an example that
  no partner of the sandbox takes. What a case is about stays as it was made up.
- A wrong call keeps what is wrong about it; only the place that it goes to is a real one.
- Nothing is left to chance: the same cases in the same order are led to the same things.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation

from gateway.api.examples import EXAMPLES
from tests.end_to_end import bodies
from tests.end_to_end.journeys import active_consent, parcel_policy, quoted_policy
from tests.end_to_end.sandbox_house import SandboxHouse

__all__ = ["Leader", "Standing"]

PARTNERS: Final = ("alipay", "openbanking_uk", "wechat_freight", "zhongan")
NOBODY: Final = "http://127.0.0.1:9"
"""A port of this machine that nobody listens at: what a case makes up must lead nowhere else."""
ALIKE: Final = ("amount", "sum_insured")
"""Amounts of a body: their currency is the partner's on most turns, or no call would get further than that."""


@dataclass(frozen=True)
class Standing:
    """What was made before, by the collection that it is read in; and what only others are told."""

    known: Mapping[str, Sequence[Any]]
    consent: str
    callback_path: str
    event: str

    @classmethod
    def make(cls, house: SandboxHouse) -> Standing:
        """One of everything, or two that differ."""
        endpoint = new_endpoint(house, "refund.*")
        waiting = house.act("/v1/payments", bodies.qr_payment())
        paid = house.until(house.act("/v1/payments", bodies.scanned_payment("900.00")), "succeeded")
        parcel = parcel_policy(house)
        consent = active_consent(house)
        refunds, claims = "/v1/payments/{id}/refunds", "/v1/insurance/policies/{id}/claims"
        made = {
            "payments": [waiting, paid],
            "refunds": [house.act(refunds, bodies.refund(), id=paid["id"])],
            "transfers": [
                house.act("/v1/transfers", body) for body in (bodies.wallet_transfer(), bodies.bank_transfer())
            ],
            "credit-reports": [
                house.act("/v1/credit-reports", body) for body in (bodies.threshold_check(), bodies.identity_check())
            ],
            "quotes": [house.act("/v1/insurance/quotes", bodies.quote())],
            "policies": [quoted_policy(house), parcel],
            "claims": [house.act(claims, bodies.return_claim(), id=parcel["id"])],
            "consents": [house.act("/v1/consents", bodies.consent())],  # the active one is kept from being revoked
        }
        made["operations"] = [one for several in made.values() for one in several]
        made["webhook-endpoints"] = [endpoint]
        deliveries = house.get("/v1/webhook-endpoints/{id}/deliveries", id=endpoint["id"])["deliveries"]
        return cls(made, consent["id"], callback_path(house), deliveries[0]["event"])


def new_endpoint(house: SandboxHouse, kind: str) -> Any:
    """An endpoint at which nobody listens."""
    return house.ask("/v1/webhook-endpoints", json={"url": f"{NOBODY}/{uuid.uuid4().hex}", "kinds": [kind]})


def callback_path(house: SandboxHouse) -> str:
    """Where the wallet's notifications go: only the wallet is told."""
    made = house.act("/v1/payments", bodies.qr_payment())
    house.institutions.tell("alipay", "pay", out_trade_no=made["partner_key"])
    house.until(made, "succeeded")
    url = house.institutions.read("alipay", "state")["notifications"][-1]["url"]
    return str(url).partition("/v1/callbacks/")[2]


class Leader:
    """Leads one case after another."""

    _numbers = itertools.count()  # references are unique for ever, whatever test they come from

    def __init__(self, house: SandboxHouse, standing: Standing) -> None:
        self._house = house
        self._standing = standing
        self._turn = 0

    def lead(self, case: Case) -> None:
        """Change what must be changed."""
        self._turn += 1
        parent = self._place(case)
        if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
            return
        if isinstance(case.body, dict) and "url" in case.body:
            self._remove_other_endpoints()
            case.body = {**case.body, "url": f"{NOBODY}/{next(self._numbers)}", "kinds": ["payment.attention"]}
        if isinstance(case.body, dict) and "reference" in case.body:
            case.body = self._body(case, parent)
            if self._turn % 8:  # a repeated key is worth a case now and then
                case.headers["Idempotency-Key"] = f"live-{next(self._numbers)}"
        if case.query:
            self._query(case)

    def _place(self, case: Case) -> Any:
        """Put real names into the path; the operation that it names now, if it names one."""
        made_up = case.meta.components.get(ParameterLocation.PATH) if case.meta else None
        if made_up is None or made_up.mode is not GenerationMode.POSITIVE or not case.path_parameters:
            return None
        parameters, steps = case.path_parameters, case.path.split("/")
        if "callbacks" in steps:
            if self._turn % 2:
                parameters["partner"], _, parameters["token"] = self._standing.callback_path.partition("/")
            return None
        for name in parameters.keys() & {"partner", "connection"}:
            parameters[name] = PARTNERS[self._turn % len(PARTNERS)]
        if "accounts" in steps:
            parameters["id"] = f"acc-{self._turn % 4}"
        if "event" in parameters:
            parameters["event"] = self._standing.event
        if "path" in parameters:
            parameters["path"] = ("0/000", "entries/000")[self._turn % 2]
        known = self._standing.known.get(collection(steps), ())
        if case.operation.method.upper() == "DELETE":
            self._remove_other_endpoints()
            known = (new_endpoint(self._house, "payment.attention"),)
        if not known or "id" not in parameters:
            return None
        chosen = known[self._turn % len(known)]
        parameters["id"] = chosen["id"]
        return chosen

    def _body(self, case: Case, parent: Any) -> dict[str, Any]:
        call = f"POST {case.path}"
        made_up: dict[str, Any] = {**case.body, "reference": f"live/{next(self._numbers)}"}
        if parent is not None:
            made_up["connection"] = parent["connection"]
            currency = parent.get("amount", {}).get("currency", "CNY")
        elif call in ACCEPTED:
            accepted = ACCEPTED[call][self._turn % len(ACCEPTED[call])](self._house, self._standing)
            made_up = {**accepted, **self._varied(EXAMPLES[call], made_up), "connection": accepted["connection"]}
            currency = "GBP" if accepted["connection"] == "openbanking_uk" else "CNY"
        else:
            return made_up
        for name in ALIKE:
            if isinstance(made_up.get(name), dict) and self._turn % 4:
                made_up[name] = {**made_up[name], "currency": currency}
        return made_up

    def _remove_other_endpoints(self) -> None:
        """A client has a few only, and those of other tests count, too."""
        kept = self._standing.known["webhook-endpoints"][0]["id"]
        for one in self._house.get("/v1/webhook-endpoints")["endpoints"]:
            if one["id"] != kept:
                self._house.send("DELETE", "/v1/webhook-endpoints/{id}", id=one["id"])

    def _varied(self, example: Mapping[str, Any], made_up: Mapping[str, Any]) -> dict[str, Any]:
        """What a case has in another way than the example; that something is left out counts on some turns only."""
        empty = () if self._turn % 4 == 0 else (None, [], {})
        return {
            name: value for name, value in made_up.items() if value not in empty and example.get(name, ...) != value
        }

    def _query(self, case: Case) -> None:
        if "consent" in case.query:
            case.query["consent"] = self._standing.consent
        if "client" in case.query:
            case.query["client"] = "shop"
        if self._turn % 2:
            case.query.pop("cursor", None)


def collection(steps: Sequence[str]) -> str:
    """The collection that holds `{id}`."""
    return steps[steps.index("{id}") - 1] if "{id}" in steps else ""


Maker = Callable[[SandboxHouse, Standing], dict[str, Any]]


def insured_parcel(house: SandboxHouse, standing: Standing) -> dict[str, Any]:
    order = bodies.order_paid_by_wechat()
    house.institutions.tell("wechat_freight", "transactions", **order)
    return bodies.parcel_policy(order)


def bought_quote(house: SandboxHouse, standing: Standing) -> dict[str, Any]:
    return bodies.quoted_policy(standing.known["quotes"][0]["id"])


def fixed(make: Callable[[], dict[str, Any]]) -> Maker:
    return lambda house, standing: make()


ACCEPTED: Final[Mapping[str, tuple[Maker, ...]]] = {
    "POST /v1/payments": (fixed(bodies.qr_payment), fixed(bodies.scanned_payment)),
    "POST /v1/transfers": (fixed(bodies.wallet_transfer), fixed(bodies.bank_transfer)),
    "POST /v1/credit-reports": (fixed(bodies.threshold_check), fixed(bodies.identity_check)),
    "POST /v1/insurance/quotes": (fixed(bodies.quote),),
    "POST /v1/insurance/policies": (bought_quote, insured_parcel),
    "POST /v1/consents": (fixed(bodies.consent),),
}
"""Bodies that the sandbox takes, by the call that they are sent to."""
