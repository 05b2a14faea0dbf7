"""A partner with tokens, and short ways to call it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

from gateway.model.message import Reply
from gateway.wire.grants import AuthorisationCode, ClientCredentials
from gateway.wire.retry import Repeat
from tests.wire.partner import Arrival, Partner, answer
from tests.wire.rig import Rig, said, unsigned


class Bank:
    """Gives out tokens at /token and takes the valid one everywhere else. What it answers can be bent."""

    def __init__(self, **answer: Any) -> None:
        self.given = 0
        self.valid: set[str] = set()
        self.answer = answer
        self.refusal = unsigned(401, b"who are you?")
        self.instead: list[Any] = []  # behaviours of the next token requests

    async def __call__(self, writer: asyncio.StreamWriter, arrival: Arrival) -> None:
        if arrival.target.startswith("/token"):
            behave = self.instead.pop(0) if self.instead else answer(json.dumps(self._token()))
        elif self._shown(arrival) in self.valid:
            behave = said("PAID")
        else:
            behave = self.refusal
        await behave(writer, arrival)

    def _token(self) -> dict[str, Any]:
        self.given += 1
        self.valid = {f"t{self.given}"}
        given = {"access_token": f"t{self.given}", "expires_in": 3600, **self.answer}
        return {name: value for name, value in given.items() if value is not None}

    @staticmethod
    def _shown(arrival: Arrival) -> str:
        bearer = (arrival.header("Authorization") or "").removeprefix("Bearer ")
        return bearer or parse_qs(arrival.target.partition("?")[2]).get("access_token", [""])[-1]


def grant(rig: Rig, **changes: Any) -> ClientCredentials:
    settings = {"name": "app", "url": rig.partner.url("/token"), "client_id": "us", "authentication": "body", **changes}
    return ClientCredentials(**settings)


def code_grant(rig: Rig) -> AuthorisationCode:
    return AuthorisationCode("consent:1", rig.partner.url("/token"), "us", "body")


def targets(partner: Partner) -> list[str]:
    return [arrival.target for arrival in partner.arrivals]


async def ask(rig: Rig, access: Any, **conduct: Any) -> Reply:
    return await rig.channel.send(rig.ask(grant=access), rig.exchange(**conduct))


async def act(rig: Rig, access: Any, repeat: Repeat, **conduct: Any) -> Any:
    exchange = rig.exchange(repeat, **conduct)
    try:
        await rig.channel.send(rig.act(grant=access), exchange)
    finally:
        await exchange.work.commit()
    return exchange
