"""Certificates: whom we believe, what we show, and what a failed handshake says about what was sent."""

from __future__ import annotations

import ssl

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.model.clock import SystemClock
from gateway.model.message import Request
from gateway.model.problems import ConfigurationError
from gateway.wire.observed import Observed
from gateway.wire.transport import TLS, Transport
from tests.wire.partner import Partner, answer
from tests.wire.way import Way, failure, send

SENT, NOT_SENT, SILENCE, UNPROVEN = True, Observed.NOT_SENT, Observed.SILENCE, Observed.UNPROVEN


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    return trustme.CA()


def server(authority: trustme.CA, *, name: str = "127.0.0.1", clients: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        clients.configure_trust(context)
    return context


def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


def client(ca: trustme.CA, trusts: trustme.CA) -> TLS:
    leaf = ca.issue_cert("gateway@lender.example")
    chain = "".join(blob.bytes().decode() for blob in leaf.cert_chain_pems)
    return TLS(pem(trusts), chain, leaf.private_key_pem.bytes().decode())


async def test_the_partners_certificate_leads_to_the_connections_own_authority(way: Way, authority: trustme.CA) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        reply = await send(way.to(partner.host, tls=TLS(pem(authority))), Request.get(partner.url(scheme="https")))

    assert reply.body == b"hello"


@pytest.mark.parametrize("case", ["stranger", "other name", "system roots"])
async def test_a_certificate_that_proves_nothing_was_not_sent(
    way: Way, authority: trustme.CA, stranger: trustme.CA, case: str
) -> None:
    name = "bank.example" if case == "other name" else "127.0.0.1"
    tls = {"stranger": TLS(pem(stranger)), "other name": TLS(pem(authority)), "system roots": None}[case]
    async with Partner(answer(), tls=server(authority, name=name)) as partner:
        request = Request.post(partner.url(scheme="https"), b"{}")

        assert await failure(way.to(partner.host, tls=tls), request) == (False, "tls", NOT_SENT)
        assert partner.arrivals == []


async def test_tls_1_1_was_not_sent(way: Way, authority: trustme.CA) -> None:
    context = server(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with Partner(answer(), tls=context) as partner:
        sent, _, observed = await failure(
            way.to(partner.host, tls=TLS(pem(authority))), Request.get(partner.url(scheme="https"))
        )

    assert (sent, observed) == (False, NOT_SENT)


async def test_our_certificate_is_shown_where_it_is_asked_for(
    way: Way, authority: trustme.CA, stranger: trustme.CA
) -> None:
    async with Partner(answer(b"hello"), tls=server(authority, clients=stranger)) as partner:
        reply = await send(
            way.to(partner.host, tls=client(stranger, authority)), Request.get(partner.url(scheme="https"))
        )

    assert reply.body == b"hello"


@pytest.mark.parametrize(
    ("version", "sent"),
    [
        # Up to TLS 1.2 the server looks at our certificate before the handshake ends.
        (ssl.TLSVersion.TLSv1_2, False),
        # In TLS 1.3 our handshake is over, and the request on its way, before the server refuses.
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
async def test_a_missing_client_certificate_is_told_by_whether_the_headers_had_left(
    way: Way, authority: trustme.CA, version: ssl.TLSVersion, sent: bool
) -> None:
    context = server(authority, clients=authority)
    context.maximum_version = version
    async with Partner(answer(), tls=context) as partner:
        request = Request.post(partner.url(scheme="https"), b"{}")

        headers_sent, _, observed = await failure(way.to(partner.host, tls=TLS(pem(authority))), request)

    assert (headers_sent, observed) == ((True, SILENCE) if sent else (False, NOT_SENT))
    assert partner.arrivals == []


async def test_renewed_certificates_are_used_from_the_next_connection_on(
    way: Way, authority: trustme.CA, stranger: trustme.CA
) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        transport = way.to(partner.host, tls=TLS(pem(stranger)))
        request = Request.get(partner.url(scheme="https"))
        assert (await failure(transport, request))[2] is NOT_SENT

        transport.renew_tls(TLS(pem(authority)))

        assert (await send(transport, request)).body == b"hello"


async def test_certificates_that_cannot_be_used_change_nothing(way: Way, authority: trustme.CA) -> None:
    async with Partner(answer(b"hello"), tls=server(authority)) as partner:
        transport = way.to(partner.host, tls=TLS(pem(authority)))

        with pytest.raises(ConfigurationError, match="riverbank-main: the TLS certificates cannot be used"):
            transport.renew_tls(TLS("no pem"))

        assert (await send(transport, Request.get(partner.url(scheme="https")))).status == 200


def test_a_key_of_another_certificate_is_refused(authority: trustme.CA, stranger: trustme.CA) -> None:
    first, second = client(authority, authority), client(stranger, authority)

    with pytest.raises(ConfigurationError):
        Transport("riverbank-main", ["bank.example"], SystemClock(), tls=TLS(None, first.certificate, second.key))


def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(authority: trustme.CA) -> None:
    pair = client(authority, authority)
    key = load_pem_private_key((pair.key or "").encode(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")).decode()

    with pytest.raises(ConfigurationError):
        TLS(None, pair.certificate, locked).context("riverbank-main")


def test_where_files_in_memory_are_missing_a_private_file_is_used(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.memfd_create")

    assert client(authority, authority).context("riverbank-main").verify_mode is ssl.CERT_REQUIRED


def test_the_key_is_in_no_repr(authority: trustme.CA) -> None:
    assert "PRIVATE" not in repr(client(authority, authority))
