"""Reads that move nothing: accounts, balances, transactions, and our own balance at a partner.

They have no key and no state, but their intent and outcome are recorded, with the consent and purpose behind them.
"""

from __future__ import annotations

from typing import Any, TypeVar

from gateway.adapters import step
from gateway.adapters.verbs import FETCH_PARTNER_BALANCE, Verb
from gateway.audit.vault import Vault
from gateway.model.accounts import AccountQuery
from gateway.model.clock import Clock
from gateway.model.facts import PartnerBalance
from gateway.model.ids import Identifiers
from gateway.model.message import Wire
from gateway.model.problems import FieldError, GatewayError, Invalid, PartnerError, Refused, Retry, Unsupported
from gateway.operations import assemble
from gateway.operations.connections import Connection, Connections
from gateway.store.interface import Store
from gateway.store.operation import Operation
from gateway.store.work import Work
from gateway.wire.exchange import Conduct, Exchange
from gateway.wire.retry import Repeat

__all__ = ["Reads"]

Q = TypeVar("Q")
A = TypeVar("A")
WIRE = Wire()


class Reads:
    """Runs verbs that only read."""

    def __init__(
        self, store: Store, connections: Connections, clock: Clock, ids: Identifiers, vault: Vault | None = None
    ) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock
        self._ids = ids
        self._vault = vault

    async def consent(self, client: str, id: str) -> tuple[Operation, Connection]:
        """An active consent of this client. Raises `Invalid`."""
        found = await self._store.operation(id, client)
        if found is None or found.kind != "consent":
            raise Invalid("there is no such consent", fields=[FieldError("consent", "there is no such consent")])
        if found.status != "active":
            detail = f"the consent is {found.status or found.state.value}, not active"
            raise Invalid(detail, kind="consent_not_active", fields=[FieldError("consent", detail)])
        return found, self._connections.named(found.connection)

    async def accounts(
        self, verb: Verb[Q, A], client: str, consent_id: str, question: type[AccountQuery], purpose: str, **fields: Any
    ) -> A:
        """Run an account verb under a consent. Raises `Invalid`, `Unsupported`, and `Refused` where no answer came."""
        consent, connection = await self.consent(client, consent_id)
        query: Any = question(consent=assemble.known(consent, connection.adapter), **fields)
        return await self.read(connection, verb, query, client=client, consent=consent.id, purpose=purpose)

    async def partner_balance(self, connection: Connection, client: str) -> PartnerBalance:
        """Our own account at a partner."""
        return await self.read(connection, FETCH_PARTNER_BALANCE, None, client=client)

    async def read(
        self,
        connection: Connection,
        verb: Verb[Q, A],
        question: Q,
        *,
        client: str,
        consent: str | None = None,
        purpose: str | None = None,
    ) -> A:
        """Run one reading verb. Raises `Unsupported`, `Refused`, `StorageError`."""
        bound = verb.of(connection.adapter)
        if bound is None:
            raise Unsupported(
                f"{connection.partner} does not {verb.name.replace('_', ' ')}", members={"verb": verb.name}
            )
        work = Work(self._store)
        terms = connection.adapter.terms[verb.name]
        conduct = Conduct(
            repeat=Repeat.SAFE,
            key_until=None,
            codes=terms.codes,
            code=connection.adapter.code,
            proof=terms.proof,
            deadline=self._clock.monotonic() + connection.deadline.total_seconds(),
            effects=False,
            expected_content=None,
            consent=consent,
            purpose=purpose,
        )
        exchange = Exchange(
            work=work,
            conduct=conduct,
            chain=self._ids.new("read"),
            client=client,
            operation=None,
            verb=verb.name,
            handoff=None,
            code=None,
        )
        if self._vault is not None and consent is not None:
            self._vault.follow(exchange.chain, consent)  # what is read is about the person who consented
        try:
            answer: A = await step.run(bound(question, WIRE), lambda asked: connection.channel.send(asked, exchange))
        except PartnerError as failure:
            raise _no_answer(connection, failure) from None
        finally:
            await work.commit()
        return answer


def _no_answer(connection: Connection, failure: GatewayError) -> Refused:
    return Refused(
        f"{connection.partner} gave no usable answer: {failure}",
        kind="partner_no_answer",
        status=502,
        retry=Retry.AFTER,
        retry_after_seconds=5,
    )
