from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.audit.journal import Journal
from gateway.audit.record import SALT_BYTES, commitment, leaf_hash, sealing_context
from gateway.crypto.seal import Sealer
from gateway.store.interface import Draft
from gateway.testing.clock import ManualClock
from tests.audit.history import REQUEST, SECRET, a_change, an_intent, an_outcome, sha256
from tests.store.rows import a_record


def leaf_of(draft: Draft) -> dict[str, Any]:
    leaf, hash_ = draft.finish(1, "", 1)
    assert hash_ == leaf_hash(leaf)
    return dict(json.loads(leaf))


def opened(draft: Draft, sealer: Sealer) -> tuple[bytes, bytes]:
    """Salt and exact bytes of the sealed part."""
    assert draft.body is not None
    plain = sealer.open(draft.body, sealing_context(draft.kind, draft.id))
    return plain[:SALT_BYTES], plain[SALT_BYTES:]


def test_an_intent_says_what_leaves_and_under_which_key(journal: Journal) -> None:
    draft = an_intent(journal, consent="consent_1", purpose="credit decision")

    leaf = leaf_of(draft)

    assert {name: leaf[name] for name in leaf if name not in ("request", "sealed")} == {
        "format": 1,
        "id": draft.id,
        "kind": "intent",
        "at": "2026-01-01T01:30:00.000000Z",
        "mode": "sandbox",
        "process": "proc_1",
        "chain": "pay_1",
        "client": "shop",
        "connection": "riverbank-main",
        "partner": "riverbank",
        "operation": "pay_1",
        "verb": "create_payment",
        "attempt": 1,
        "effect": True,
        "method": "POST",
        "url": "https://bank.example:8443/pay/orders?token&name",
        "scheme": "riverbank-hmac",
        "key_id": "k1",
        "consent": "consent_1",
        "purpose": "credit decision",
        "place": {"number": 1, "previous": "", "counter": 1},
    }
    assert (draft.chain, draft.client, draft.kind) == ("pay_1", "shop", "intent")


def test_an_intent_commits_to_what_it_seals(journal: Journal, sealer: Sealer) -> None:
    draft = an_intent(journal)

    salt, exact = opened(draft, sealer)

    assert exact == REQUEST.body
    assert draft.digest is not None and draft.content is not None and draft.body is not None
    assert leaf_of(draft)["request"] == {
        "hash": commitment(salt, draft.digest),
        "content": commitment(salt, draft.content),
        "body": commitment(salt, sha256(REQUEST.body)),
        "size": len(REQUEST.body),
    }
    assert leaf_of(draft)["sealed"] == {"hash": sha256(draft.body), "size": len(draft.body)}


def test_each_record_has_a_salt_of_its_own(journal: Journal) -> None:
    first, second = an_intent(journal), an_intent(journal)

    assert first.digest == second.digest
    assert leaf_of(first)["request"]["hash"] != leaf_of(second)["request"]["hash"]


def test_an_outcome_answers_its_intent_in_the_same_chain(journal: Journal, sealer: Sealer) -> None:
    intent = an_intent(journal, attempt=3)
    draft = an_outcome(journal, intent)

    leaf = leaf_of(draft)
    salt, exact = opened(draft, sealer)

    assert (draft.chain, draft.client, leaf["intent"]) == ("pay_1", "shop", intent.id)
    assert (leaf["verb"], leaf["attempt"], leaf["partner"], leaf["operation"]) == (
        *("create_payment", 3),
        *("riverbank", "pay_1"),
    )
    assert (leaf["observed"], leaf["status"], leaf["code"], leaf["verdict"]) == ("GENUINE", 200, "PAID", "proven")
    assert leaf["reply"] == {"hash": commitment(salt, sha256(exact)), "size": len(exact)}


def test_silence_seals_nothing(journal: Journal) -> None:
    draft = an_outcome(journal, an_intent(journal), reply_bytes=None, status=None, code=None, verdict="none")

    assert draft.body is None
    assert not {"reply", "sealed", "status", "code"} & leaf_of(draft).keys()


def test_an_outcome_needs_an_intent_of_a_journal(journal: Journal) -> None:
    with pytest.raises(TypeError, match="answers an intent"):
        an_outcome(journal, a_record("pay_1").draft)


def test_nothing_secret_or_personal_is_in_clear(journal: Journal) -> None:
    intent = an_intent(journal)
    drafts = [
        intent,
        an_outcome(journal, intent),
        journal.callback(chain="cb_1", connection="c", partner="p", verdict="proven", digest=sha256(SECRET.encode())),
    ]

    for draft in drafts:
        leaf, _ = draft.finish(1, "", 1)
        assert draft.body is not None
        for known in (SECRET, sha256(SECRET.encode()), str(intent.digest), str(intent.content)):
            assert known.encode() not in leaf
            assert known.encode() not in draft.body


def test_a_callback_keeps_its_salt_sealed(journal: Journal, sealer: Sealer) -> None:
    draft = journal.callback(
        chain="cb_1", connection="riverbank-main", partner="riverbank", verdict="forged", digest="ab" * 32
    )

    salt, exact = opened(draft, sealer)

    assert leaf_of(draft)["request"] == {"hash": commitment(salt, "ab" * 32)}
    assert (draft.chain, draft.client, draft.digest, exact) == ("cb_1", "", "ab" * 32, b"")


def test_a_change_says_from_what_to_what_and_why(journal: Journal) -> None:
    leaf = leaf_of(a_change(journal, raised=("late_success",), status="active", evidence="rec_9"))

    assert (leaf["before"], leaf["after"], leaf["source"], leaf["proof"]) == (
        *("processing", "succeeded"),
        *("reply", "signature"),
    )
    assert (leaf["code"], leaf["meaning"], leaf["raised"]) == ("PAID", "succeeded", ["late_success"])
    assert (leaf["status"], leaf["evidence"]) == ("active", "rec_9")


def test_a_refusal_is_a_chain_of_its_own(journal: Journal) -> None:
    draft = journal.refusal(client="shop", route="POST /v1/payments", problem="invalid_fields", status=422)

    leaf = leaf_of(draft)

    assert draft.chain == draft.id == leaf["chain"]
    assert (leaf["route"], leaf["problem"], leaf["status"]) == ("POST /v1/payments", "invalid_fields", 422)


def test_a_persons_act_stands_in_the_chain_of_what_it_is_about(journal: Journal) -> None:
    about = journal.act(
        actor="key_7", what="settle", operation="pay_1", reason="statement of 3 March", evidence="doc_9"
    )
    alone = journal.act(actor="key_7", what="export", client="shop")

    assert (about.chain, alone.chain) == ("pay_1", alone.id)
    assert leaf_of(about)["actor"] == "key_7"
    assert (leaf_of(about)["reason"], leaf_of(about)["evidence"]) == ("statement of 3 March", "doc_9")


def test_what_happens_to_the_gateway_is_its_processs_chain(journal: Journal) -> None:
    draft = journal.system(what="start", detail={"plugins": [{"name": "riverbank", "version": "1.0", "sha256": "ab"}]})

    assert (draft.chain, draft.client) == ("proc_1", "")
    assert leaf_of(draft)["detail"]["plugins"][0]["version"] == "1.0"


def test_what_others_wrote_cannot_fill_a_leaf(journal: Journal) -> None:
    intent = an_intent(journal)

    for draft in (
        an_outcome(journal, intent, code="x" * 10**6, detail="y" * 10**6),
        a_change(journal, code="张" * 10**6),
        journal.refusal(client="shop", route="/" * 10**6, problem="invalid_fields", status=422, reference="r" * 10**6),
        journal.act(actor="key_7", what="note", reason="z" * 10**6, evidence="e" * 10**6),
    ):
        assert len(draft.finish(1, "", 1)[0]) < 10_000


def test_the_time_is_the_clocks(journal: Journal, clock: ManualClock) -> None:
    assert an_intent(journal).at == clock.now()
