"""Secrets of endpoints are renewed with an overlap and stand nowhere in clear; who is gone is told nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from gateway.operations.notifications import SCHEDULE, Notifier
from tests.operations.lending_platform import Office, Platform, office

NOW, SOON, DAY = timedelta(0), timedelta(seconds=5), timedelta(hours=24)


async def test_after_a_renewal_both_secrets_sign_for_a_day(lender: Office, platform: Platform) -> None:
    old = await lender.add(platform.url)
    new = await lender.endpoints.renew_secret(old.endpoint, "shop/key", immediately=False)

    await lender.happens(await lender.operation())
    await lender.notifier.round()
    await lender.happens(await lender.operation())
    await lender.later(DAY)

    during, after = platform.got
    assert during.signed_by(old.secret) and during.signed_by(new.secret)
    assert after.signed_by(new.secret) and not after.signed_by(old.secret)


async def test_a_secret_that_was_lost_to_somebody_stops_at_once(lender: Office, platform: Platform) -> None:
    old = await lender.add(platform.url)
    new = await lender.endpoints.renew_secret(old.endpoint, "shop/key", immediately=True)

    await lender.happens(await lender.operation())
    await lender.notifier.round()

    assert platform.got[0].signed_by(new.secret) and not platform.got[0].signed_by(old.secret)


async def test_renewing_often_keeps_the_newest_three(lender: Office, platform: Platform) -> None:
    secrets = [await lender.add(platform.url)]
    for _ in range(4):
        secrets.append(await lender.endpoints.renew_secret(secrets[-1].endpoint, "shop/key", immediately=False))

    await lender.happens(await lender.operation())
    await lender.notifier.round()

    assert [platform.got[0].signed_by(one.secret) for one in secrets] == [False, False, True, True, True]


async def test_no_secret_stands_in_clear_in_store_or_records(
    tmp_path: Path, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    async with office(tmp_path) as lender:
        added = await lender.add(platform.url)
        await lender.happens(await lender.operation())
        await lender.notifier.round()

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert added.secret.removeprefix("whsec_").encode() not in stored
    assert added.secret not in caplog.text


async def test_an_endpoint_that_says_it_is_gone_is_told_nothing_until_it_was_tested(
    lender: Office, platform: Platform
) -> None:
    platform.answer = lambda got: 410
    endpoint = (await lender.add(platform.url)).endpoint
    first, second = [(await lender.happens(await lender.operation()))[0] for _ in range(2)]
    await lender.notifier.round()
    (third,) = await lender.happens(await lender.operation())
    assert await lender.later(DAY) == 0
    platform.got.clear()
    platform.answer = lambda got: 200

    standing = await lender.endpoints.find(endpoint.id, "shop")
    sent = await lender.endpoints.test(standing, "shop/key")
    await lender.notifier.round()

    assert (standing.active, sent.delivered) == (False, True)
    assert platform.got[0].event["type"] == "webhook.test"
    assert set(platform.ids[1:]) == {first, second, third}
    assert f"gateway: disable {endpoint.id}" in await lender.acts()


async def test_an_endpoint_that_was_removed_gets_nothing(lender: Office, platform: Platform) -> None:
    endpoint = (await lender.add(platform.url)).endpoint
    await lender.happens(await lender.operation())
    await lender.endpoints.remove(endpoint, "shop/key")

    await lender.notifier.round()

    assert platform.got == []


def test_a_worker_is_made_for_the_published_schedule() -> None:
    assert Notifier.__init__.__kwdefaults__ is not None
    assert Notifier.__init__.__kwdefaults__["pauses"] is SCHEDULE
