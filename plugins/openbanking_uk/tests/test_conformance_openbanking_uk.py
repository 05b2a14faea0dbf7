"""The bank, in version 4.0 of the standard, under the suite that every adapter is held to."""

from __future__ import annotations

from typing import Any

from gateway.testing.conformance import Body, House, Operation, Reading, Scenario, State, conformance
from lendgate_openbanking_uk.adapter import OpenBankingUK
from lendgate_openbanking_uk.simulator import OpenBankingUKSimulator

PAYEE = {
    "name": "B Orrower",
    "account": {"scheme": "sort_code_account_number", "identification": "20325412345678", "name": "B Orrower"},
}
CONSENT: Body = {"type": "account_access", "scopes": ["accounts", "balances", "transactions"]}


async def approve(house: House[Any], operation: Operation) -> Operation:
    """The person opens the link at the bank, agrees, and the browser comes back."""
    return await house.come_back(agreed(house, operation))


def agreed(house: House[Any], operation: Operation) -> str:
    """Where the bank sends the browser after the person agreed."""
    assert operation.next_action is not None
    place: str = house.simulator.decide(str(operation.next_action.url), True)
    return place


class PreparedTransfer(Scenario):
    """A transfer is prepared and waits for the person."""

    verb = "create_transfer"
    ends = frozenset({State.REQUIRES_ACTION})

    def body(self) -> Body:
        return {"amount": {"amount": "250.00", "currency": "GBP"}, "creditor": PAYEE}

    async def location(self, house: House[Any], operation: Operation) -> str | None:
        return agreed(house, operation)


class ApprovedTransfer(Scenario):
    """The person agrees, and the payment is submitted."""

    verb, effect = "continue_transfer", "transfer"

    def body(self) -> Body:
        return PreparedTransfer().body()

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        return await approve(house, await house.start("create_transfer", body))


class PreparedConsent(Scenario):
    """A consent waits for the person."""

    verb = "create_consent"
    ends = frozenset({State.REQUIRES_ACTION})

    def body(self) -> Body:
        return dict(CONSENT)

    async def location(self, house: House[Any], operation: Operation) -> str | None:
        return agreed(house, operation)


class ApprovedConsent(Scenario):
    """The person agrees, and accounts may be read."""

    verb, effect = "continue_consent", "consent"

    async def act(self, house: House[Any], before: Operation | None, body: Body) -> Operation:
        return await approve(house, await house.start("create_consent", CONSENT))

    def key(self, operation: Operation) -> str:
        return operation.partner_references["consent_id"]


class RevokedConsent(Scenario):
    """The person withdraws it here."""

    verb = "revoke_consent"

    async def before(self, house: House[Any]) -> Operation:
        return await approve(house, await house.start("create_consent", CONSENT))


class AccountReading(Reading):
    """What is read under a consent."""

    async def before(self, house: House[Any]) -> Operation:
        return await approve(house, await house.start("create_consent", CONSENT))

    async def read(self, house: House[Any], before: Operation | None) -> Any:
        return await house.read(self.verb, before)


class ListedAccounts(AccountReading):
    verb = "list_accounts"


class ReadBalances(AccountReading):
    verb = "fetch_balances"


class ReadTransactions(AccountReading):
    verb = "fetch_transactions"


SCENARIOS = (
    PreparedTransfer(),
    ApprovedTransfer(),
    PreparedConsent(),
    ApprovedConsent(),
    RevokedConsent(),
    ListedAccounts(),
    ReadBalances(),
    ReadTransactions(),
)
TestOpenBankingUK = conformance(OpenBankingUK, simulator=OpenBankingUKSimulator, scenarios=SCENARIOS)
