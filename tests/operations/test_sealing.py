"""What could tell about a person rests sealed, and is read as it was; on both stores."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.audit.vault import Vault
from gateway.crypto.seal import Sealer
from gateway.model.facts import NextAction
from gateway.model.money import Money
from gateway.operations.sealing import sealed_store
from gateway.store.interface import EventStaged, OperationChanged, OperationOpened, Store
from gateway.store.operation import Operation, Reason
from gateway.store.postgres import PostgresStore
from gateway.store.postgres_subject_keys import PostgresSubjectKeys
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_subject_keys import SQLiteSubjectKeys
from gateway.testing.clock import ManualClock
from tests.store.postgres_server import PostgresServer
from tests.store.rows import NOW, an_operation

NAME, PHONE = "Zhang Wei Canary", "+8613800138000"


@dataclass
class House:
    """A store behind the seal, and the same store as it is."""

    store: Store
    bare: Store
    vault: Vault


@pytest.fixture(params=["sqlite", "postgres"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    server = None
    if request.param == "sqlite":
        bare: Store = await SQLiteStore.open(tmp_path / "lendgate.db", ManualClock())
        vault = _vault(SQLiteSubjectKeys.open(tmp_path / "subject-keys.db"))
    else:
        server = PostgresServer()
        dsn = await server.schema()
        bare = await PostgresStore.open(dsn, ManualClock())
        vault = _vault(await PostgresSubjectKeys.open(dsn))
    yield House(sealed_store(bare, vault), bare, vault)
    await vault.close()
    await bare.close()
    if server is not None:
        server.stop()


def _vault(keys: SQLiteSubjectKeys | PostgresSubjectKeys) -> Vault:
    return Vault(keys, Sealer(b"k" * 32), Sealer(b"s" * 32), b"t" * 32)


def a_personal_operation(**fields: object) -> Operation:
    told = {
        "amount": Money(amount=Decimal("12.00"), currency="CNY"),
        "subject": "zhang-canary",
        "body": {"payer": {"name": NAME, "phone": PHONE}},
        "metadata": {"note": NAME},
        "result": {"buyer": PHONE},
        "reason": Reason(code="declined", detail=NAME, partner_code="NO_MONEY", partner_message=f"{NAME} has none"),
        "next_action": NextAction(kind="redirect", url=f"https://bank.example/?name={NAME}"),
        "memory": {"name": "Order", "value": {"login": PHONE}},
        "handoff": {"state": "s", "code_verifier": "verifier-canary"},
    }
    return an_operation(**{**told, **fields})


def an_event_of(operation: Operation, id_: str = "evt_1") -> EventStaged:
    data: dict[str, object] = {
        "id": operation.id,
        "state": "failed",
        "subject": "zhang-canary",
        "metadata": {"note": NAME},
    }
    data["reason"] = {"code": "declined", "partner_message": NAME}
    document = json.dumps({"type": "payment.failed", "sequence": 1, "previous_state": "processing", "data": data})
    return EventStaged(id_, operation.client, operation.id, "payment.failed", NOW, document)


async def test_an_operation_is_read_as_it_was_written(house: House) -> None:
    operation = a_personal_operation()
    await house.store.commit([OperationOpened(operation)])

    one = await house.store.operation(operation.id)
    by_reference = await house.store.operation_by_reference("shop", "payment", operation.reference)
    (listed,) = await house.store.operations(client="shop")

    assert one == by_reference == listed == operation


async def test_what_rests_shows_nobody(house: House) -> None:
    operation = a_personal_operation()
    await house.store.commit([OperationOpened(operation)])
    await house.store.commit([OperationChanged(operation.changed(NOW)), an_event_of(operation)])

    stored = await house.bare.operation(operation.id)
    (event,) = await house.bare.events("shop")

    assert stored is not None
    for text in (stored.model_dump_json(), event.document):
        assert not any(secret in text for secret in (NAME, PHONE, "zhang-canary", "verifier-canary"))
    assert (stored.amount, stored.reason) == (operation.amount, Reason(code="declined", partner_code="NO_MONEY"))


async def test_an_event_is_told_as_it_was_staged(house: House) -> None:
    operation = a_personal_operation()
    staged = an_event_of(operation)
    await house.store.commit([OperationOpened(operation), staged])

    (event,) = await house.store.events("shop")

    assert json.loads(event.document) == json.loads(staged.document)


async def test_an_operation_from_before_there_were_keys_is_read_as_it_is(house: House) -> None:
    operation = a_personal_operation()
    await house.bare.commit([OperationOpened(operation), an_event_of(operation)])

    read = await house.store.operation(operation.id)
    (event,) = await house.store.events("shop")

    assert read == operation
    assert NAME in event.document


async def test_a_person_is_found_by_a_tag(house: House) -> None:
    mine, other = a_personal_operation(), a_personal_operation(subject="li")
    nobody = a_personal_operation(subject=None)
    await house.store.commit([OperationOpened(mine), OperationOpened(other), OperationOpened(nobody)])

    found = await house.bare.operations_about("shop", house.vault.tag("shop", "zhang-canary"))

    assert found == [mine.id]


async def test_an_erased_operation_keeps_its_states_and_amounts(house: House) -> None:
    operation = a_personal_operation()
    await house.store.commit([OperationOpened(operation), an_event_of(operation)])

    await house.vault.destroy([await house.vault.forget_name(house.vault.tag("shop", "zhang-canary")) or ""])

    erased = await house.store.operation(operation.id)
    (event,) = await house.store.events("shop")
    data = json.loads(event.document)["data"]
    assert erased is not None
    assert erased.erased
    assert (erased.state, erased.amount, erased.reference) == (operation.state, operation.amount, operation.reference)
    assert (erased.body, erased.subject, erased.next_action, erased.memory) == ({}, None, None, None)
    assert data == {"id": operation.id, "state": "failed", "reason": {"code": "declined"}, "erased": True}


async def test_news_of_an_erased_operation_is_kept_and_it_stays_erased(house: House) -> None:
    operation = a_personal_operation()
    await house.store.commit([OperationOpened(operation)])
    await house.vault.destroy([await house.vault.forget_name(house.vault.tag("shop", "zhang-canary")) or ""])
    erased = await house.store.operation(operation.id)
    assert erased is not None

    await house.store.commit([OperationChanged(erased.changed(NOW, result={"fee": "1.00"}))])

    later = await house.store.operation(operation.id)
    assert later is not None
    assert (later.erased, later.result, later.body) == (True, {"fee": "1.00"}, {})


async def test_an_operations_records_go_on_with_its_key_after_a_restart(house: House) -> None:
    operation = a_personal_operation(subject=None)
    await house.store.commit([OperationOpened(operation)])
    before = house.vault.seal(operation.id, os.urandom(8), b"")
    restarted = Vault(house.vault.keys, Sealer(b"k" * 32), Sealer(b"s" * 32), b"t" * 32)

    await sealed_store(house.bare, restarted).operation(operation.id)

    assert restarted.seal(operation.id, b"", b"")[:9] == before[:9]
