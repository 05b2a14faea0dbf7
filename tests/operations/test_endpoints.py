"""Where platforms may be told, and what is done about an endpoint: on record, and each for its own client alone."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from gateway.model.problems import Conflicting, Invalid, NotFound
from gateway.operations.endpoint_places import Places
from gateway.operations.endpoints import ENDPOINTS_AT_MOST, EVENT_TYPES
from tests.operations.lending_platform import Office, listening, office
from tests.wire.partner import Partner, answer

PRODUCTION, SANDBOX = Places(sandbox=False), Places(sandbox=True)

NEAR = """
127.0.0.1 127.1 127.0.1 0127.0.0.1 0x7f.0.0.1 0x7f000001 2130706433 017700000001 0 0.0.0.0 localhost LOCALHOST
[::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1] [2002:7f00:1::]
10.0.0.1 10.1 167772161 172.16.0.1 172.31.255.255 192.168.0.1 192.168.1 169.254.169.254 2852039166 0xa9fea9fe
169.254.170.2 100.100.100.200 100.64.0.1 192.0.0.192 198.18.0.1 224.0.0.1 255.255.255.255 240.0.0.1
[fe80::1] [fe80::1%25eth0] [fc00::1] [fd00:ec2::254] [ff02::1] [::ffff:10.0.0.1] [::ffff:169.254.169.254]
[64:ff9b::a9fe:a9fe] [2001:0:7f00:1::] 127.0.0.1. 10.0.0.1. 127.0.0.0x1
""".split()
ODD = """
http://shop.example/ ftp://shop.example/ file:///etc/passwd gopher://shop.example/ //shop.example/ shop.example
https:shop.example https:///hook https://:443/hook https://user@shop.example/ https://user:pass@shop.example/
https://shop.example@127.0.0.1/ https://127.0.0.1#@shop.example/ https://shop.example/#x https://shop.example/hook?
https://shop.example:0/ https://shop.example:99999/ https://shop.example:port/ https://[::1/ https://ｓhop.example/
https://①②⑦.0.0.1/ https://127。0。0。1/ javascript:alert(1) data:text/plain,x
""".split()


@pytest.mark.parametrize("host", NEAR)
def test_in_production_no_address_near_us_is_taken(host: str) -> None:
    with pytest.raises(Invalid) as refused:
        PRODUCTION.check(f"https://{host}/hook")

    assert [field.path for field in refused.value.fields] == ["url"]


@pytest.mark.parametrize(
    "url", [*ODD, "https://shop.example/a b", "https://shop.example/\r\nX: 1", "", "https://" * 400]
)
def test_an_odd_url_is_refused_with_the_reason(url: str) -> None:
    for places in (PRODUCTION, SANDBOX):
        with pytest.raises(Invalid):
            places.check(url)


@pytest.mark.parametrize(
    "url", ["https://shop.example/hook?tenant=1", "https://SHOP.example:8443", "https://1.1.1.1/x"]
)
def test_a_public_https_address_is_taken(url: str) -> None:
    PRODUCTION.check(url)
    SANDBOX.check(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost/hook", "https://[::1]:9000/"])
def test_a_sandbox_may_call_this_machine_and_production_may_not(url: str) -> None:
    SANDBOX.check(url)

    with pytest.raises(Invalid):
        PRODUCTION.check(url)


@pytest.mark.parametrize("url", ["https://10.0.0.5/hook", "https://169.254.169.254/latest", "http://10.0.0.5/hook"])
def test_a_sandbox_may_not_call_what_is_near_it(url: str) -> None:
    with pytest.raises(Invalid):
        SANDBOX.check(url)


def test_the_operator_may_allow_a_private_host_but_not_in_the_clear() -> None:
    places = Places(sandbox=False, private_hosts=["10.0.0.5:8443", "platform.internal"])

    places.check("https://10.0.0.5:8443/hook")
    places.check("https://platform.internal/hook")
    for url in ("http://10.0.0.5:8443/hook", "https://10.0.0.5/hook", "https://10.0.0.6:8443/hook"):
        with pytest.raises(Invalid):
            places.check(url)


async def test_a_name_that_turns_out_to_be_near_us_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers(host: str, port: int, **how: Any) -> list[Any]:
        return [(2, 1, 6, "", (address, port)) for address in ("127.0.0.1", "10.0.0.1")]

    async with Partner(answer()) as partner, office(tmp_path, places=PRODUCTION) as lender:
        endpoint = (await lender.add(f"https://shop.example:{partner.port}/hook")).endpoint
        (event,) = await lender.happens(await lender.operation())
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", answers)

        await lender.notifier.round()

        delivery = await lender.delivery(endpoint, event)
        assert (partner.connections, delivery.state, delivery.attempts) == (0, "pending", 1)
        assert delivery.detail is not None and "may be called" in delivery.detail


async def test_a_private_host_is_proven_by_the_operators_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with Partner(answer(), tls=context) as partner:
        places = Places(
            sandbox=False,
            private_hosts=[f"localhost:{partner.port}"],
            ca=authority.cert_pem.bytes().decode(),
        )
        async with office(tmp_path, places=places) as lender:
            endpoint = (await lender.add(f"https://localhost:{partner.port}/hook")).endpoint
            (event,) = await lender.happens(await lender.operation())

            await lender.notifier.round()

            assert (await lender.delivery(endpoint, event)).state == "delivered"


async def test_patterns_that_match_nothing_are_all_named(lender: Office) -> None:
    with pytest.raises(Invalid) as refused:
        await lender.add("http://127.0.0.1:9/hook", "payment.succeeded", "payment.payed", "mandate.*")

    assert [field.path for field in refused.value.fields] == ["kinds.1", "kinds.2"]
    assert "partner.drift" in EVENT_TYPES


async def test_an_address_is_added_once_and_the_refusal_names_the_endpoint(lender: Office) -> None:
    first = await lender.add("http://127.0.0.1:9/hook")
    await lender.add("http://127.0.0.1:9/hook", client="other")

    with pytest.raises(Conflicting) as refused:
        await lender.add("http://127.0.0.1:9/hook")

    assert refused.value.members == {"endpoint": first.endpoint.id}


async def test_a_client_has_a_bounded_number_of_endpoints(lender: Office) -> None:
    for number in range(ENDPOINTS_AT_MOST):
        await lender.add(f"http://127.0.0.1:9/{number}")

    with pytest.raises(Conflicting):
        await lender.add("http://127.0.0.1:9/one-more")


async def test_a_client_finds_only_its_own(lender: Office) -> None:
    endpoint = (await lender.add("http://127.0.0.1:9/hook")).endpoint

    assert (await lender.endpoints.find(endpoint.id, None)).id == endpoint.id
    with pytest.raises(NotFound):
        await lender.endpoints.find(endpoint.id, "other")


async def test_a_test_says_what_came_back_and_tells_nothing_of_it_to_the_feed(lender: Office) -> None:
    async with listening(lambda got: 418) as platform:
        added = await lender.add(platform.url)

        sent = await lender.endpoints.test(added.endpoint, "shop/key")

        assert (sent.delivered, sent.status, sent.detail) == (False, 418, "answered 418")
        assert platform.got[0].signed_by(added.secret)
        assert platform.got[0].event["id"] == platform.got[0].id
        assert await lender.store.events("shop") == []
        assert [record["kind"] for record in await lender.records(platform.got[0].id)] == ["intent", "outcome"]


async def test_two_renewals_at_once_leave_one_secret_that_is_known(lender: Office) -> None:
    endpoint = (await lender.add("http://127.0.0.1:9/hook")).endpoint

    results = await asyncio.gather(
        *(lender.endpoints.renew_secret(endpoint, "shop/key", immediately=True) for _ in range(3)),
        return_exceptions=True,
    )

    assert [isinstance(one, Conflicting) for one in results].count(True) == 2


async def test_a_redelivery_of_what_was_never_due_is_refused(lender: Office) -> None:
    endpoint = (await lender.add("http://127.0.0.1:9/hook")).endpoint

    with pytest.raises(NotFound):
        await lender.endpoints.redeliver(endpoint, "evt_1", "operator/1")


async def test_every_act_is_on_record_with_whoever_did_it(lender: Office) -> None:
    async with listening() as platform:
        endpoint = (await lender.add(platform.url)).endpoint
        renewed = (await lender.endpoints.renew_secret(endpoint, "shop/key", immediately=False)).endpoint
        await lender.endpoints.test(renewed, "operator/1")
        await lender.endpoints.remove(renewed, "shop/key")

    assert await lender.acts() == [
        f"shop/key: add {endpoint.id}",
        f"shop/key: renew the secret of {endpoint.id}",
        f"operator/1: test {endpoint.id}",
        f"shop/key: remove {endpoint.id}",
    ]
