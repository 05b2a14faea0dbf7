"""Mistakes in an adapter show when its class is made, with the remedy in the message."""

from __future__ import annotations

from typing import Any

import pytest

from gateway import (
    Adapter,
    AdapterError,
    ConsentFact,
    ContinueTransfer,
    CreatePayment,
    CreateTransfer,
    Memory,
    PaymentFact,
    PaymentInitiation,
    Remembers,
    Reply,
    Scheme,
    Settings,
    TransferFact,
    TransferInitiation,
    Unsigned,
    Wire,
    consent_terms,
    payment_terms,
    transfer_terms,
)
from gateway.adapters.verbs import CREATE_PAYMENT, FETCH_PAYMENT
from gateway.testing import ManualClock
from tests.riverbank import Riverbank, RiverbankSettings


class Nothing(Settings):
    pass


def test_an_adapter_declares_its_verbs_with_their_terms_and_settings() -> None:
    riverbank = Riverbank(RiverbankSettings(url="http://127.0.0.1:1"))

    assert Riverbank.settings_model is RiverbankSettings
    assert CREATE_PAYMENT.of(riverbank) == riverbank.create_payment
    assert Riverbank.terms["create_payment"].currencies == {"CNY"}


def test_what_an_adapter_does_not_do_it_does_not_declare() -> None:
    class Payer(Adapter[Nothing], CreatePayment):
        name = "payer"
        scheme = Unsigned()

        @payment_terms()
        async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
            return PaymentFact(code=None)

    assert FETCH_PAYMENT.of(Payer(Nothing())) is None


def test_a_verb_that_is_not_async_is_refused() -> None:
    with pytest.raises(AdapterError, match="async def"):

        class Bank(Adapter[Nothing], CreatePayment):
            name = "bank"
            scheme = Unsigned()

            def create_payment(self, payment: Any, wire: Any) -> Any: ...


def test_a_promised_verb_that_is_missing_is_refused() -> None:
    with pytest.raises(AdapterError, match="promises create_payment"):

        class Bank(Adapter[Nothing], CreatePayment):
            name = "bank"
            scheme = Unsigned()


def test_a_verb_whose_base_is_missing_is_refused() -> None:
    with pytest.raises(AdapterError, match="add CreatePayment to the bases"):

        class Bank(Adapter[Nothing]):
            name = "bank"
            scheme = Unsigned()

            @payment_terms()
            async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
                return PaymentFact(code=None)


def test_a_verb_without_terms_is_refused() -> None:
    with pytest.raises(AdapterError, match="put its terms beside it"):

        class Bank(Adapter[Nothing], CreatePayment):
            name = "bank"
            scheme = Unsigned()

            async def create_payment(self, payment: PaymentInitiation, wire: Wire) -> PaymentFact:
                return PaymentFact(code=None)


def test_terms_of_another_kind_are_refused() -> None:
    @consent_terms()
    async def wrong(self: Any, payment: Any, wire: Any) -> ConsentFact:
        return ConsentFact(code=None)

    with pytest.raises(AdapterError, match="its terms are for ConsentFact"):

        class Bank(Adapter[Nothing], CreatePayment):
            name = "bank"
            scheme = Unsigned()
            create_payment = wrong  # type: ignore[assignment]  # on purpose


def test_a_name_and_a_scheme_are_needed() -> None:
    with pytest.raises(AdapterError, match="give it a name"):

        class Nameless(Adapter[Nothing]):
            scheme = Unsigned()

    with pytest.raises(AdapterError, match="how messages are signed"):

        class Silent(Adapter[Nothing]):
            name = "silent"


def test_settings_are_named_in_the_base() -> None:
    with pytest.raises(AdapterError, match="name the settings"):

        class Bare(Adapter):  # type: ignore[type-arg]  # on purpose
            name = "bare"
            scheme = Unsigned()


def test_a_scheme_may_read_the_settings() -> None:
    class Bank(Adapter[RiverbankSettings]):
        name = "bank"

        @property
        def scheme(self) -> Scheme:
            return Unsigned()

    assert isinstance(Bank(RiverbankSettings(url="x")).scheme, Unsigned)


def test_memories_are_known_by_the_names_of_their_classes() -> None:
    class ConsentMemory(Memory):
        consent: str

    class PolicyMemory(Memory):
        order: str

    class Bank(Adapter[Nothing], CreateTransfer, ContinueTransfer[ConsentMemory], Remembers[PolicyMemory]):
        name = "bank"
        scheme = Unsigned()

        @transfer_terms()
        async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
            return TransferFact(code=None)

        @transfer_terms()
        async def continue_transfer(self, step: Any, wire: Wire) -> TransferFact:
            return TransferFact(code=None)

    assert Bank.memories == {"ConsentMemory": ConsentMemory, "PolicyMemory": PolicyMemory}


def test_the_code_of_a_reply_is_its_status_where_an_adapter_says_nothing_else() -> None:
    class Bank(Adapter[Nothing]):
        name = "bank"
        scheme = Unsigned()

    assert Bank(Nothing()).code(Reply(429, (), b"", ManualClock().now())) == "429"
