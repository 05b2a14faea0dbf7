"""The lending platforms of a story: they repeat, race, change their minds and hang up, as real ones do.

Rules
- A platform repeats a call with the same key until it has an answer that it may stop at.
- It believes what it is told, and tells the oracles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gateway.model.initiations import New
from gateway.model.payments import NewPayment, NewRefund
from gateway.model.problems import Refused, StorageError
from gateway.model.transfers import NewTransfer
from gateway.operations.engine import Answered, Call
from gateway.store.operation import Kind, Operation
from tests.simulation.instance import PARTNER

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["Platform"]

AGAIN = frozenset({"call_in_progress", "refused", "partner_unreachable", "adapter_error"})
"""Refusals after which the same call is made again with the same key."""


class Platform:
    """One client. Everything that it may do is drawn from the story's chance."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._chance = world.story
        self.name = name
        self._number = 0

    async def buy(self) -> None:
        """A payment or transfer with all that may go along, and refunds of what was paid."""
        chance = self._chance
        kind: Kind = "payment" if chance.random() < 0.65 else "transfer"
        body = self._body(kind)
        key = self._key()
        calls = [self.ask(kind, body, key)]
        if chance.random() < 0.25:
            calls.append(self.ask(kind, body, key))
        if chance.random() < 0.1:
            calls.append(self.ask(kind, body, self._key()))  # the same reference, as if it were new
        if chance.random() < 0.1:
            other = body.model_copy(
                update={"amount": body.amount.model_copy(update={"amount": body.amount.amount + 1})}
            )
            calls.append(self.ask(kind, other, chance.choice((key, self._key()))))
        if body.links_to and chance.random() < 0.6:
            calls.append(self._sibling(kind, body))
        ends = await asyncio.gather(*calls)
        operation = next((one for one in ends if one is not None), None)
        if kind == "payment" and operation is not None and chance.random() < 0.6:
            await self._refund(operation)

    async def ask(self, kind: Kind, body: New, key: str, parent: str | None = None) -> Operation | None:
        """Call until there is an answer to stop at; the operation that came of it, if any."""
        chance, world = self._chance, self._world
        await asyncio.sleep(chance.choice((0.0, 0.0, 0.01, 0.5)))
        call = Call(self.name, key, f"POST /v1/{kind}s", chance.choice((None, None, 1.0)))
        for tries in range(5):
            patience = chance.choice((0.3, 5.0, 30.0, 30.0))
            said = await world.call(
                lambda one: one.engine.initiate(kind, body, call, parent=parent), patience, chance.random() < 0.7
            )
            if isinstance(said, Answered):
                self._answered(key, body, said.operation)
                return said.operation
            world.trace(f"{self.name} {key} hears {getattr(said, 'kind', type(said).__name__)}")
            if isinstance(said, Refused) and said.kind not in AGAIN and said.status != 503:
                return None
            if isinstance(said, Exception) and not isinstance(said, Refused | StorageError):
                world.oracles.broken("answer", f"{key} was answered with {said!r}")
                return None
            await asyncio.sleep(chance.uniform(0.2, 2.0 * 2**tries))
        return None

    async def poll(self, operation: Operation, seconds: float) -> Operation:
        """Look at it from time to time until it has ended."""
        id_, until = operation.id, self._world.loop.seconds + seconds
        while operation.open and self._world.loop.seconds < until:
            await asyncio.sleep(self._chance.uniform(1, 12))
            said = await self._world.call(lambda one: one.store.operation(id_, self.name), 5.0)
            if isinstance(said, Operation):
                self._world.oracles.told(self.name, "", said)
                operation = said
        return operation

    async def _refund(self, payment: Operation) -> None:
        """Several refunds at once, which together may be more than there is."""
        chance = self._chance
        payment = await self.poll(payment, 60.0)
        cents = payment.amount.minor() if payment.amount else 0
        calls = []
        for _ in range(chance.choice((1, 2, 3))):
            share = chance.choice((cents, cents // 2, cents // 3, cents * 2 // 3))
            calls.append(self.ask("refund", self._refunding(share), self._key(), payment.id))
        await asyncio.gather(*calls)

    async def _sibling(self, kind: Kind, first: Any) -> Operation | None:
        """Another reference for the same obligation; sometimes knowingly beside the first."""
        despite: tuple[str, ...] = ()
        if self._chance.random() < 0.3:
            await asyncio.sleep(3.0)
            found = await self._world.call(
                lambda one: one.store.operation_by_reference(self.name, kind, first.reference), 5.0
            )
            despite = (found.id,) if isinstance(found, Operation) else ()
        body = self._body(kind, links_to=first.links_to, despite=despite)
        return await self.ask(kind, body, self._key())

    def _answered(self, key: str, body: Any, operation: Operation) -> None:
        self._world.oracles.told(self.name, key, operation)
        if (operation.reference, operation.amount) != (body.reference, body.amount):
            self._world.oracles.broken("one key", f"{key} was answered with the operation of another call")

    def _key(self) -> str:
        self._number += 1
        return f"{self.name}-key-{self._number}"

    def _body(self, kind: Kind, **fields: Any) -> Any:
        self._number += 1
        links: Mapping[str, str] = {"instalment": f"I{self._number}"} if self._chance.random() < 0.35 else {}
        members: dict[str, Any] = {
            "connection": PARTNER,
            "reference": f"{self.name}-{self._number}",
            "amount": {"amount": f"{self._chance.randrange(1000, 90000) / 100:.2f}", "currency": "CNY"},
            "links_to": links,
            **fields,
        }
        if kind == "payment":
            method = "payer_code" if self._chance.random() < 0.35 else "wallet_qr"
            return NewPayment.model_validate({**members, "method": {"type": method}, "description": "a coat"})
        creditor = {"name": "A Seller", "account": {"scheme": "bank_card", "identification": "6222000000000000"}}
        return NewTransfer.model_validate({**members, "creditor": creditor})

    def _refunding(self, cents: int) -> NewRefund:
        self._number += 1
        return NewRefund.model_validate(
            {
                "connection": PARTNER,
                "reference": f"{self.name}-{self._number}",
                "amount": {"amount": f"{cents / 100:.2f}", "currency": "CNY"},
            }
        )
