"""Journeys to what the gateway itself keeps and shows: partners, operations, events, webhooks, the log, pages."""

from __future__ import annotations

import uuid

from tests.end_to_end import bodies
from tests.end_to_end.journeys import journey, verbs_of
from tests.end_to_end.receiver import receiving
from tests.end_to_end.sandbox_house import SandboxHouse, eventually


@journey("GET /v1/partners/{partner}", partner="wechat_freight", verbs="fetch_partner_balance")
def our_account_at_a_partner_is_read(house: SandboxHouse) -> None:
    partner = house.get("/v1/partners/{partner}", partner="wechat_freight", params={"balance": "true"})

    assert partner["connections"][0]["balance"]["available"]["currency"] == "CNY"


@journey(partner="alipay", verbs="fetch_keys")
def a_key_that_a_partner_renewed_is_fetched(house: SandboxHouse) -> None:
    house.institutions.tell("alipay", "renew-certificate")

    assert house.act("/v1/payments", bodies.qr_payment())["state"] == "requires_action"


@journey("GET /v1/partners", "GET /v1/partners/{partner}/requirements")
def every_verb_of_every_partner_says_what_it_needs(house: SandboxHouse) -> None:
    for partner in house.get("/v1/partners")["partners"]:
        for verb in verbs_of(partner):
            asked = {"verb": verb}
            said = house.get("/v1/partners/{partner}/requirements", partner=partner["partner"], params=asked)
            assert (said["partner"], said["terms"]["verb"]) == (partner["partner"], verb)


@journey("GET /v1/operations", "GET /v1/operations/{id}", "GET /v1/operations/{id}/timeline", "GET /v1/events")
def what_happened_can_be_read(house: SandboxHouse) -> None:
    made = house.act("/v1/payments", bodies.scanned_payment())
    house.until(made, "succeeded")

    found = house.get("/v1/operations", params={"reference": made["reference"]})["operations"]
    records = house.get("/v1/operations/{id}/timeline", id=made["id"])["records"]
    events = house.get("/v1/events", params={"operation": made["id"]})

    assert [one["id"] for one in found] == [made["id"]]
    assert [record["kind"] for record in records][:2] == ["intent", "outcome"]
    assert events["events"][-1]["type"] == "payment.succeeded"
    assert events["next_after"] == events["events"][-1]["cursor"]


@journey("GET /v1/quarantine")
def a_store_that_was_not_put_back_has_nothing_to_clear(house: SandboxHouse) -> None:
    standing = house.get("/v1/quarantine", as_client="operator")
    word = {"reason": "nothing is wrong"}
    refused = house.send("POST", "/v1/quarantine/clear", json=word, as_client="operator")

    assert standing == {"connections": []}
    assert (refused.status_code, refused.json()["title"]) == (409, "There is nothing to clear")


@journey("POST /v1/audit/erasures", "POST /v1/audit/holds", "POST /v1/audit/holds/release")
def an_erased_person_is_read_by_nobody_and_a_held_one_is_kept(house: SandboxHouse) -> None:
    subject = f"person-{uuid.uuid4().hex}"
    paid = house.until(house.act("/v1/payments", {**bodies.scanned_payment(), "subject": subject}), "succeeded")
    word = {"client": "shop", "subject": subject, "reason": "Request E-17"}

    house.ask("/v1/audit/holds", json=word, as_client="operator")
    refused = house.send("POST", "/v1/audit/erasures", json=word, as_client="operator")
    house.ask("/v1/audit/holds/release", json=word, as_client="operator")
    done = house.ask("/v1/audit/erasures", json=word, as_client="operator")

    now = house.get("/v1/payments/{id}", id=paid["id"])
    assert (refused.status_code, refused.json()["title"]) == (409, "It is under legal hold")
    assert (done["operations"], done["left"]) == (1, 0)
    assert (now["erased"], now["state"], now["amount"]) == (True, "succeeded", paid["amount"])
    assert "subject" not in now


@journey("POST /v1/operations/{id}/settle")
def an_operator_settles_what_nobody_could_find_out(house: SandboxHouse) -> None:
    paid = house.until(house.act("/v1/payments", bodies.scanned_payment()), "succeeded")
    for operation in ("alipay.trade.refund", "alipay.trade.fastpay.refund.query"):
        house.institutions.tell("alipay", "faults", point="close_after", operation=operation, times=50)
    try:
        doubtful = house.act("/v1/payments/{id}/refunds", bodies.refund(), id=paid["id"])
        word = {"state": "succeeded", "reason": "found by hand", "evidence": "Statement 2026-03-02, line 14"}
        settled = house.ask("/v1/operations/{id}/settle", id=doubtful["id"], json=word, as_client="operator")
    finally:
        house.institutions.browser.delete(f"{house.institutions.urls['alipay']}/_sandbox/faults")

    assert (doubtful["state"], settled["state"]) == ("unknown", "succeeded")


@journey(
    "POST /v1/webhook-endpoints",
    "GET /v1/webhook-endpoints",
    "GET /v1/webhook-endpoints/{id}",
    "POST /v1/webhook-endpoints/{id}/test",
    "GET /v1/webhook-endpoints/{id}/deliveries",
    "POST /v1/webhook-endpoints/{id}/deliveries/{event}/redeliver",
    "POST /v1/webhook-endpoints/{id}/rotate",
    "DELETE /v1/webhook-endpoints/{id}",
)
def a_platform_is_told_what_happens(house: SandboxHouse) -> None:
    one = "/v1/webhook-endpoints/{id}"
    with receiving() as receiver:
        added = house.ask("/v1/webhook-endpoints", json={"url": receiver.url, "kinds": ["payment.succeeded"]})
        assert house.ask(f"{one}/test", id=added["id"])["delivered"]
        made = house.act("/v1/payments", bodies.scanned_payment())
        told = eventually(lambda: receiver.of(made["id"]), len)[0]
        house.ask(f"{one}/deliveries/{{event}}/redeliver", id=added["id"], event=told["id"])
        eventually(lambda: receiver.of(made["id"]), lambda got: len(got) > 1)

    read = house.get(one, id=added["id"])
    listed = house.get("/v1/webhook-endpoints")["endpoints"]
    deliveries = house.get(f"{one}/deliveries", id=added["id"])["deliveries"]
    renewed = house.ask(f"{one}/rotate", id=added["id"])
    removed = house.send("DELETE", one, id=added["id"])

    assert told["type"] == "payment.succeeded"
    assert read in listed
    assert [delivery["event"] for delivery in deliveries] == [told["id"]]
    assert renewed["secret"] != added["secret"]
    assert removed.json()["active"] is False
    assert house.send("GET", one, id=added["id"]).status_code == 404


@journey("GET /v1/audit/checkpoint", "GET /v1/audit/tile/{path}")
def an_auditor_reads_the_log(house: SandboxHouse) -> None:
    house.act("/v1/payments", bodies.qr_payment())
    note = eventually(lambda: house.client.get("/v1/audit/checkpoint"), lambda answer: answer.is_success).text
    size = int(note.splitlines()[1])

    part = f"000.p/{size}" if size < 256 else "000"
    hashes = house.send("GET", "/v1/audit/tile/{path}", path=f"0/{part}")
    entries = house.send("GET", "/v1/audit/tile/{path}", path=f"entries/{part}", as_client="auditor")
    stranger = house.send("GET", "/v1/audit/tile/{path}", path=f"entries/{part}", as_client="shop")

    assert len(hashes.content) == 32 * min(size, 256)
    assert b'"intent"' in entries.content
    assert stranger.status_code == 403


@journey("GET /v1/audit/records/{chain}/{number}", "GET /v1/audit/operations/{id}", "POST /v1/audit/evidence")
def an_auditor_takes_evidence_away(house: SandboxHouse) -> None:
    made = house.act("/v1/payments", bodies.qr_payment())
    place = {"chain": made["id"], "number": 1}
    record = eventually(lambda: house.get("/v1/audit/records/{chain}/{number}", **place), lambda got: "proof" in got)

    asked = {"params": {"bodies": "true", "reason": "sample 7"}, "as_client": "auditor"}
    shown = house.send("GET", "/v1/audit/operations/{id}", id=made["id"], **asked).json()
    body = {"operation": made["id"], "bodies": True, "reason": "sample 7"}
    taken = house.send("POST", "/v1/audit/evidence", json=body, as_client="auditor")

    assert record["leaf"].startswith("{") and record["index"] < record["size"]
    assert shown["records"][0]["body"].startswith("POST ")
    assert taken.json()["records"] == len(shown["records"])


@journey("GET /v1/webhook-endpoints")
def an_operator_sees_whose_endpoints_there_are(house: SandboxHouse) -> None:
    asked = {"client": "shop"}
    assert house.send("GET", "/v1/webhook-endpoints", as_client="operator", params=asked).is_success


@journey("GET /healthz", "GET /readyz", "GET /metrics")
def anybody_may_look_at_the_pages(house: SandboxHouse) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/problems", "/problems/declined"):
        answer = house.client.get(path)
        assert answer.status_code == 200, path
