"""Scenarios: what the suite cannot know about a partner, and a plugin's tests say.

One scenario is one verb from nothing to its end: what must be there before (`before`), the call (`body`, or `act` where
the verb is not simply called), and what people do at the partner afterwards (`people`). Everything else has a default.

    class Payment(Scenario):
        verb, effect = "create_payment", "payment"

        def body(self) -> Body:
            return {"amount": money("100.00"), "method": {"type": "wallet_qr"}, "description": "a coat"}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from gateway.model.states import State
from gateway.sandbox import Notification, Notifier
from gateway.store.operation import Operation
from gateway.testing.house import House

__all__ = ["Body", "Reading", "Scenario"]

Body = dict[str, Any]


class Scenario:
    """One verb of one partner. Instances keep nothing between cases."""

    verb: ClassVar[str]
    effect: ClassVar[str | None] = None
    """The kind under which the simulator's ledger holds what the verb does; None: it leaves no effect there."""
    ends: ClassVar[frozenset[State]] = frozenset({State.SUCCEEDED})
    """Where it stands after people did their part and it was asked about."""
    calls_back: ClassVar[bool] = False
    """Whether the partner sends a callback by its `notifier` once people did their part."""
    loses_answers: ClassVar[bool] = True
    """Whether the cases of lost answers apply: False where another scenario of the same verb stands for them."""
    amounts: ClassVar[tuple[str, ...]] = ("0.29", "1.15", "4.35", "8.20", "19.99")
    """Amounts that trip binary fractions. Leave out those that have a special meaning at the simulator."""

    @property
    def name(self) -> str:
        """Its name in reports: the class's own."""
        return type(self).__name__

    def body(self) -> Body:
        """A valid body of the call, without connection and reference; fresh business keys each time."""
        return {}

    async def before(self, house: House[Any]) -> Operation | None:
        """Make what the act follows, such as the payment of a refund; the answer is the parent."""
        return None

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        """Have the verb run. Override where it goes on from something, or is reached by another way."""
        return await house.start(self.verb, body, before)

    async def people(self, house: House[Any], operation: Operation) -> None:
        """Do at the partner what people do there, so that it comes to its end."""

    async def misstate(self, house: House[Any], operation: Operation) -> bool:
        """Do the same, and have the partner sign a callback that states another amount. False: it cannot be done."""
        return False

    async def location(self, house: House[Any], operation: Operation) -> str | None:
        """Have the person do their part on the partner's page; where the browser is sent then. None: nobody is sent."""
        return None

    def key(self, operation: Operation) -> str:
        """The key under which the ledger holds the effect."""
        return operation.partner_key

    def happened(self, house: House[Any], operation: Operation) -> int | None:
        """How often the effect is in the ledger; None where the verb leaves none."""
        if self.effect is None:
            return None
        found: int = house.simulator.ledger.count(self.effect)[self.effect, self.key(operation)]
        return found

    def priced(self, amount: str, currency: str | None = None) -> Body | None:
        """The body with another amount; None where the call states no amount."""
        body = self.body()
        standing = body.get("amount")
        if not isinstance(standing, Mapping):
            return None
        return {**body, "amount": {"amount": amount, "currency": currency or standing["currency"]}}

    def notifier(self, house: House[Any]) -> Notifier:
        """Where the simulator's callbacks wait."""
        found: Notifier = house.simulator.notifier
        return found

    def message(self, house: House[Any]) -> Notification:
        """The callback that the partner sent last."""
        return self.notifier(house).sent[-1]


class Reading(Scenario):
    """A verb that moves nothing and begins nothing: override `read`."""

    loses_answers = False

    async def read(self, house: House[Any], before: Operation | None) -> Any:
        """Have it read; whatever comes back."""
        raise NotImplementedError(f"{self.name}: say how it reads")
