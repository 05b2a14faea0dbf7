"""An open gateway tells platforms by itself, and goes on where it stood when it ended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError, Invalid
from gateway.service.config import Configuration
from gateway.service.load import parse
from gateway.service.open import OpenGateway, opened
from gateway.store.interface import EventStaged, OperationOpened
from tests.house import until
from tests.operations.lending_platform import listening
from tests.store.rows import an_operation

ENVIRONMENT = {"INSTALLATION": "5e" * 32, "SHOP_KEY": "lg_sandbox_" + "k" * 43}


def configured(folder: Path, more: str = "") -> Configuration:
    text = f"""\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
[clients.shop]
role = "platform"
key = "env:SHOP_KEY"
{more}
"""
    return parse(text, folder, environment=ENVIRONMENT)


async def happens(gateway: OpenGateway) -> str:
    operation, id_ = an_operation(), gateway.ids.new("evt")
    event = EventStaged(id_, "shop", operation.id, "payment.succeeded", gateway.clock.now(), json.dumps({"data": {}}))
    await gateway.store.commit([OperationOpened(operation, in_flight=False), event])
    return id_


async def test_what_happens_is_told_and_after_a_restart_still(tmp_path: Path) -> None:
    async with listening() as platform:
        async with opened(configured(tmp_path)) as gateway:
            added = await gateway.endpoints.add("shop", "shop/key", platform.url, ())
            first = await happens(gateway)
            await until(lambda: platform.ids == [first])
        async with opened(configured(tmp_path)) as gateway:
            second = await happens(gateway)
            await until(lambda: platform.ids == [first, second])

    assert all(got.signed_by(added.secret) for got in platform.got)


async def test_the_operator_allows_private_hosts_by_name(tmp_path: Path) -> None:
    section = '[webhooks]\nprivate_hosts = ["platform.internal", "10.0.0.5:8443"]'

    async with opened(configured(tmp_path, section)) as gateway:
        await gateway.endpoints.add("shop", "shop/key", "https://10.0.0.5:8443/hook", ())
        with pytest.raises(Invalid):
            await gateway.endpoints.add("shop", "shop/key", "https://10.0.0.5/hook", ())


async def test_a_certificate_that_is_none_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"webhooks\.ca"):
        async with opened(configured(tmp_path, '[webhooks]\nca = "no PEM"')):
            pass
