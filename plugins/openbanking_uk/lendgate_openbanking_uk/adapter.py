"""UK Open Banking (OBIE) v4.0 and v3.1.11: domestic payments as transfers, and account information.

Rules
- A transfer is two resources: a consent, which moves nothing and is only asked for, and the payment, which acts.
- Both are signed; accounts are not. Each consent has a token of its own, the client another for each scope.
- Doubt about a payment is settled by its id, or by its consent: Consumed means that it happened.
"""

from __future__ import annotations

from typing import Any, Final

from gateway import (
    Account,
    AccountQuery,
    Accounts,
    Adapter,
    AuthorisationCode,
    Balances,
    ByParent,
    ByPartnerId,
    ClientAssertion,
    ClientCredentials,
    ConsentFact,
    ConsentInitiation,
    ConsentInquiry,
    ConsentRevocation,
    Continuation,
    ContinueConsent,
    CreateConsent,
    FetchBalances,
    FetchConsent,
    FetchTransactions,
    FieldError,
    Invalid,
    KeyForm,
    Known,
    ListAccounts,
    Memory,
    NotProven,
    NotUnderstood,
    Proof,
    RedirectTransfers,
    Remembered,
    Replay,
    Reply,
    Request,
    Returned,
    RevokeConsent,
    SignedLink,
    TransactionQuery,
    Transactions,
    TransferFact,
    TransferInitiation,
    TransferInquiry,
    Wire,
    accounts_terms,
    balances_terms,
    consent_terms,
    hours,
    minutes,
    transactions_terms,
    transfer_terms,
    understood,
)
from lendgate_openbanking_uk import codes
from lendgate_openbanking_uk.accounts import Listed
from lendgate_openbanking_uk.messages import (
    ConsentData,
    ConsentRequest,
    Errors,
    PaymentData,
    PaymentRequest,
    Stated,
    code_of,
)
from lendgate_openbanking_uk.orders import access_of, order_of
from lendgate_openbanking_uk.settings import OpenBankingUKSettings
from lendgate_openbanking_uk.signing import ACR, INTENT, MessageSigning, TLSOnly

__all__ = ["AccountConsent", "OpenBankingUK", "OpenBankingUKSettings", "PaymentConsent"]

LINK_LIFE: Final = minutes(30)  # of the request object; FAPI 1.0 Advanced allows 60 minutes
TLS: Final = TLSOnly()
KEY: Final = Remembered(hours(24), KeyForm(31))  # Faster Payments carries 31 characters of EndToEndIdentification
RHYTHM: Final = (2.0, 3.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
INQUIRY: Final = (ByPartnerId("domestic_payment_id"), ByParent(), Replay())
SETTLE: Final = minutes(10)  # how long a submitted payment may be under way before its consent shows it
PATHS: Final = {"v4.0": "v4.0", "v3.1.11": "v3.1"}  # v3.1.11 is served under v3.1


class PaymentConsent(Memory):
    """Which consent the payment is submitted under."""

    consent_id: str


class AccountConsent(Memory):
    """Which consent gives access to the accounts."""

    consent_id: str


class OpenBankingUK(
    Adapter[OpenBankingUKSettings],
    RedirectTransfers[PaymentConsent],
    CreateConsent,
    ContinueConsent[AccountConsent],
    FetchConsent,
    RevokeConsent,
    ListAccounts,
    FetchBalances,
    FetchTransactions,
):
    """OBIE Read/Write API v4.0 or v3.1.11, by setting; FAPI 1.0 Advanced."""

    name = "openbanking_uk"
    title = "UK Open Banking"
    version = "OBIE v4.0 and v3.1.11"

    @property
    def scheme(self) -> MessageSigning:
        """Signs payments; account requests name `TLSOnly` themselves."""
        told = self.settings
        return MessageSigning(told.client_id, told.issuer, told.organisation, told.bank_organisation, told.trust_anchor)

    def code(self, reply: Reply) -> str | None:
        return code_of(reply)

    # Transfers

    @transfer_terms(
        currencies={"GBP"},
        remittance_length=140,
        key=KEY,
        inquiry=INQUIRY,
        settle_window=SETTLE,
        rhythm=RHYTHM,
        codes=codes.TRANSFER_CREATED,
        source="OBIE Domestic Payment Consents, POST",
    )
    async def create_transfer(self, transfer: TransferInitiation, wire: Wire) -> TransferFact:
        initiation, risk = order_of(transfer, self.settings)
        consent = ConsentRequest(data=ConsentData(initiation=initiation), risk=risk)
        # A consent and its payment are two resources, so that they need two keys.
        headers = {"x_idempotency_key": f"{transfer.partner_key}-consent", "Accept": "application/json"}
        request = Request.post(self._pisp("domestic-payment-consents"), consent, **headers)
        return self._transfer(await wire.ask(request, access=self._client("payments")))

    @transfer_terms(
        key=KEY,
        inquiry=INQUIRY,
        settle_window=SETTLE,
        rhythm=RHYTHM,
        codes=codes.TRANSFER_SUBMITTED,
        source="OBIE Domestic Payments, POST",
    )
    async def continue_transfer(
        self, step: Continuation[TransferInitiation, PaymentConsent], wire: Wire
    ) -> TransferFact:
        transfer, consent_id = step.initiation, step.memory.consent_id
        if step.returned is None:
            # A replay, or somebody who goes on without a return. Only a consumed consent has a payment to repeat.
            stands = self._transfer(await self._payment_consent(consent_id, wire))
            if stands.code not in codes.CONSUMED:
                return stands
        else:
            require_intent(step.returned, consent_id)
        initiation, risk = order_of(transfer, self.settings)
        payment = PaymentRequest(data=PaymentData(consent_id=consent_id, initiation=initiation), risk=risk)
        headers = {"x_idempotency_key": transfer.partner_key, "Accept": "application/json"}
        request = Request.post(self._pisp("domestic-payments"), payment, **headers)
        return self._transfer(await wire.act(request, access=self._person(consent_id)))

    @transfer_terms(codes=codes.TRANSFER_ASKED, source="OBIE Domestic Payments and Domestic Payment Consents, GET")
    async def fetch_transfer(self, inquiry: TransferInquiry, wire: Wire) -> TransferFact:
        payment = inquiry.partner_references.get("domestic_payment_id")
        if payment is None:
            if inquiry.memory is None:
                raise NotUnderstood(
                    "the bank knows this transfer, but never said under which consent; look for its key in a statement"
                )
            consent_id = inquiry.remembered(PaymentConsent).consent_id
            return self._transfer(await self._payment_consent(consent_id, wire))
        request = Request.get(self._pisp(f"domestic-payments/{payment}"), Accept="application/json")
        return self._transfer(await wire.ask(request, access=self._client("payments")))

    # Consents to read accounts

    @consent_terms(
        inquiry=(ByPartnerId("consent_id"),),
        settle_window=SETTLE,
        rhythm=RHYTHM,
        proof=Proof.CHANNEL,
        codes=codes.CONSENT_CREATED,
        statuses=codes.CONSENT_STATUSES,
        source="OBIE Account Access Consents, POST",
    )
    async def create_consent(self, consent: ConsentInitiation, wire: Wire) -> ConsentFact:
        body = access_of(consent)
        request = Request.post(self._aisp("account-access-consents"), body, Accept="application/json")
        return self._consent(await wire.ask(unsigned(request), access=self._client("accounts")))

    @consent_terms(
        inquiry=(ByPartnerId("consent_id"),),
        settle_window=SETTLE,
        rhythm=RHYTHM,
        proof=Proof.CHANNEL,
        codes=codes.CONSENT_CREATED,
        statuses=codes.CONSENT_STATUSES,
        source="OBIE Account Access Consents, GET",
    )
    async def continue_consent(self, step: Continuation[ConsentInitiation, AccountConsent], wire: Wire) -> ConsentFact:
        consent_id = step.memory.consent_id
        if step.returned is not None:
            require_intent(step.returned, consent_id)
            # The code lives a minute. The first read under the consent has it exchanged now, for a lasting token.
            accounts = Request.get(self._aisp("accounts"), Accept="application/json")
            await wire.ask(unsigned(accounts), access=self._person(consent_id))
        return self._consent(await self._account_consent(consent_id, wire))

    @consent_terms(
        proof=Proof.CHANNEL,
        codes=codes.CONSENT_ASKED,
        statuses=codes.CONSENT_STATUSES,
        source="OBIE Account Access Consents, GET",
    )
    async def fetch_consent(self, inquiry: ConsentInquiry, wire: Wire) -> ConsentFact:
        return self._consent(await self._account_consent(consent_of(inquiry), wire))

    @consent_terms(
        key=Remembered(),
        inquiry=(Replay(),),
        proof=Proof.CHANNEL,
        codes=codes.CONSENT_REVOKED,
        source="OBIE Account Access Consents, DELETE",
    )
    async def revoke_consent(self, revocation: ConsentRevocation, wire: Wire) -> ConsentFact:
        if revocation.parent is None:
            raise Invalid("a revocation names its consent", fields=[FieldError("consent", "is needed")])
        place = self._aisp(f"account-access-consents/{consent_of(revocation.parent)}")
        reply = await wire.act(unsigned(Request.delete(place)), access=self._client("accounts"))
        errors = heard_errors(reply)
        return ConsentFact(code=code_of(reply), message=errors.message if errors else None)

    # Accounts

    @accounts_terms(proof=Proof.CHANNEL, consent=True, source="OBIE Accounts")
    async def list_accounts(self, query: AccountQuery, wire: Wire) -> Accounts:
        path = "accounts" if query.account is None else f"accounts/{query.account}"
        page = await self._read(query, path, {}, wire)
        found: tuple[Account, ...] = tuple(account.known() for account in page.data.account)
        return Accounts(accounts=found, next_page=page.links.next)

    @balances_terms(proof=Proof.CHANNEL, consent=True, source="OBIE Balances")
    async def fetch_balances(self, query: AccountQuery, wire: Wire) -> Balances:
        page = await self._read(query, of_account(query, "balances"), {}, wire)
        return Balances(balances=tuple(balance.known() for balance in page.data.balance), next_page=page.links.next)

    @transactions_terms(proof=Proof.CHANNEL, consent=True, source="OBIE Transactions")
    async def fetch_transactions(self, query: TransactionQuery, wire: Wire) -> Transactions:
        window = {"fromBookingDateTime": query.booked_from, "toBookingDateTime": query.booked_to}
        # Without a zone: the standard takes the value as UTC and ignores a zone that is given.
        asked = {name: f"{moment:%Y-%m-%dT%H:%M:%S}" for name, moment in window.items() if moment}
        page = await self._read(query, of_account(query, "transactions"), asked, wire)
        found = [entry.known() for entry in page.data.transaction]
        return Transactions(
            transactions=tuple(e for e in found if query.booked_to is None or e.booked_at < query.booked_to),
            available_from=page.meta.first_available_date_time,
            next_page=page.links.next,
        )

    async def _read(self, query: AccountQuery, path: str, asked: dict[str, str], wire: Wire) -> Listed:
        url = self._aisp(path) if query.page is None else query.page
        request = Request.get(url, None if query.page else asked, Accept="application/json")
        reply = await wire.ask(unsigned(request), access=self._person(consent_of(query.consent)))
        if reply.status != 200:
            raise NotUnderstood(f"the bank refuses the read with {code_of(reply)} (status {reply.status})")
        return reply.parse(Listed)

    # What is asked, and by which token

    def _pisp(self, path: str) -> str:
        return f"{self.settings.base_url}/open-banking/{PATHS[self.settings.version]}/pisp/{path}"

    def _aisp(self, path: str) -> str:
        return f"{self.settings.base_url}/open-banking/{PATHS[self.settings.version]}/aisp/{path}"

    def _assertion(self) -> ClientAssertion:
        told = self.settings
        return ClientAssertion(told.client_id, told.assertion_audience or told.token_endpoint)

    def _client(self, scope: str) -> ClientCredentials:
        told, assertion = self.settings, self._assertion()
        asked = told.client_scope + scope
        return ClientCredentials(
            f"client:{scope}", told.token_endpoint, told.client_id, "scheme", asked, scheme=assertion
        )

    def _person(self, consent_id: str) -> AuthorisationCode:
        told, assertion = self.settings, self._assertion()
        return AuthorisationCode(
            f"consent:{consent_id}", told.token_endpoint, told.client_id, "scheme", scheme=assertion
        )

    async def _payment_consent(self, consent_id: str, wire: Wire) -> Reply:
        request = Request.get(self._pisp(f"domestic-payment-consents/{consent_id}"), Accept="application/json")
        return await wire.ask(request, access=self._client("payments"))

    async def _account_consent(self, consent_id: str, wire: Wire) -> Reply:
        request = Request.get(self._aisp(f"account-access-consents/{consent_id}"), Accept="application/json")
        return await wire.ask(unsigned(request), access=self._client("accounts"))

    # What was said

    def _transfer(self, reply: Reply) -> TransferFact:
        code = code_of(reply)
        errors = heard_errors(reply)
        if errors is not None or code is None or "/" not in code:
            return TransferFact(code=code, message=errors.message if errors else None)
        data = reply.parse(Stated).data
        paid, known = data.domestic_payment_id, {"consent_id": data.consent_id}
        return TransferFact(
            code=code,
            message=data.reason,
            partner_key=data.initiation.end_to_end_identification if data.initiation else None,
            references={**known, "domestic_payment_id": paid} if paid else known,
            amount=data.initiation.instructed_amount.money if data.initiation else None,
            at=data.status_update_date_time,
            scheme_status=codes.ISO_STATUS.get(data.status, data.status) if paid else None,
            next_action=self._link("payments", data.consent_id) if code in codes.AWAITING else None,
            memory=PaymentConsent(consent_id=data.consent_id),
        )

    def _consent(self, reply: Reply) -> ConsentFact:
        code = code_of(reply)
        errors = heard_errors(reply)
        if errors is not None or code is None or "/" not in code:
            return ConsentFact(code=code, message=errors.message if errors else None)
        data = reply.parse(Stated).data
        return ConsentFact(
            code=code,
            message=data.reason,
            references={"consent_id": data.consent_id},
            at=data.status_update_date_time,
            expires_at=data.expiration_date_time,
            next_action=self._link("accounts", data.consent_id) if code in codes.AWAITING else None,
            memory=AccountConsent(consent_id=data.consent_id),
        )

    def _link(self, scope: str, consent_id: str) -> SignedLink:
        """Claims of the request object (OBIE "Security Profile", FAPI 1.0 Advanced section 5.2.2)."""
        intent = {INTENT: {"value": consent_id, "essential": True}}
        wanted = {"id_token": {**intent, "acr": {"essential": True, "values": list(ACR)}}, "userinfo": intent}
        claims: dict[str, Any] = {"scope": f"openid {scope}", "claims": wanted}
        return SignedLink(self.settings.authorization_endpoint, LINK_LIFE, claims)


def unsigned(request: Request) -> Request:
    """An account request: what proves it, and its answer, is the TLS channel."""
    return Request(request.method, request.url, request.headers, request.body, TLS)


def require_intent(returned: Returned, consent_id: str) -> None:
    """The id_token speaks about the consent that this operation made. Raises `NotProven`."""
    if returned.parameters.get(INTENT) != consent_id:
        raise NotProven("the person authorised another consent than this operation's")


def consent_of(known: Known) -> str:
    """Raises `AdapterError` where no consent is remembered."""
    return known.remembered(AccountConsent).consent_id


def of_account(query: AccountQuery, resource: str) -> str:
    """The path for one account, or for all of the consent."""
    return resource if query.account is None else f"accounts/{query.account}/{resource}"


def heard_errors(reply: Reply) -> Errors | None:
    """The error body, where there is one. Raises `NotUnderstood`."""
    body = reply.json() if reply.body else None
    return understood(Errors, body) if isinstance(body, dict) and "Errors" in body else None
