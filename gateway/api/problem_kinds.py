"""Every kind of problem that the API answers with, as one table: what it means and what to do about it.

Rules
- The kind is the last part of the problem's `type` and never changes; titles and sentences may.
- The pages under /problems, the OpenAPI document and the reference are rendered from this table.
- A kind that something below raises and that is not listed here fails a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["PROBLEM_KINDS", "ProblemKind"]


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """`status` is the usual one; `remedy` tells the caller what to do next."""

    name: str
    status: int
    title: str
    meaning: str
    remedy: str


_REACHED_NOBODY: Final = (
    # Who is calling
    ProblemKind(
        "unauthenticated",
        401,
        "No valid API key",
        "The call carries no API key, or one that this gateway does not know.",
        "Send `Authorization: Bearer lg_sandbox_…` (or `lg_production_…`) with a key that was issued for this gateway.",
    ),
    ProblemKind(
        "wrong_mode",
        401,
        "API key of another mode",
        "Keys of the sandbox work in the sandbox only, keys of production in production only.",
        "Use the key that belongs to this gateway.",
    ),
    ProblemKind(
        "forbidden",
        403,
        "The role of this key does not allow that",
        "Platforms act; operators and auditors read.",
        "Use a key with one of the roles that the reference names for this call.",
    ),
    # How it is said
    ProblemKind(
        "not_found",
        404,
        "No such thing",
        "Nothing with this address or id exists, or it belongs to another client.",
        "Check the id and the path.",
    ),
    ProblemKind(
        "method_not_allowed",
        405,
        "Another method is needed",
        "This address exists, but not for this method.",
        "Use a method that the `Allow` header names.",
    ),
    ProblemKind(
        "unsupported_media_type",
        415,
        "The body must be plain JSON",
        "The content type is not `application/json`, the charset is not UTF-8, or there is a Content-Encoding.",
        "Send `Content-Type: application/json` and the body as it is.",
    ),
    ProblemKind(
        "body_too_large",
        413,
        "The body is too large",
        "The body has more bytes than this call takes.",
        "Send less; files are referred to, not embedded.",
    ),
    ProblemKind(
        "body_too_slow",
        408,
        "The body did not arrive in time",
        "The body was announced but not received within ten seconds.",
        "Call again with the same Idempotency-Key.",
    ),
    ProblemKind(
        "malformed_json",
        400,
        "The body is not JSON",
        "The body is no UTF-8 JSON object, names a member twice, is nested too deeply, or holds a number that is none.",
        "Send one JSON object (RFC 8259) with each member once.",
    ),
    ProblemKind(
        "malformed_request",
        400,
        "A header or the request line is wrong",
        "A header came twice or has the wrong form, or the connection asks for another protocol.",
        "Correct what the detail names.",
    ),
    ProblemKind(
        "idempotency_key_required",
        400,
        "An Idempotency-Key is needed",
        "Every call that may move or cost money is named by a key, so that repeating it does nothing twice.",
        "Send `Idempotency-Key` once, with 1 to 255 printable ASCII characters; keep it until there is an answer.",
    ),
    ProblemKind(
        "invalid_query",
        422,
        "Query parameters are wrong",
        "A query parameter is unknown, is given twice, or has a value that it cannot have.",
        "Correct the parameters that `errors` names.",
    ),
    ProblemKind(
        "too_many_calls",
        429,
        "Too many calls at once",
        "This client has as many calls in flight as the gateway runs for one client.",
        "Call again with the same Idempotency-Key when others have ended.",
    ),
)

_REFUSED: Final = (
    ProblemKind(
        "invalid_fields",
        422,
        "Fields are wrong",
        "Fields of the body are missing, unknown, or not what this partner takes. All of them are named at once.",
        "Correct the fields that `errors` names. Neither the key nor the reference is used up.",
    ),
    ProblemKind(
        "refused",
        422,
        "Refused",
        "The call cannot be done as it stands.",
        "Read the detail.",
    ),
    ProblemKind(
        "unknown_connection",
        422,
        "No such connection",
        "The connection is not configured here, or it is not working.",
        "Use one that GET /v1/partners lists as working.",
    ),
    ProblemKind(
        "unknown_partner",
        404,
        "No such partner",
        "No adapter for a partner of this name is installed and allowed here.",
        "Use one that GET /v1/partners lists.",
    ),
    ProblemKind(
        "unsupported_verb",
        422,
        "The partner does not do this",
        "The partner, or its adapter, has no such act.",
        "GET /v1/partners/{partner} lists what it does.",
    ),
    ProblemKind(
        "consent_not_active",
        422,
        "The consent is not active",
        "It waits for the person, has expired, or was revoked.",
        "Ask the person for a new consent, or wait until this one is active.",
    ),
    ProblemKind(
        "conflict",
        409,
        "Something stands against it",
        "What already exists does not let this call through.",
        "Read the detail; `operation` names what stands in the way.",
    ),
    ProblemKind(
        "call_in_progress",
        409,
        "The call is still running",
        "The call of this operation has not ended yet.",
        "Call again after `Retry-After` with the same Idempotency-Key.",
    ),
    ProblemKind(
        "idempotency_key_reused",
        422,
        "The Idempotency-Key belongs to another call",
        "The same key was used with another body or address before.",
        "Use a new key for a new call.",
    ),
    ProblemKind(
        "reference_taken",
        409,
        "This call was made before",
        "The same reference and body came before under another Idempotency-Key.",
        "Read the operation that `operation` names; do not call again.",
    ),
    ProblemKind(
        "reference_reused",
        422,
        "The reference belongs to another call",
        "A reference is unique for ever per client and kind, and this one names something else.",
        "Use a new reference for a new obligation.",
    ),
    ProblemKind(
        "partner_key_taken",
        409,
        "The partner knows another act under this business key",
        "This partner goes by a business field, and another operation has the same value in it.",
        "Check the field; `operation` names the other operation, if it is known.",
    ),
    ProblemKind(
        "open_sibling",
        409,
        "Another operation for the same object is open",
        "An operation with the same `links_to` has not ended, so a second one might pay twice.",
        "Wait for it to end, or name it in `despite` to go on all the same.",
    ),
    ProblemKind(
        "amount_not_available",
        422,
        "The parent does not leave that much",
        "What was refunded or is being refunded, together with this amount, exceeds what was captured.",
        "Ask for at most what is left.",
    ),
    ProblemKind(
        "no_step",
        409,
        "There is no step to take",
        "The operation does not wait for a person.",
        "Read the operation.",
    ),
)

_BY_HAND: Final = (
    ProblemKind(
        "nothing_to_settle",
        409,
        "It stands so already",
        "The operation is in the state that it was to be settled in.",
        "Read the operation.",
    ),
)

_QUARANTINE: Final = (
    ProblemKind(
        "no_quarantine",
        409,
        "There is nothing to clear",
        "Nothing, or not this connection, is in quarantine.",
        "Read GET /v1/quarantine.",
    ),
)

_ERASURE: Final = (
    ProblemKind(
        "legal_hold",
        409,
        "It is under legal hold",
        "Somebody put this person's data under legal hold: nothing of it is erased. Nothing was changed.",
        "Ask who holds it. An operator ends the hold with POST /v1/audit/holds/release.",
    ),
    ProblemKind(
        "no_legal_hold",
        409,
        "There is no legal hold",
        "This person's data is not under legal hold.",
        "Compare client and subject with those that were held.",
    ),
    ProblemKind(
        "operations_open",
        409,
        "Operations have not ended",
        "Operations about this person are still open: what they are about is needed to find out how they end.",
        "Erase again when the named operations have ended; settle by hand those that nobody can find out about.",
    ),
)

_NOT_NOW: Final = (
    ProblemKind(
        "overloaded",
        503,
        "Not now",
        "The gateway, or the way to this partner, is full or closed for now. Nothing was sent.",
        "Call again after `Retry-After` with the same Idempotency-Key.",
    ),
    ProblemKind(
        "quarantined",
        503,
        "This may have been done before",
        "The gateway's store was put back to an older day, and it is not sure that this was not sent before. Nothing "
        "was sent now. Neither the key nor the reference is used up.",
        "Call again after `Retry-After` with the same reference; never with a new one.",
    ),
    ProblemKind(
        "partner_unreachable",
        503,
        "The partner cannot be reached",
        "Nothing was sent, so nothing can have happened. Neither the key nor the reference is used up.",
        "Call again after `Retry-After` with the same Idempotency-Key.",
    ),
    ProblemKind(
        "partner_no_answer",
        502,
        "The partner gave no usable answer",
        "A question that moves nothing was not answered, or not by proven bytes.",
        "Ask again after `Retry-After`.",
    ),
    ProblemKind(
        "adapter_error",
        502,
        "The adapter failed",
        "The partner's adapter broke its contract before anything was sent. The operator is told.",
        "Call again with the same Idempotency-Key once it is repaired.",
    ),
)

_HAPPENED: Final = (
    ProblemKind(
        "declined",
        422,
        "The partner declined",
        "The partner answered, provably, that it does not do this. `operation` carries its code and message.",
        "A new try needs a new reference.",
    ),
    ProblemKind(
        "not_sent",
        503,
        "Nothing happened",
        "The act provably did not happen: nothing left, or the partner did not execute it. The operation has failed.",
        "A new try needs a new reference.",
    ),
    ProblemKind(
        "failed",
        422,
        "The operation failed",
        "It provably did not happen; `operation` carries the reason.",
        "A new try needs a new reference.",
    ),
    ProblemKind(
        "storage_failed",
        503,
        "The gateway cannot keep records",
        "The store failed, so nothing may be promised; the gateway stops. Whether this call acted is unknown.",
        "Call again with the same Idempotency-Key when the gateway is back.",
    ),
    ProblemKind(
        "internal_error",
        500,
        "The gateway failed",
        "Something in the gateway went wrong; whether this call acted is unknown. The operator is told.",
        "Call again with the same Idempotency-Key: it acts once at most.",
    ),
)

PROBLEM_KINDS: Final[Mapping[str, ProblemKind]] = {
    kind.name: kind for kind in (*_REACHED_NOBODY, *_REFUSED, *_BY_HAND, *_QUARANTINE, *_ERASURE, *_NOT_NOW, *_HAPPENED)
}
"""Name to kind, in the order in which a reader meets them."""
