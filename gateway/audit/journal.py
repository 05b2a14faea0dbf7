"""Drafts of records, one method for each thing that is recorded.

Rules
- Pure but for time, chance and the seal, which are handed in: a draft becomes a record when the store commits it.
- What is exact (requests, replies) is sealed; the leaf holds a commitment to it. What a partner or a person wrote is
  cut to a length, because it is not ours and a leaf is small.
- The sealed part begins with the record's salt.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gateway.audit.record import FORMAT, SALT_BYTES, Leaf, commitment, instant, sealing_context, shown
from gateway.audit.vault import Vault
from gateway.crypto.envelope import key_commitment
from gateway.model.clock import Clock
from gateway.model.ids import Identifiers
from gateway.model.message import Request
from gateway.store.interface import Draft

__all__ = ["Journal"]

WORD: Final = 128
"""Characters of a code or a name that came from outside."""

SENTENCE: Final = 1000
"""Characters of something that was written by a person or says what went wrong."""

ADDRESS: Final = 2000


class Journal:
    """Makes drafts for one process. `process` names this run of it: no other run may have the same name.

    `seal(plaintext, context)` gives what is stored; `mode` is `sandbox` or `production`. With a `vault` everything that
    is about a client's operation is sealed there, under a key that can be destroyed.
    """

    def __init__(
        self,
        ids: Identifiers,
        clock: Clock,
        mode: str,
        process: str,
        seal: Callable[[bytes, bytes], bytes],
        vault: Vault | None = None,
    ) -> None:
        self._ids = ids
        self._clock = clock
        self._mode = mode
        self._process = process
        self._seal = seal
        self._vault = vault

    def intent(
        self,
        *,
        chain: str,
        client: str,
        connection: str,
        partner: str,
        operation: str | None,
        verb: str,
        attempt: int,
        request: Request,
        digest: str,
        content: str | None,
        sealed_body: bytes | None,
        scheme: str,
        key_id: str,
        effect: bool,
        consent: str | None = None,
        purpose: str | None = None,
    ) -> Draft:
        """A request that is about to leave. `request` is as it may be shown; `sealed_body` is exact.

        `digest` is the SHA-256 of what is handed to the socket, `content` that of an act's body before it was signed.
        """
        salt = self._salt()
        fields = {
            "connection": connection,
            "partner": partner,
            "operation": operation,
            "verb": verb,
            "attempt": attempt,
            "effect": effect,
            "method": request.method,
            "url": shown(request.url)[:ADDRESS],
            "request": _asked(salt, digest, content, sealed_body),
            "scheme": scheme,
            "key_id": key_id[:WORD],
            "consent": consent,
            "purpose": purpose,
        }
        return self._draft(
            "intent",
            fields,
            chain=chain,
            client=client,
            sealed=salt + (sealed_body or b""),
            digest=digest,
            content=content,
        )

    def outcome(
        self,
        *,
        intent: Draft,
        observed: str,
        status: int | None = None,
        code: str | None = None,
        verdict: str,
        reply_bytes: bytes | None = None,
        detail: str | None = None,
    ) -> Draft:
        """What came of an intent: `observed` on the wire, and the `verdict` on the proof of what was received."""
        if not isinstance(intent.finish, Leaf):
            raise TypeError("an outcome answers an intent of this journal")
        salt = self._salt()
        asked = intent.finish.fields
        fields = {name: asked.get(name) for name in ("connection", "partner", "operation", "verb", "attempt")} | {
            "intent": intent.id,
            "observed": observed,
            "status": status,
            "code": _cut(code, WORD),
            "verdict": verdict,
            "detail": _cut(detail, SENTENCE),
            "reply": None if reply_bytes is None else _committed(salt, reply_bytes, "hash"),
        }
        sealed = None if reply_bytes is None else salt + reply_bytes
        return self._draft("outcome", fields, chain=intent.chain, client=intent.client, sealed=sealed)

    def callback(
        self,
        *,
        chain: str,
        connection: str,
        partner: str,
        verdict: str,
        digest: str,
        client: str = "",
        operation: str | None = None,
        code: str | None = None,
    ) -> Draft:
        """A partner's own message and what became of it; `digest` is its SHA-256, the message itself is kept apart."""
        salt = self._salt()
        fields = {
            "connection": connection,
            "partner": partner,
            "operation": operation,
            "verdict": verdict,
            "code": _cut(code, WORD),
            "request": {"hash": commitment(salt, digest)},
        }
        return self._draft("callback", fields, chain=chain, client=client, sealed=salt, digest=digest)

    def change(
        self,
        *,
        chain: str,
        client: str,
        connection: str,
        partner: str,
        operation: str,
        before: str,
        after: str,
        source: str,
        proof: str,
        code: str | None = None,
        meaning: str,
        status: str | None = None,
        raised: Sequence[str] = (),
        evidence: str | None = None,
    ) -> Draft:
        """What a fact did to an operation: the state `before` and `after`, and by which way and proof it came."""
        fields = {
            "connection": connection,
            "partner": partner,
            "operation": operation,
            "before": before,
            "after": after,
            "source": source,
            "proof": proof,
            "code": _cut(code, WORD),
            "meaning": meaning,
            "status": status,
            "raised": list(raised) or None,
            "evidence": evidence,
        }
        return self._draft("change", fields, chain=chain, client=client)

    def refusal(
        self,
        *,
        client: str,
        route: str,
        problem: str,
        status: int,
        reference: str | None = None,
        actor: str | None = None,
    ) -> Draft:
        """An authenticated call that was refused before anything was sent."""
        fields = {
            "route": _cut(route, ADDRESS),
            "problem": problem,
            "status": status,
            "reference": _cut(reference, WORD),
            "actor": actor,
        }
        return self._draft("refusal", fields, client=client)

    def act(
        self,
        *,
        actor: str,
        what: str,
        operation: str | None = None,
        reason: str | None = None,
        evidence: str | None = None,
        client: str = "",
        subject: str | None = None,
    ) -> Draft:
        """What a person did: `actor` is the authenticated key. The reason is kept for ever and names no customer.

        `subject` is the tag of whom it was about.
        """
        fields = {
            "actor": actor,
            "what": what,
            "operation": operation,
            "reason": _cut(reason, SENTENCE),
            "evidence": _cut(evidence, SENTENCE),
            "subject": subject,
        }
        return self._draft("act", fields, chain=operation, client=client)

    def system(self, *, what: str, detail: Mapping[str, Any] | None = None) -> Draft:
        """Something about the gateway itself: start, stop, keys, configuration, plugins with versions and digests.

        These form the process's own chain. `detail` holds strings, integers, booleans, lists and mappings.
        """
        return self._draft("system", {"what": what, "detail": detail or None}, chain=self._process, client="")

    def _sealed(self, chain: str, client: str, kind: str, plain: bytes, id_: str) -> bytes:
        context = sealing_context(kind, id_)
        # A request of no client is the gateway's own: it fetches a token, or a partner's keys.
        if self._vault is None or (not client and kind != "callback"):
            return self._seal(plain, context)
        return self._vault.seal(chain, plain, context)

    def _salt(self) -> bytes:
        return self._ids.chance(SALT_BYTES)

    def _draft(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        client: str,
        chain: str | None = None,
        sealed: bytes | None = None,
        digest: str | None = None,
        content: str | None = None,
    ) -> Draft:
        id_, at = self._ids.new("rec"), self._clock.now()
        body = None if sealed is None else self._sealed(chain or id_, client, kind, sealed, id_)
        leaf = Leaf(
            {
                "format": FORMAT,
                "id": id_,
                "kind": kind,
                "at": instant(at),
                "mode": self._mode,
                "process": self._process,
                "chain": chain or id_,
                "client": client,
                "sealed": None if body is None else _named(body),
                **fields,
            }
        )
        return Draft(id_, chain or id_, client, kind, at, leaf, digest, content, body)


def _named(body: bytes) -> dict[str, Any]:
    """What a leaf says of its sealed part: which it is, and the one key that opens it."""
    named = {"hash": hashlib.sha256(body).hexdigest(), "size": len(body)}
    key = key_commitment(body)
    return named if key is None else named | {"key": key}


def _asked(salt: bytes, digest: str, content: str | None, body: bytes | None) -> dict[str, Any]:
    asked: dict[str, Any] = {"hash": commitment(salt, digest)}
    if content is not None:
        asked["content"] = commitment(salt, content)
    if body is not None:
        asked |= _committed(salt, body, "body")
    return asked


def _committed(salt: bytes, exact: bytes, name: str) -> dict[str, Any]:
    return {name: commitment(salt, hashlib.sha256(exact).hexdigest()), "size": len(exact)}


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else text[:length]
