"""Receipts, proofs, bodies and bundles: who gets them, and what is recorded of it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.bundle_verifier import Bundle, verify_bundle
from gateway.audit.checkpoint import open_checkpoint
from gateway.audit.directory import FileReader
from gateway.audit.proof import Proof, verify_proof
from gateway.audit.receipts import InvalidReceipt, Receipt, find_leaf
from gateway.audit.tiles import entries
from tests.api.house import House, payment
from tests.api.published import Log, publishing
from tests.audit.logs import a_log, a_signer


@pytest.fixture
async def log(house: House, tmp_path: Path) -> AsyncIterator[Log]:
    async with publishing(house, tmp_path / "log") as opened:
        yield opened


async def test_an_answer_carries_a_receipt_whose_record_is_in_the_log(house: House, log: Log) -> None:
    answer = await house.caller("shop").act("/v1/payments", payment())
    await log.publish()

    receipt = Receipt.parse(answer.headers["Audit-Receipt"])
    placed = await house.caller("shop").get(f"/v1/audit/records/{receipt.chain}/{receipt.number}")

    assert (receipt.chain, receipt.number) == (answer.body["id"], 3)
    assert (placed.body["id"], placed.body["leaf_hash"]) == (receipt.record, receipt.leaf.hex())
    proof = Proof.parse(placed.body["proof"].encode())
    opened = verify_proof(proof, placed.body["leaf"].encode(), log.key)
    assert find_leaf(FileReader(log.folder), opened.checkpoint, receipt.leaf) == proof.index == placed.body["index"]


@pytest.mark.parametrize("amount", ["128.13", "128.17", "128.19"])
async def test_doubt_and_failure_carry_receipts_too(house: House, amount: str) -> None:
    answer = await house.caller("shop").act("/v1/payments", payment(amount))

    chain = await house.gateway.store.chain(Receipt.parse(answer.headers["Audit-Receipt"]).chain)
    assert chain[-1].hash == Receipt.parse(answer.headers["Audit-Receipt"]).leaf.hex()


async def test_a_refusal_that_was_recorded_carries_its_receipt(house: House) -> None:
    answer = await house.caller("shop").act("/v1/payments", payment(connection="nowhere"))

    receipt = Receipt.parse(answer.headers["Audit-Receipt"])
    record = await house.gateway.store.record(receipt.chain, 1)
    assert record is not None and (record.kind, record.hash) == ("refusal", receipt.leaf.hex())


async def test_a_read_makes_no_record_and_has_no_receipt(house: House) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())

    assert "Audit-Receipt" not in (await house.caller("shop").get(f"/v1/payments/{made.body['id']}")).headers


async def test_a_receipt_proves_that_its_record_was_left_out(house: House, log: Log) -> None:
    receipts = [
        Receipt.parse((await house.caller("shop").act("/v1/payments", payment())).headers["Audit-Receipt"])
        for _ in range(2)
    ]
    await log.publish()
    content = [leaf for _, leaf in entries(FileReader(log.folder), 6)]
    signer = a_signer()
    forged = a_log([leaf for leaf in content if receipts[0].record.encode() not in leaf], signer)

    head = open_checkpoint(forged["checkpoint"], signer.key).checkpoint

    assert find_leaf(forged.get, head, receipts[0].leaf) is None
    assert find_leaf(forged.get, head, receipts[1].leaf) is not None


@pytest.mark.parametrize("text", ["", "leaf=abc", 'record="rec_1", leaf="' + "0" * 64 + '"', "nonsense"])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    with pytest.raises(InvalidReceipt):
        Receipt.parse(text)


async def test_a_platform_sees_the_place_of_its_own_records_only(house: House, log: Log) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())
    place = f"/v1/audit/records/{made.body['id']}/1"

    assert (await house.caller("shop").get(place)).status == 200
    assert (await house.caller("auditor").get(place)).status == 200
    assert (await house.caller("other_shop").get(place)).status == 404
    for wrong in ("99", "0", "x", "1" * 12):
        assert (await house.caller("shop").get(f"/v1/audit/records/{made.body['id']}/{wrong}")).status == 404


async def test_what_is_not_published_yet_has_no_index(house: House, log: Log) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())

    placed = await house.caller("shop").get(f"/v1/audit/records/{made.body['id']}/1")

    assert "index" not in placed.body and "proof" not in placed.body


async def test_an_auditor_sees_what_was_sent_and_that_is_recorded(house: House) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())
    place = f"/v1/audit/operations/{made.body['id']}"

    bare = await house.caller("auditor").get(place)
    shown = await house.caller("auditor").get(place, bodies="true", reason="Complaint C-17")

    assert [one["kind"] for one in shown.body["records"]] == ["intent", "outcome", "change"]
    assert "body" not in bare.body["records"][0]
    assert shown.body["records"][0]["body"].startswith("POST /")
    assert shown.body["records"][1]["body"].startswith("HTTP/1.1 200")
    acts = [json.loads(one.leaf) for one in await house.gateway.store.entries() if one.kind == "act"]
    assert [(act["what"], act["reason"]) for act in acts] == [
        (f"read the bodies of {made.body['id']}", "Complaint C-17")
    ]


async def test_bodies_need_a_reason_and_an_auditor(house: House) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())
    place = f"/v1/audit/operations/{made.body['id']}"

    assert (await house.caller("auditor").get(place, bodies="true")).status == 422
    assert (await house.caller("shop").get(place)).status == 403
    assert (await house.caller("operator").get(place)).status == 403


async def evidence(house: House, log: Log, **asked: Any) -> Any:
    async def later() -> None:
        await asyncio.sleep(0.2)
        await log.publish()

    task = asyncio.create_task(later())
    body = {"reason": "Complaint C-17", **asked}
    answer = await house.caller("auditor").send("POST", "/v1/audit/evidence", json=body)
    await task
    return answer


def unpacked(answer: Any) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(answer.body["zip"]))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_evidence_of_an_operation_verifies_and_its_making_is_recorded(house: House, log: Log) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())

    answer = await evidence(house, log, operation=made.body["id"], bodies=True)

    bundle = Bundle(unpacked(answer))
    verify_bundle(bundle, [str(log.key)])
    assert answer.body["records"] == 3
    assert bundle.findings == []
    assert len(bundle.manifest["disclosed"]) == 2
    assert sum(name.endswith(".txt") and name.startswith("bodies/") for name in bundle.files) == 2
    (act,) = [one for one in await house.gateway.store.entries() if one.kind == "act"]
    assert (act.id, act.chain) == (answer.body["record"], act.id)
    assert json.loads(act.leaf)["what"] == f"export {made.body['id']}, with bodies"


async def test_evidence_without_bodies_holds_none_and_is_small(house: House, log: Log) -> None:
    made = await house.caller("shop").act("/v1/payments", payment())

    answer = await evidence(house, log, operation=made.body["id"])

    assert not any(name.startswith("bodies/") for name in unpacked(answer))
    assert len(base64.b64decode(answer.body["zip"])) < 50_000


async def test_evidence_of_a_time_holds_every_entry_of_it(house: House, log: Log) -> None:
    for _ in range(3):
        await house.caller("shop").act("/v1/payments", payment())
    await log.publish()

    answer = await evidence(house, log, **{"from": "2020-01-01T00:00:00Z"}, bodies=True)

    bundle = Bundle(unpacked(answer))
    verify_bundle(bundle, [str(log.key)])
    assert bundle.findings == []
    assert (answer.body["records"], len(bundle.manifest["disclosed"])) == (9, 6)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"operation": "pay_nowhere"}, 404),
        ({"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"}, 404),
        ({}, 422),
        ({"operation": "pay_1", "from": "2020-01-01T00:00:00Z"}, 422),
        ({"operation": "pay_1", "reason": ""}, 422),
    ],
)
async def test_evidence_of_nothing_is_refused(house: House, log: Log, asked: dict[str, str], status: int) -> None:
    await log.publish()

    assert (await evidence(house, log, **asked)).status == status


async def test_evidence_is_for_auditors(house: House, log: Log) -> None:
    for name in ("shop", "operator"):
        body = {"operation": "pay_1", "reason": "curiosity"}
        assert (await house.caller(name).send("POST", "/v1/audit/evidence", json=body)).status == 403
