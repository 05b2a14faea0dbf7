"""Signed notes: published ones, our own, and everything that is not one."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.audit.note import (
    InvalidNote,
    Kind,
    Note,
    Signature,
    Signer,
    VerifierKey,
    decode_base64,
    format_note,
    parse_note,
    verify_note,
)
from gateway.model.problems import ConfigurationError
from tests.audit.logs import NOON, a_signer

PUBLISHED: list[dict[str, Any]] = json.loads(
    Path(__file__).with_name("vectors").joinpath("signed-notes.json").read_text()
)
TEXT = "Hear my vote.\n\nIt has two lines.\n"
SIGNED = Note(TEXT, (a_signer().sign(TEXT),))


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case["vkey"].partition("+")[0])
def test_a_published_note_verifies(case: dict[str, Any]) -> None:
    key = VerifierKey.parse(case["vkey"])
    note = parse_note(case["note"].encode())

    assert [one.key for one in verify_note(note, [key])] == [key]
    assert str(key) == case["vkey"]
    assert format_note(note) == case["note"].encode()


@pytest.mark.parametrize("case", PUBLISHED, ids=lambda case: case["vkey"].partition("+")[0])
def test_a_published_note_with_one_letter_changed_does_not(case: dict[str, Any]) -> None:
    note = parse_note(case["note"].encode())
    changed = Note(note.text.replace("e", "f", 1), note.signatures)

    with pytest.raises(InvalidNote, match="not over this text"):
        verify_note(changed, [VerifierKey.parse(case["vkey"])])


def test_a_note_is_read_back_as_it_was_written() -> None:
    signer = a_signer("log.example/a")
    note = Note(TEXT, (signer.sign(TEXT),))

    again = parse_note(format_note(note))

    assert again == note
    assert [one.key for one in verify_note(again, [signer.key])] == [signer.key]


def test_a_cosignature_states_its_time() -> None:
    witness = a_signer("witness.example/w", Kind.COSIGNATURE)
    note = Note(TEXT, (witness.sign(TEXT, NOON + timedelta(milliseconds=700)),))

    (signed,) = verify_note(note, [witness.key])

    assert signed.at == NOON


def test_the_time_of_a_cosignature_is_signed() -> None:
    witness = a_signer("witness.example/w", Kind.COSIGNATURE)
    line = witness.sign(TEXT, NOON)
    later = (int(NOON.timestamp()) + 1).to_bytes(8, "big") + line.signature[8:]

    with pytest.raises(InvalidNote, match="not over this text"):
        verify_note(Note(TEXT, (Signature(line.name, line.key_id, later),)), [witness.key])


def test_one_key_signs_as_one_kind_only() -> None:
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    plain, timed = (VerifierKey("log.example/a", kind, public) for kind in Kind)

    note = Note(TEXT, (Signer(plain, private.sign).sign(TEXT),))

    with pytest.raises(InvalidNote, match="not signed by any of the known keys"):
        verify_note(note, [timed])


def test_signatures_by_strangers_are_ignored() -> None:
    signer, stranger = a_signer(), a_signer("stranger.example/s")
    unknown_kind = Signature("witness.example/pq", b"\x01\x02\x03\x04", b"s" * 2_428)
    note = Note(TEXT, (stranger.sign(TEXT), unknown_kind, signer.sign(TEXT)))

    assert [one.key for one in verify_note(parse_note(format_note(note)), [signer.key])] == [signer.key]


def test_a_wrong_signature_by_a_known_key_refuses_the_note_even_beside_a_good_one() -> None:
    signer, witness = a_signer(), a_signer("witness.example/w", Kind.COSIGNATURE)
    forged = Signature(witness.key.name, witness.key.key_id, b"\x00" * 72)
    note = Note(TEXT, (signer.sign(TEXT), forged))

    with pytest.raises(InvalidNote, match="not over this text"):
        verify_note(note, [signer.key, witness.key])


def test_sixteen_cosignatures_are_read_and_counted_once_each() -> None:
    witnesses = [a_signer(f"witness.example/{number}", Kind.COSIGNATURE) for number in range(16)]
    lines = tuple(witness.sign(TEXT, NOON) for witness in witnesses)

    signed = verify_note(parse_note(format_note(Note(TEXT, lines + lines))), [witness.key for witness in witnesses])

    assert len(signed) == 16


def test_a_signer_with_the_wrong_private_key_signs_nothing() -> None:
    signer = Signer(a_signer().key, Ed25519PrivateKey.generate().sign)

    with pytest.raises(ConfigurationError, match="configure the pair"):
        signer.sign(TEXT)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no signature\n",
        b"no blank line\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n",
        b"text\n\n\n",
        b"text\n\nnot a signature\n",
        "text\n\n— a AAAAAAA=".encode(),
        "text\n\n— a AAAA\n".encode(),
        "text\n\n— a AAAAAA==\n".encode(),
        "text\n\n— a AAAAAAB=\n".encode(),
        "text\n\n— a  AAAAAAA=\n".encode(),
        "text\n\n— a AAAAAAA= \n".encode(),
        "text\n\n—  AAAAAAA=\n".encode(),
        "text\n\n— a+b AAAAAAA=\n".encode(),
        "text\n\n— a\u3000b AAAAAAA=\n".encode(),
        b"text\n\n- a AAAAAAA=\n",
        "te\txt\n\n— a AAAAAAA=\n".encode(),
        "text\r\n\n— a AAAAAAA=\n".encode(),
        b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAA=\n",
        "text\n\n— a AAAAAAA=\n\n".encode(),
        b"text\n\n" + "— a AAAAAAA=\n".encode() * 101,
        b"t" * 1_000_000 + "\n\n— a AAAAAAA=\n".encode(),
        "text\n\n— ".encode() + b"n" * 256 + b" AAAAAAA=\n",
    ],
)
def test_what_is_not_a_note_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidNote):
        parse_note(raw)


@given(st.binary(max_size=200))
def test_no_bytes_do_anything_but_be_refused_or_read(raw: bytes) -> None:
    try:
        note = parse_note(format_note(SIGNED)[:-40] + raw)
    except InvalidNote:
        return
    assert format_note(note) == format_note(SIGNED)[:-40] + raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a+b",
        "example.com/foo+530d903a+",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/bar+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+BukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv",
    ],
)
def test_what_is_not_a_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(InvalidNote):
        VerifierKey.parse(text)


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "A A=", "AA==\n", "AA__", "=", "AA==AA=="])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(InvalidNote):
        decode_base64(text)
