"""Accounts that a person allowed us to read: accounts, balances, transactions.

Rules
- Every read names the consent that allows it and the purpose that it serves; both are recorded.
- A cursor seals the partner's own link together with what it belongs to, so that it opens nothing else and nobody can
  write one.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from gateway.adapters.verbs import FETCH_BALANCES, FETCH_TRANSACTIONS, LIST_ACCOUNTS
from gateway.api.handler import Answer, Inbound, Route
from gateway.api.problems import wrong_parameter
from gateway.api.resources.operations import Word
from gateway.api.shapes import AccountPage, BalancePage, TransactionPage
from gateway.model.accounts import AccountQuery, TransactionQuery
from gateway.model.problems import ConfigurationError, NotProven
from gateway.model.schema import Instant, Line, Model

__all__ = ["ROUTES"]

TAG: Final = "Accounts"

LONGEST_ACCOUNT_ID: Final = 128

Cursor = Annotated[
    str | None,
    StringConstraints(pattern=r"^[A-Za-z0-9_\-]{1,4096}$"),
    Field(description="The `next_cursor` of the page before"),
]


class Reading(Model):
    """Under which consent, and what for."""

    consent: Annotated[Word, Field(description="The id of an active consent")]
    purpose: Annotated[
        Line, StringConstraints(min_length=3), Field(description="What for, in words", examples=["affordability"])
    ]
    cursor: Cursor = None


class ReadingTransactions(Reading):
    """And of which time: booked from `from`, before `to`."""

    booked_from: Annotated[Instant | None, Field(alias="from")] = None
    booked_to: Annotated[Instant | None, Field(alias="to")] = None


async def list_accounts(call: Inbound[None, Reading]) -> Answer:
    """The accounts of a consent."""
    asked = call.query
    answer = await call.gateway.reads.accounts(
        LIST_ACCOUNTS, call.client.name, asked.consent, AccountQuery, asked.purpose, page=_opened(call)
    )
    return _page(call, {"accounts": _json(answer.accounts)}, answer.next_page)


async def read_balances(call: Inbound[None, Reading]) -> Answer:
    """The balances of one account."""
    asked = call.query
    answer = await call.gateway.reads.accounts(
        FETCH_BALANCES,
        call.client.name,
        asked.consent,
        AccountQuery,
        asked.purpose,
        account=_account(call),
        page=_opened(call),
    )
    return _page(call, {"balances": _json(answer.balances)}, answer.next_page)


async def read_transactions(call: Inbound[None, ReadingTransactions]) -> Answer:
    """The transactions of one account. A cursor carries its own dates, so `from` and `to` are for the first page."""
    asked = call.query
    answer = await call.gateway.reads.accounts(
        FETCH_TRANSACTIONS,
        call.client.name,
        asked.consent,
        TransactionQuery,
        asked.purpose,
        account=_account(call),
        page=_opened(call),
        booked_from=asked.booked_from,
        booked_to=asked.booked_to,
    )
    body: dict[str, Any] = {"transactions": _json(answer.transactions)}
    if answer.available_from is not None:
        body["available_from"] = answer.available_from.isoformat().replace("+00:00", "Z")
    return _page(call, body, answer.next_page)


def _account(call: Inbound[Any, Any]) -> str:
    """The partner's id of the account, which goes into an address at the partner."""
    id = call.path["id"]
    if len(id) > LONGEST_ACCOUNT_ID or not id.isprintable():
        raise wrong_parameter("id", f"is no account's id: at most {LONGEST_ACCOUNT_ID} printable characters")
    return id


def _json(items: tuple[Model, ...]) -> list[dict[str, Any]]:
    return [item.model_dump(mode="json", exclude_none=True) for item in items]


def _page(call: Inbound[Any, Any], body: dict[str, Any], next_page: str | None) -> Answer:
    if next_page is not None:
        sealed = call.context.sealer.seal(next_page.encode(), _place(call))
        body["next_cursor"] = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
    return Answer(body)


def _opened(call: Inbound[Any, Any]) -> str | None:
    """The partner's link inside the cursor, or None. Raises `Refused` for a cursor that was not given out for this."""
    cursor = call.query.cursor
    if cursor is None:
        return None
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        return call.context.sealer.open(sealed, _place(call)).decode()
    except (NotProven, ConfigurationError, binascii.Error):
        raise wrong_parameter("cursor", "is none that was given out for this; begin again without it") from None


def _place(call: Inbound[Any, Any]) -> bytes:
    """What a cursor belongs to: the client, the consent (and so its connection), and what is being read."""
    return json.dumps(["cursor", call.client.name, call.query.consent, call.target]).encode()


PROBLEMS: Final = ("consent_not_active", "unsupported_verb", "partner_no_answer", "overloaded", "invalid_fields")

ROUTES: Final = (
    Route(
        "GET",
        "/v1/accounts",
        "List the accounts of a consent",
        list_accounts,
        TAG,
        {200: AccountPage},
        query=Reading,
        problems=PROBLEMS,
        description="A read moves nothing and needs no key; it is recorded with its consent and purpose.",
    ),
    Route(
        "GET",
        "/v1/accounts/{id}/balances",
        "Read balances",
        read_balances,
        TAG,
        {200: BalancePage},
        query=Reading,
        problems=PROBLEMS,
    ),
    Route(
        "GET",
        "/v1/accounts/{id}/transactions",
        "Read transactions",
        read_transactions,
        TAG,
        {200: TransactionPage},
        query=ReadingTransactions,
        problems=PROBLEMS,
    ),
)
