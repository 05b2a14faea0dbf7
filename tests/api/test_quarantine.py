"""Quarantine through the API: where it shows, what is refused, and whose word ends it."""

from __future__ import annotations

import json
from datetime import timedelta

from gateway.store.quarantine import Quarantine, QuarantineBegan
from tests.api.house import Caller, House, payment


async def restored(house: House) -> None:
    """The store was put back an hour ago, and nobody knows what was lost."""
    began = house.gateway.clock.now()
    quarantine = Quarantine("qua_1", began, "the store was put back", "before", 3, 9, began - timedelta(days=30), True)
    await house.gateway.store.commit([QuarantineBegan(quarantine, "after")])
    await house.gateway.quarantine.refresh()


async def test_it_shows_wherever_an_operator_looks(house: House, shop: Caller) -> None:
    await restored(house)
    operator = house.caller("operator")

    shown = (await operator.get("/v1/quarantine")).body["connections"]
    partners = (await operator.get("/v1/partners")).body["partners"]
    ready = (await operator.get("/readyz")).body
    metrics = (await operator.get("/metrics")).text

    (held,) = [one for one in shown if one["connection"] == "riverbank"]
    assert held["quarantines"][0]["cause"] == "the store was put back"
    assert [one["quarantine"] for view in partners for one in view["connections"] if one["name"] == "riverbank"] == [
        True
    ]
    assert "riverbank" in ready["quarantine"] and 'lendgate_quarantine{connection="riverbank"} 1.0' in metrics


async def test_what_may_have_been_sent_is_refused_and_burns_nothing(house: House, shop: Caller) -> None:
    await restored(house)

    first = await shop.act("/v1/payments", payment(reference="R-1"), key="K-1")
    await house.caller("operator").send("POST", "/v1/quarantine/clear", json={"reason": "compared"})
    again = await shop.act("/v1/payments", payment(reference="R-1"), key="K-1")

    assert (first.status, first.body["type"].rpartition("/")[2]) == (503, "quarantined")
    assert (first.body["outcome"], first.body["retry"]) == ("not_sent", "after")
    assert int(first.headers["Retry-After"]) == 1800
    assert again.status == 201


async def test_only_an_operator_clears_it_and_is_on_record(house: House, shop: Caller) -> None:
    await restored(house)
    word = {"reason": "compared with the statement", "connection": "riverbank"}

    forbidden = await shop.send("POST", "/v1/quarantine/clear", json=word)
    cleared = await house.caller("operator").send("POST", "/v1/quarantine/clear", json=word)
    twice = await house.caller("operator").send("POST", "/v1/quarantine/clear", json=word)
    acts = [json.loads(one.leaf) for one in await house.gateway.store.entries() if one.kind == "act"]

    assert (forbidden.status, cleared.status, twice.status) == (403, 200, 409)
    assert cleared.body == {"cleared": ["riverbank"]}
    assert [(one["what"], one["reason"]) for one in acts] == [("clear quarantine of riverbank", word["reason"])]
    assert acts[0]["actor"].startswith("operator/")
