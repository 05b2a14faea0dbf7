"""A gateway opens from its configuration, works, says what it is, and closes without losing anything."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.audit.verify import verify_store
from gateway.model.money import Money
from gateway.model.payments import NewPayment
from gateway.model.problems import ConfigurationError, Invalid
from gateway.model.states import State
from gateway.operations.engine import Call
from gateway.sandbox import Running
from gateway.service.config import Configuration
from gateway.service.load import parse
from gateway.service.offline import intents, verify_records
from gateway.service.open import close, open_gateway, opened
from tests.riverbank_simulator import RiverbankSimulator
from tests.service.installed import RIVERBANK, installed
from tests.service.restored_house import ENVIRONMENT, configured


@pytest.fixture(autouse=True)
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "site").mkdir()
    sunken = "raise RuntimeError('the boat has a hole')"
    with installed(tmp_path / "site", monkeypatch, riverbank=RIVERBANK, sunken=sunken):
        yield


@pytest.fixture
def configuration(tmp_path: Path, bank: Running[RiverbankSimulator]) -> Configuration:
    sunken = f'[connections.sunken]\npartner = "sunken"\nhosts = ["{bank.onboarding.hosts[0]}"]'
    return configured(tmp_path, bank, more=sunken)


def payment(reference: str, connection: str = "riverbank") -> NewPayment:
    return NewPayment.model_validate(
        {
            "connection": connection,
            "reference": reference,
            "amount": Money.of("10.00", "CNY").model_dump(mode="json"),
            "method": {"type": "wallet_qr"},
            "description": "First instalment",
        }
    )


def call(key: str) -> Call:
    return Call("shop", key, "POST /v1/payments")


async def test_a_payment_goes_through(configuration: Configuration, bank: Running[RiverbankSimulator]) -> None:
    async with opened(configuration) as gateway:
        answered = await gateway.engine.initiate("payment", payment("P-1"), call("k1"))

    assert answered.operation.state is State.SUCCEEDED
    assert [effect.key for effect in bank.simulator.ledger.effects] == [answered.operation.partner_key]


async def test_a_plugin_that_does_not_load_stops_only_its_connection(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        assert {connection.name for connection in gateway.connections} == {"riverbank"}
        assert gateway.registry.broken("sunken") == "RuntimeError: the boat has a hole"
        with pytest.raises(Invalid, match=r"'sunken' is not working.*the boat has a hole; those that work: riverbank"):
            await gateway.engine.initiate("payment", payment("P-1", "sunken"), call("k1"))


async def test_clients_are_known_by_the_hash_of_their_key(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        (client,) = gateway.clients.values()

    assert (client.name, client.role) == ("shop", "platform")
    assert set(gateway.clients) == set(configuration.clients["shop"].hashes())


async def test_start_and_stop_are_on_record_with_what_ran(configuration: Configuration) -> None:
    async with opened(configuration):
        pass
    async with opened(configuration) as gateway:
        leaves = [json.loads(entry.leaf) for entry in await gateway.store.entries()]

    assert [leaf["what"] for leaf in leaves] == ["start", "stop", "start"]
    assert leaves[0]["detail"]["plugins"] == {
        "riverbank": "lendgate-riverbank 1.0",
        "sunken": "lendgate-sunken 1.0 (broken)",
    }
    assert leaves[0]["detail"]["configuration"] == configuration.places.digest
    assert leaves[0]["process"] != leaves[2]["process"]


async def test_the_same_reference_means_the_same_key_after_the_database_is_lost(
    configuration: Configuration, bank: Running[RiverbankSimulator], tmp_path: Path
) -> None:
    async with opened(configuration) as gateway:
        first = await gateway.engine.initiate("payment", payment("P-1"), call("k1"))
    for path in tmp_path.glob("lendgate.db*"):
        path.unlink()
    shutil.rmtree(configuration.log_directory)

    async with opened(configuration) as gateway:
        again = await gateway.engine.initiate("payment", payment("P-1"), call("k2"))

    assert again.operation.partner_key == first.operation.partner_key
    assert len(bank.simulator.ledger.effects) == 1


async def test_what_was_written_verifies_with_keys_and_offline(configuration: Configuration) -> None:
    async with opened(configuration) as gateway:
        await gateway.engine.initiate("payment", payment("P-1"), call("k1"))
        assert gateway.vault is not None
        online = await verify_store(gateway.store, gateway.vault.open)
        # Also while the gateway has the file open.
        offline = verify_records(configuration)
        listed = list(intents(configuration))

    assert online.passed and offline.passed
    assert offline.records == online.records
    assert offline.unopened == 0
    assert [(one["verb"], one["observed"]) for one in listed] == [("create_payment", "genuine")]


async def test_only_one_gateway_opens_a_database_and_the_other_leaves_nothing_open(
    configuration: Configuration,
) -> None:
    first = await open_gateway(configuration)

    with pytest.raises(ConfigurationError, match="is open in another process"):
        await open_gateway(configuration)

    assert (await first.store.operations()) == []
    await close(first)
    async with opened(configuration):
        pass


async def test_a_folder_that_does_not_exist_is_named(configuration: Configuration, tmp_path: Path) -> None:
    text = '[gateway]\nmode = "sandbox"\ninstallation_secret = "env:INSTALLATION"\ndatabase = "nowhere/lendgate.db"\n'

    with pytest.raises(ConfigurationError, match=r"lendgate.toml:4: gateway.database: the folder .*/nowhere does not"):
        await open_gateway(parse(text, tmp_path, environment=ENVIRONMENT))


async def test_closing_twice_does_no_harm(configuration: Configuration) -> None:
    gateway = await open_gateway(configuration)

    await close(gateway)
    await close(gateway)


async def test_doubt_outlives_a_restart_and_is_settled_by_the_next_process(
    configuration: Configuration, bank: Running[RiverbankSimulator]
) -> None:
    gateway = await open_gateway(configuration)
    await gateway.workers.stop(10)
    bank.simulator.faults.arm("close_after", "*", times=10)
    answered = await gateway.engine.initiate("payment", payment("P-1"), call("k1"))
    bank.simulator.faults.clear()
    assert answered.operation.state is State.UNKNOWN
    await close(gateway)

    async with opened(configuration) as gateway:
        await gateway.inquirer.inquire(answered.operation)
        settled = await gateway.store.operation(answered.operation.id)

    assert settled is not None
    assert settled.state is State.SUCCEEDED
    assert len(bank.simulator.ledger.effects) == 1
