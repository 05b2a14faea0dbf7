"""Erasure in a whole gateway: nobody reads the person any more, and everything else goes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gateway.audit.erasures import Erasures
from gateway.model.money import Money
from gateway.model.payments import NewPayment, NewRefund
from gateway.model.problems import Conflicting, Invalid, NotFound, StorageError
from gateway.model.states import State
from gateway.operations.engine import Call
from gateway.operations.erasing import Erased, Erasing, Person
from gateway.operations.view import public
from gateway.service.config import Configuration
from gateway.service.offline import verify_records
from gateway.service.open import OpenGateway, opened
from gateway.store.interface import OperationChanged
from gateway.store.operation import Operation

ZHANG = Person("shop", "zhang-canary")
NAME = "Zhang Wei Canary"

pytestmark = pytest.mark.usefixtures("riverbank")


async def pay(gateway: OpenGateway, reference: str, subject: str | None = ZHANG.subject) -> Operation:
    body = NewPayment.model_validate(
        {
            "connection": "riverbank",
            "reference": reference,
            "subject": subject,
            "amount": Money.of("10.00", "CNY").model_dump(mode="json"),
            "method": {"type": "wallet_qr"},
            "description": f"First instalment of {NAME}",
            "payer": {"name": NAME, "phone": "+8613800138000"},
        }
    )
    return (await gateway.engine.initiate("payment", body, Call("shop", reference, "POST /v1/payments"))).operation


async def refund(gateway: OpenGateway, payment: Operation) -> Operation:
    body = NewRefund.model_validate(
        {
            "connection": "riverbank",
            "reference": f"R-{payment.reference}",
            "amount": Money.of("1.00", "CNY").model_dump(mode="json"),
        }
    )
    call = Call("shop", f"R-{payment.reference}", "POST /v1/payments/{id}/refunds")
    return (await gateway.engine.initiate("refund", body, call, parent=payment.id)).operation


def erasing(gateway: OpenGateway) -> Erasing:
    assert gateway.erasing is not None
    return gateway.erasing


async def erase(gateway: OpenGateway, person: Person = ZHANG) -> Erased:
    return await erasing(gateway).erase(person, "Request E-17", "operator/1")


def resting(configuration: Configuration) -> bytes:
    """All bytes of the store and of the keys."""
    folder = configuration.database.parent
    return b"".join(path.read_bytes() for path in folder.glob("*.db*"))


async def test_nobody_reads_an_erased_person_and_the_rest_stays(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid, other = await pay(gateway, "P-1"), await pay(gateway, "P-2", "li")

        done = await erase(gateway)

        now = await gateway.store.operation(paid.id)
        bodies = await gateway.auditing.bodies(paid.id, "auditor/1", "complaint")
        kept = await gateway.auditing.bodies(other.id, "auditor/1", "complaint")
        assert now is not None
        assert (done.operations, done.keys, done.left) == (1, 1, 0)
        assert (now.state, now.amount, now.erased) == (paid.state, paid.amount, True)
        assert {one.unavailable for one in bodies.values()} == {"its key was destroyed, or is not held here"}
        assert {one.unavailable for one in kept.values()} == {None}
        assert (await gateway.store.operation(other.id)) == other


async def test_the_records_verify_after_an_erasure(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")
        before = verify_records(configuration)
        await erase(gateway)

    after = verify_records(configuration)

    assert (before.passed, before.unopened) == (True, 0)
    assert (after.passed, after.unopened) == (True, 2)  # the request and the reply


async def test_an_erasure_is_on_record_without_a_name(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        await pay(gateway, "P-1")

        done = await erase(gateway)

        leaf = next(one.leaf for one in await gateway.store.entries() if one.id == done.record)
        said = json.loads(leaf)
        assert gateway.vault is not None
        assert (said["what"], said["actor"], said["reason"]) == ("erase", "operator/1", "Request E-17")
        assert said["subject"] == gateway.vault.tag("shop", ZHANG.subject)
        assert ZHANG.subject.encode() not in leaf


async def test_what_follows_an_operation_is_erased_with_it(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1", None)
        given_back = await refund(gateway, paid)

        done = await erase(gateway, Person("shop", paid.id))

        now = await gateway.store.operation(given_back.id)
        assert now is not None
        assert (done.operations, done.keys, now.erased) == (2, 2, True)


async def test_an_erased_payment_can_be_refunded(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        await erase(gateway)

        given_back = await refund(gateway, paid)

        assert given_back.state.value == "succeeded"


async def test_a_person_who_comes_back_is_known_anew(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        old = await pay(gateway, "P-1")
        await erase(gateway)

        new = await pay(gateway, "P-2")

        old_now, new_now = await gateway.store.operation(old.id), await gateway.store.operation(new.id)
        assert old_now is not None
        assert old_now.erased
        assert new_now == new


async def test_nothing_is_erased_under_legal_hold(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        await erasing(gateway).hold(ZHANG, "Court order 12", "operator/1")

        with pytest.raises(Conflicting, match="legal hold"):
            await erase(gateway)
        kept = await gateway.store.operation(paid.id)
        await erasing(gateway).release(ZHANG, "Court order 12 ended", "operator/1")
        done = await erase(gateway)

        acts = [json.loads(one.leaf) for one in await gateway.store.entries() if one.kind == "act"]
        assert kept == paid
        assert done.keys == 1
        assert [act["what"] for act in acts] == ["legal hold", "release from legal hold", "erase"]
        with pytest.raises(Conflicting, match="not under legal hold"):
            await erasing(gateway).release(ZHANG, "once more", "operator/1")


async def test_nothing_is_erased_while_an_operation_is_open(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        doubtful = paid.changed(paid.updated_at, state=State.UNKNOWN)
        await gateway.store.commit([OperationChanged(doubtful)])

        with pytest.raises(Conflicting, match="have not ended") as refused:
            await erase(gateway)

        assert refused.value.members == {"operations": [paid.id]}
        assert (await gateway.store.operation(paid.id)) == doubtful


async def test_an_unknown_person_and_a_missing_reason_are_refused(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")

        with pytest.raises(NotFound):
            await erase(gateway, Person("shop", "nobody"))
        with pytest.raises(NotFound):
            await erase(gateway, Person("mall", ZHANG.subject))
        with pytest.raises(Invalid, match="erase the subject"):
            await erase(gateway, Person("shop", paid.id))
        with pytest.raises(Invalid, match="say why"):
            await erasing(gateway).erase(ZHANG, " ", "operator/1")


async def test_a_restored_key_store_brings_nothing_back(configuration: Configuration, tmp_path: Path) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
    shutil.copy(configuration.subject_keys, tmp_path / "copy")
    async with opened(configuration) as gateway:
        await erase(gateway)
    shutil.copy(tmp_path / "copy", configuration.subject_keys)

    async with opened(configuration) as gateway:
        now = await gateway.store.operation(paid.id)
        said = [json.loads(one.leaf) for one in await gateway.store.entries()]

    assert now is not None
    assert now.erased
    assert [leaf["detail"] for leaf in said if leaf.get("what") == "erasures replayed"] == [{"keys": 1}]


async def test_an_erasure_that_broke_off_is_finished_at_the_next_start(
    configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        assert gateway.vault is not None
        monkeypatch.setattr(gateway.vault, "destroy", _dies)
        with pytest.raises(StorageError):
            await erase(gateway)
        monkeypatch.undo()
        untouched = await gateway.store.operation(paid.id)

    async with opened(configuration) as gateway:
        now = await gateway.store.operation(paid.id)

    assert untouched == paid
    assert now is not None
    assert now.erased


async def test_what_cannot_be_remembered_is_not_erased(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        erasures = Erasures(configuration.erasures / "missing" / "file")
        assert gateway.vault is not None
        one = Erasing(gateway.store, gateway.vault, erasures, gateway.journal, gateway.clock)

        with pytest.raises(StorageError, match="nothing was erased"):
            await one.erase(ZHANG, "Request E-17", "operator/1")

        assert (await gateway.store.operation(paid.id)) == paid


async def test_a_person_stands_nowhere_in_clear_and_an_erased_one_leaves_no_digest(
    configuration: Configuration,
) -> None:
    async with opened(configuration) as gateway:
        paid = await pay(gateway, "P-1")
        digests = [one.digest for one in await gateway.store.chain(paid.id) if one.digest]
        shown = json.dumps(public(paid))
        await erase(gateway)
        after = [one.digest for one in await gateway.store.chain(paid.id)]

    rested = resting(configuration)
    assert ZHANG.subject in shown
    assert digests
    assert set(after) == {None}
    assert not any(secret.encode() in rested for secret in (NAME, ZHANG.subject, "+8613800138000"))


async def _dies(ids: object) -> int:
    raise StorageError("the power went")
