"""Checkpoints: published ones, whose they are, and who cosigned them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.audit.checkpoint import Checkpoint, cosign_checkpoint, open_checkpoint, sign_checkpoint
from gateway.audit.note import InvalidNote, Kind, Note, Signer, VerifierKey, encode_base64, format_note, parse_note
from gateway.audit.tree import EMPTY_ROOT
from tests.audit.logs import NOON, ORIGIN, a_signer

TESSERA: dict[str, Any] = json.loads(
    Path(__file__).with_name("vectors").joinpath("tessera-testlog-15.json").read_text()
)
ROOT = bytes(range(32))


@pytest.mark.parametrize("size", range(16))
def test_each_checkpoint_of_a_published_log_opens(size: int) -> None:
    raw = base64.b64decode(TESSERA["files_base64"][f"checkpoint.{size}"])

    opened = open_checkpoint(raw, VerifierKey.parse(TESSERA["vkey"]))

    assert (opened.checkpoint.origin, opened.checkpoint.size) == (TESSERA["origin"], size)


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    signer = a_signer()

    raw = sign_checkpoint(Checkpoint(ORIGIN, 20_852_163, ROOT), signer)

    text, _, signature = raw.decode().partition("\n\n")
    assert text.split("\n") == [ORIGIN, "20852163", encode_base64(ROOT)]
    assert signature.startswith(f"— {ORIGIN} ") and signature.count("\n") == 1
    assert open_checkpoint(raw, signer.key).checkpoint == Checkpoint(ORIGIN, 20_852_163, ROOT)


def test_extension_lines_of_others_are_read_and_kept() -> None:
    signer = a_signer()
    checkpoint = Checkpoint(ORIGIN, 1, ROOT, ("one", "two"))

    assert open_checkpoint(sign_checkpoint(checkpoint, signer), signer.key).checkpoint == checkpoint


def test_a_checkpoint_of_another_log_is_refused_though_the_key_is_right() -> None:
    signer = a_signer()
    raw = sign_checkpoint(Checkpoint("log.example/other", 1, ROOT), signer)

    with pytest.raises(InvalidNote, match=r"of the log 'log\.example/other'"):
        open_checkpoint(raw, signer.key)


def test_a_checkpoint_that_only_witnesses_signed_is_refused() -> None:
    log, witness = a_signer(), a_signer("witness.example/w", Kind.COSIGNATURE)
    text = Checkpoint(ORIGIN, 1, ROOT).text()
    raw = format_note(Note(text, (witness.sign(text, NOON),)))

    with pytest.raises(InvalidNote, match="not signed by its log"):
        open_checkpoint(raw, log.key, [witness.key])


def test_a_quorum_counts_known_witnesses() -> None:
    log = a_signer()
    witnesses = [a_signer(f"witness.example/{number}", Kind.COSIGNATURE) for number in range(3)]
    raw = sign_checkpoint(Checkpoint(ORIGIN, 1, ROOT), log)
    for witness in (*witnesses[:2], a_signer("stranger.example/s", Kind.COSIGNATURE)):
        raw = cosign_checkpoint(raw, witness, NOON)
    known = [witness.key for witness in witnesses]

    opened = open_checkpoint(raw, log.key, known, quorum=2)

    assert [(one.key, one.at) for one in opened.witnesses] == [(known[0], NOON), (known[1], NOON)]
    with pytest.raises(InvalidNote, match="2 of the known witnesses cosigned the checkpoint; 3 have to"):
        open_checkpoint(raw, log.key, known, quorum=3)


def test_one_witness_under_two_names_counts_once_and_the_log_itself_not_at_all() -> None:
    private, log_private = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    log = Signer(VerifierKey(ORIGIN, Kind.ED25519, log_private.public_key().public_bytes_raw()), log_private.sign)
    names = [("witness.example/a", private), ("witness.example/b", private), ("witness.example/log", log_private)]
    witnesses = [
        Signer(VerifierKey(name, Kind.COSIGNATURE, key.public_key().public_bytes_raw()), key.sign)
        for name, key in names
    ]
    raw = sign_checkpoint(Checkpoint(ORIGIN, 1, ROOT), log)
    for witness in witnesses:
        raw = cosign_checkpoint(raw, witness, NOON)

    with pytest.raises(InvalidNote, match="1 of the known witnesses"):
        open_checkpoint(raw, log.key, [witness.key for witness in witnesses], quorum=2)


def test_cosigning_leaves_what_was_signed_as_it_was() -> None:
    log, witness = a_signer(), a_signer("witness.example/w", Kind.COSIGNATURE)
    raw = sign_checkpoint(Checkpoint(ORIGIN, 1, ROOT), log)

    assert cosign_checkpoint(raw, witness, NOON).startswith(raw)
    assert parse_note(cosign_checkpoint(raw, witness, NOON)).text == parse_note(raw).text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "origin\n1\n",
        f"origin\n01\n{encode_base64(ROOT)}\n",
        f"origin\n-1\n{encode_base64(ROOT)}\n",
        f"origin\n+1\n{encode_base64(ROOT)}\n",
        f"origin\n١\n{encode_base64(ROOT)}\n",
        f"origin\n{1 << 63}\n{encode_base64(ROOT)}\n",
        f"origin\n{'9' * 5000}\n{encode_base64(ROOT)}\n",
        f"\n1\n{encode_base64(ROOT)}\n",
        f"origin\n1\n{encode_base64(ROOT)}\n\nextension\n",
        f"origin\n1\n{encode_base64(ROOT[:31])}\n",
        f"origin\n1\n{ROOT.hex()}\n",
        f"origin\n0\n{encode_base64(ROOT)}\n",
    ],
)
def test_what_is_not_a_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidNote):
        Checkpoint.parse(text)


def test_the_empty_log_has_the_root_of_nothing() -> None:
    text = Checkpoint(ORIGIN, 0, EMPTY_ROOT).text()

    assert Checkpoint.parse(text).size == 0
