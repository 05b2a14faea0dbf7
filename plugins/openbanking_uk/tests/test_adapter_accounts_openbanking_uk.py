"""Consents and accounts: the adapter against the simulated bank over mutual TLS, in both versions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway import (
    FAILED,
    REQUIRES_ACTION,
    SUCCEEDED,
    AccountQuery,
    ConsentInquiry,
    ConsentRevocation,
    Invalid,
    Money,
    NotProven,
    TransactionQuery,
    Wire,
)
from lendgate_openbanking_uk.adapter import OpenBankingUK

WIRE = Wire()
KEY = "ABCDEFGHIJKLMNOPQRSTUVWXYZ23456"
GRANTED, LOOKED, REVOKED = (OpenBankingUK.terms[verb] for verb in ("create_consent", "fetch_consent", "revoke_consent"))


def inquiry_about(consent: Any) -> ConsentInquiry:
    return ConsentInquiry(partner_key=KEY, requested_at=consent.requested_at, memory=consent.memory)


class TestConsents:
    async def test_a_consent_is_asked_for_given_and_seen(self, desk: Any) -> None:
        until = datetime(2026, 4, 1, tzinfo=UTC)

        asked = await desk.run(desk.adapter.create_consent(desk.consent(expires_at=until), WIRE))
        known = await desk.account_consent(expires_at=until)
        seen = await desk.run(desk.adapter.fetch_consent(inquiry_about(known), WIRE))

        assert (GRANTED.meaning(asked.code), GRANTED.statuses[asked.code]) == (REQUIRES_ACTION, "pending")
        assert (LOOKED.meaning(seen.code), LOOKED.statuses[seen.code]) == (SUCCEEDED, "active")
        assert asked.expires_at == seen.expires_at == until

    async def test_the_code_is_exchanged_at_once_for_a_lasting_token(self, desk: Any) -> None:
        await desk.account_consent()

        (name,) = (name for name in desk.tokens if name.startswith("consent:"))
        assert name in desk.refresh

    async def test_a_refused_consent_has_failed(self, desk: Any) -> None:
        asked = await desk.run(desk.adapter.create_consent(desk.consent(), WIRE))

        with pytest.raises(NotProven):
            await desk.person(asked.next_action, approve=False)
        inquiry = ConsentInquiry(partner_key=KEY, requested_at=desk.clock.now(), memory=asked.memory)
        seen = await desk.run(desk.adapter.fetch_consent(inquiry, WIRE))

        assert (LOOKED.meaning(seen.code), LOOKED.statuses[seen.code]) == (FAILED, "rejected")

    async def test_a_consent_withdrawn_at_the_bank_was_given_and_is_revoked(self, desk: Any) -> None:
        known = await desk.account_consent()
        (consent,) = (c for c in desk.bank.consents.consents.values() if c.status == "AUTH")
        consent.move("CANC", desk.clock.now())

        seen = await desk.run(desk.adapter.fetch_consent(inquiry_about(known), WIRE))

        assert (LOOKED.meaning(seen.code), LOOKED.statuses[seen.code]) == (SUCCEEDED, "revoked")

    async def test_a_revocation_may_be_repeated(self, desk: Any) -> None:
        revocation = ConsentRevocation(parent=await desk.account_consent(), **desk.filled("RV-1"))

        told = [await desk.run(desk.adapter.revoke_consent(revocation, WIRE)) for _ in range(2)]

        assert [REVOKED.meaning(fact.code) for fact in told] == [SUCCEEDED, SUCCEEDED]
        assert desk.bank.consents.consents == {}

    @pytest.mark.parametrize(
        ("more", "path"), [({"type": "identity"}, "type"), ({"scopes": ("beneficiaries",)}, "scopes")]
    )
    async def test_other_consents_are_refused_by_their_field(self, desk: Any, more: Any, path: str) -> None:
        with pytest.raises(Invalid) as refused:
            await desk.run(desk.adapter.create_consent(desk.consent(**more), WIRE))

        assert [error.path for error in refused.value.fields] == [path]


class TestAccounts:
    async def test_accounts_are_told_in_our_words(self, desk: Any) -> None:
        query = AccountQuery(consent=await desk.account_consent())

        heard = await desk.run(desk.adapter.list_accounts(query, WIRE))

        assert [(account.id, account.kind, account.holder) for account in heard.accounts] == [
            ("acc-1", "current", "personal"),
            ("acc-2", "savings", "personal"),
            ("acc-3", "credit_card", "personal"),
        ]
        assert heard.accounts[0].identifications[0].scheme == "sort_code_account_number"

    async def test_balances_carry_iso_types_and_their_side(self, desk: Any) -> None:
        query = AccountQuery(consent=await desk.account_consent(), account="acc-3")

        heard = await desk.run(desk.adapter.fetch_balances(query, WIRE))

        assert [(balance.type, balance.credit) for balance in heard.balances] == [("ITAV", False), ("ITBD", False)]
        assert heard.balances[0].amount == Money.of("310.45", "GBP")

    async def test_transactions_come_page_by_page_within_the_window(self, desk: Any) -> None:
        known = await desk.account_consent()
        first = datetime(2025, 8, 1, tzinfo=UTC)
        query = TransactionQuery(consent=known, account="acc-1", booked_from=first, booked_to=desk.clock.now())

        pages = [await desk.run(desk.adapter.fetch_transactions(query, WIRE))]
        while pages[-1].next_page:
            query = query.model_copy(update={"page": pages[-1].next_page})
            pages.append(await desk.run(desk.adapter.fetch_transactions(query, WIRE)))

        entries = [entry for page in pages for entry in page.transactions]
        assert len(pages) == 2
        assert len({entry.id for entry in entries}) == len(entries) > 25
        assert {entry.status for entry in entries} == {"booked", "pending"}
        assert sum(entry.amount.amount for entry in entries if entry.credit) == 5 * 2100
        assert min(entry.booked_at for entry in entries) >= first
        assert pages[0].available_from is not None

    async def test_a_forbidden_read_gives_no_accounts(self, desk: Any) -> None:
        query = AccountQuery(consent=await desk.account_consent(), account="acc-9")

        with pytest.raises(Exception, match="status 403"):
            await desk.run(desk.adapter.fetch_balances(query, WIRE))

    async def test_a_link_dies_with_its_request_object(self, desk: Any) -> None:
        asked = await desk.run(desk.adapter.create_consent(desk.consent(), WIRE))
        link = desk.link(asked.next_action)
        desk.clock.advance(asked.next_action.life + timedelta(seconds=1))

        async with desk.session.get(link) as reply:
            assert reply.status == 400
