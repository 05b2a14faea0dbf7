"""One attempt: signed anew, proven or not, recorded however it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.model.message import Keys, Reply, Request, Scheme, Secret, Stamp
from gateway.model.problems import NoAnswer, NotProven, OutcomeUnknown, UnknownKey
from gateway.model.states import Meaning
from gateway.model.terms import Proof
from gateway.wire.observed import Observed
from gateway.wire.retry import Repeat
from gateway.wire.transport import digest
from tests.riverbank import BodyHMAC, signature
from tests.wire.partner import Partner, answer, close, silence
from tests.wire.rig import SECRETS, Rig, names, said

KEYED = Repeat.KEYED


# Schemes, codes and keys


class Stamped(BodyHMAC):
    """Signs as Riverbank does and shows its stamp."""

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return super().sign(request, keys, stamp).with_header("X-Nonce", stamp.nonce)


async def test_each_attempt_is_signed_anew(tmp_path: Path) -> None:
    async with Partner(close, said("PAID")) as partner, Rig(tmp_path, partner, Stamped()) as rig:
        await rig.channel.send(rig.act(), rig.exchange(KEYED))

    first, second = (arrival.header("X-Nonce") for arrival in partner.arrivals)
    assert first != second
    assert partner.arrivals[0].header("X-Signature") == signature(b'{"cents":100}')


class Enveloped(Scheme):
    """Wraps what it sends and unwraps what it proves."""

    name = "enveloped"

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        return request.with_body(b"[" + request.body + b"]")

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if not reply.body.startswith(b"["):
            raise NotProven("no envelope")
        assert request.body.startswith(b"[")
        return reply.body[1:-1]


async def test_an_adapter_sees_exactly_what_was_proven(tmp_path: Path) -> None:
    async with Partner(answer(b'[{"code": "PAID"}]')) as partner, Rig(tmp_path, partner, Enveloped()) as rig:
        exchange = rig.exchange()

        reply = await rig.channel.send(rig.act(), exchange)

        assert (reply.body, exchange.attempts[0].code) == (b'{"code": "PAID"}', "PAID")
        assert partner.arrivals[0].body == b'[{"cents":100}]'
        await exchange.work.commit()
        intent, outcome = await rig.store.chain("op_1")
        assert intent.content == hashlib.sha256(b'{"cents":100}').hexdigest()
        assert rig.exact(intent).endswith(b'\r\n\r\n[{"cents":100}]')
        assert rig.exact(outcome).endswith(b'\r\n\r\n[{"code": "PAID"}]')


async def test_a_request_may_name_another_scheme(tmp_path: Path) -> None:
    async with Partner(answer(b'[{"code": "PAID"}]')) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act()
        asked.request = replace(asked.request, scheme=Enveloped())

        assert (await rig.channel.send(asked, rig.exchange())).json() == {"code": "PAID"}


class Keyed(BodyHMAC):
    """Verifies as Riverbank does once its key is held."""

    def __init__(self) -> None:
        self.held = False

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        if not self.held:
            raise UnknownKey("key-2")
        return super().verify(reply, request, keys)


@pytest.mark.parametrize(
    ("learnt", "body", "verdict"),
    [
        (True, b'{"code": "PAID"}', "proven"),
        (True, b'{"code": "DECLINED"}', "bad"),  # the signature is of another body
        (False, b'{"code": "PAID"}', "unknown_key"),
        (None, b'{"code": "PAID"}', "unknown_key"),
    ],
)
async def test_an_unknown_key_is_learnt_once_and_the_same_bytes_are_verified_again(
    tmp_path: Path, learnt: bool | None, body: bytes, verdict: str
) -> None:
    scheme, asked_for = Keyed(), []

    async def learn(key_id: str) -> bool:
        asked_for.append(key_id)
        if learnt is None:
            raise NoAnswer("the partner's keys cannot be fetched")
        scheme.held = learnt
        return learnt

    behaviour = answer(body, X_Signature=signature(b'{"code": "PAID"}'))
    async with Partner(behaviour) as partner, Rig(tmp_path, partner, scheme, learn_keys=learn) as rig:
        exchange = rig.exchange()
        try:
            await rig.channel.send(rig.act(), exchange)
        except OutcomeUnknown:
            assert verdict != "proven"

        assert (await rig.records(exchange))[1]["verdict"] == verdict
        assert asked_for == ["key-2"]
        assert len(partner.arrivals) == 1


async def test_a_key_that_is_still_unknown_after_it_was_learnt_proves_nothing(tmp_path: Path) -> None:
    async def learn(key_id: str) -> bool:
        return True

    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        with pytest.raises(OutcomeUnknown, match="key-2"):
            await rig.channel.send(rig.act(), rig.exchange())


async def test_a_key_that_does_not_come_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def learn(key_id: str) -> bool:
        return await asyncio.Event().wait()

    monkeypatch.setattr("gateway.wire.attempt.LEARN_SECONDS", 0.05)
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        with pytest.raises(OutcomeUnknown, match="key-2"):
            await rig.channel.send(rig.act(), rig.exchange())


async def test_without_a_way_to_learn_keys_an_unknown_one_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed()) as rig:
        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(), rig.exchange())


class Stumbling(BodyHMAC):
    """Has a bug, in signing or in verifying."""

    def __init__(self, where: str) -> None:
        self.where = where

    def sign(self, request: Request, keys: Keys, stamp: Stamp) -> Request:
        if self.where == "sign":
            raise ZeroDivisionError
        return request

    def verify(self, reply: Reply, request: Request, keys: Keys) -> bytes:
        raise ZeroDivisionError


async def test_a_reply_over_which_the_scheme_stumbles_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Stumbling("verify")) as rig:
        exchange = rig.exchange()
        with pytest.raises(OutcomeUnknown, match=r"stumbled over a reply \(ZeroDivisionError, test_attempt.py:\d+\)"):
            await rig.channel.send(rig.act(), exchange)

        assert (await rig.records(exchange))[1]["observed"] == "unproven"


async def test_a_scheme_that_stumbles_while_signing_sends_nothing(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Stumbling("sign")) as rig:
        with pytest.raises(ZeroDivisionError):
            await rig.channel.send(rig.act(), rig.exchange())

        assert (partner.connections, await rig.store.entries()) == (0, [])


@pytest.mark.parametrize("code", [lambda reply: 1 / 0, lambda reply: None])
async def test_a_code_that_cannot_be_read_says_nothing(tmp_path: Path, code: Any) -> None:
    async with Partner(said("BUSY")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        exchange.conduct = replace(exchange.conduct, code=code)

        await rig.channel.send(rig.act(), exchange)

        (attempt,) = exchange.attempts
        assert (attempt.code, attempt.meaning, attempt.observed) == (None, Meaning.UNDECLARED, Observed.GENUINE)


async def test_where_only_the_channel_proves_a_503_proves_nothing(tmp_path: Path) -> None:
    async with Partner(said("BUSY", 503)) as partner, Rig(tmp_path, partner) as rig:
        with pytest.raises(OutcomeUnknown):
            await rig.channel.send(rig.act(), rig.exchange(proof=Proof.CHANNEL))


# Cancellation


async def test_a_cancelled_act_leaves_silence_on_record(tmp_path: Path) -> None:
    async with Partner(silence) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await partner.arrived()

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert (names(exchange.attempts), exchange.unsettled) == (["SILENCE"], True)
        assert [record.get("observed") for record in await rig.records(exchange)] == [None, "silence"]


async def test_a_call_cancelled_in_its_second_attempt_is_not_tried_a_third_time(tmp_path: Path) -> None:
    async with Partner(close, silence) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange(KEYED)
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await partner.arrived(2)

        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert names(exchange.attempts) == ["SILENCE", "SILENCE"]
        assert len(partner.arrivals) == 2


async def test_a_call_cancelled_while_keys_are_fetched_had_a_reply_that_proves_nothing(tmp_path: Path) -> None:
    fetching = asyncio.Event()

    async def learn(key_id: str) -> bool:
        fetching.set()
        await asyncio.Event().wait()
        return True

    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner, Keyed(), learn_keys=learn) as rig:
        exchange = rig.exchange()
        task = asyncio.create_task(rig.channel.send(rig.act(), exchange))
        await fetching.wait()

        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert names(exchange.attempts) == ["UNPROVEN"]


# Secrets


async def test_a_header_that_is_a_secret_is_filled_in_and_recorded_by_name(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        await rig.channel.send(rig.act(X_API_Key=Secret("api_key")), exchange)

        (arrival,) = partner.arrivals
        assert arrival.header("X-API-Key") == SECRETS["api_key"]
        await exchange.work.commit()
        exact = [rig.exact(entry) for entry in await rig.store.entries()]
        assert b"X-API-Key: __secret.api_key__" in exact[0]
        assert not [message for message in exact if SECRETS["api_key"].encode() in message]


async def test_what_a_platform_wrote_is_never_taken_for_a_secret(tmp_path: Path) -> None:
    body = json.dumps({"text": "__secret.api_key__"}).encode()
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        asked = rig.act(body, X_API_Key=Secret("api_key"), X_Text="__secret.shared__")
        asked.request = asked.request.with_url(rig.partner.url("/p?text=__secret.shared__"))

        await rig.channel.send(asked, rig.exchange())

    (arrival,) = partner.arrivals
    assert (arrival.body, arrival.target) == (body, "/p?text=__secret.shared__")
    assert arrival.header("X-Text") == "__secret.shared__"


async def test_records_hold_the_exact_message_and_its_digest(tmp_path: Path) -> None:
    async with Partner(said("PAID")) as partner, Rig(tmp_path, partner) as rig:
        exchange = rig.exchange()
        asked = rig.act()
        await rig.channel.send(asked, exchange)
        await exchange.work.commit()

        intent, outcome = await rig.store.entries()
        assert intent.digest == digest(asked.request)
        assert rig.exact(intent) == (
            f"POST /payments HTTP/1.1\r\nX-Signature: {signature(asked.request.body)}\r\n\r\n".encode()
            + asked.request.body
        )
        assert rig.exact(outcome).startswith(b"HTTP/1.1 200\r\nContent-Length: 16\r\n")
