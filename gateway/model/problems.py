"""Everything that can go wrong, split by who must act.

    GatewayError
    ├── Refused                  the platform: its call cannot be done as it stands; nothing was sent
    │   ├── Invalid              …fields are wrong (all of them are named)
    │   ├── Unsupported          …the partner does not do this
    │   ├── Conflicting          …the key, reference, parent or sibling stands against it
    │   ├── NotFound             …there is no such thing, or it belongs to somebody else
    │   └── Overloaded           …not now
    ├── PartnerError             the partner, or what lies in between
    │   ├── NotProven            …a message proves nothing (unsigned, badly signed, made by something in between)
    │   │   └── UnknownKey       …signed with a key that is not held
    │   ├── NotUnderstood        …a proven message does not have the form that the protocol gives
    │   ├── NotSent              …nothing left this machine
    │   ├── NoAnswer             …a question got no proven answer
    │   ├── TokenRefused         …the partner refuses our token, also a new one
    │   ├── ConsentRequired      …a person must authorise first
    │   └── OutcomeUnknown       …an act may have happened: nobody knows yet
    ├── ConfigurationError       the operator: a file, a key or a setting is wrong
    ├── AdapterError             the adapter's author: the contract was broken
    └── StorageError             the operator: the disk or database failed; nothing may be promised

Each message says what to do next where there is something to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "AdapterError",
    "ConfigurationError",
    "Conflicting",
    "ConsentRequired",
    "FieldError",
    "GatewayError",
    "Invalid",
    "NoAnswer",
    "NotFound",
    "NotProven",
    "NotSent",
    "NotUnderstood",
    "Outcome",
    "OutcomeUnknown",
    "Overloaded",
    "PartnerError",
    "Refused",
    "Retry",
    "StorageError",
    "TokenRefused",
    "UnknownKey",
    "Unsupported",
]


class Outcome(StrEnum):
    """What the caller must believe about the money."""

    NOT_SENT = "not_sent"
    DECLINED = "declined"
    UNKNOWN = "unknown"


class Retry(StrEnum):
    """What is safe to do next."""

    SAME_KEY = "same_key"
    NEW_REFERENCE = "new_reference"
    AFTER = "after"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its path (`creditor.account.identification`) and what is wrong with it."""

    path: str
    detail: str


class GatewayError(Exception):
    """The root of everything the gateway raises on purpose."""


class Refused(GatewayError):
    """A call that is refused before anything was sent.

    `kind` is the last part of the problem's `type` URI; `members` are shown to the caller.
    """

    status = 422
    kind = "refused"

    def __init__(
        self,
        detail: str,
        *,
        kind: str | None = None,
        retry: Retry = Retry.NEVER,
        retry_after_seconds: int | None = None,
        fields: Sequence[FieldError] = (),
        members: Mapping[str, object] | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.kind = kind or type(self).kind
        self.status = status or type(self).status
        self.retry = retry
        self.retry_after_seconds = retry_after_seconds
        self.fields = tuple(fields)
        self.members = dict(members or {})


class Invalid(Refused):
    """Fields are wrong; all of them are named at once."""

    kind = "invalid_fields"


class Unsupported(Refused):
    """The partner, or its adapter, does not do this."""

    kind = "unsupported_verb"


class Conflicting(Refused):
    """Something that exists stands against the call; `members["operation"]` names it where there is one."""

    status = 409
    kind = "conflict"


class NotFound(Refused):
    """There is no such thing for this client."""

    status = 404
    kind = "not_found"


class Overloaded(Refused):
    """The gateway, or the way to this partner, is full or closed for now."""

    status = 503
    kind = "overloaded"


class PartnerError(GatewayError):
    """Something about a partner or the way to it."""


class NotProven(PartnerError):
    """A message proves nothing."""


class UnknownKey(NotProven):
    """A message is signed with a key that is not held."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"signed with the key {key_id[:80]!r}, which is not held for this connection")
        self.key_id = key_id


class NotUnderstood(PartnerError):
    """A message does not have the form that the protocol gives."""


class NotSent(PartnerError):
    """Nothing left this machine, so nothing can have happened."""


class NoAnswer(PartnerError):
    """A question got no proven answer; asking again is safe."""


class TokenRefused(PartnerError):
    """The partner refuses our token, also after it was renewed."""


class ConsentRequired(PartnerError):
    """A person must authorise before this can be asked."""


class OutcomeUnknown(PartnerError):
    """An act may have happened. Only an inquiry can tell."""


class ConfigurationError(GatewayError):
    """Configuration, a key or a file is wrong. The message names the place and the remedy."""


class AdapterError(GatewayError):
    """An adapter broke the contract. The message names the adapter, what it did and what it should do."""


class StorageError(GatewayError):
    """The store failed: nothing may be promised any more, so the process stops."""
