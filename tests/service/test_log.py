"""Who signs the log, and under which name."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from gateway.model.problems import ConfigurationError
from gateway.service.config import Configuration
from gateway.service.load import parse
from gateway.service.log import log_signer

HEAD = '[gateway]\nmode = "sandbox"\ninstallation_secret = "env:INSTALLATION"\n'


def read(audit: str, secret: str = "5e" * 32, **environment: str) -> Configuration:
    return parse(f"{HEAD}[audit]\n{audit}", Path(), environment={"INSTALLATION": secret, **environment})


def pem(key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_name_and_key_come_from_the_installation_secret_and_stay() -> None:
    key = log_signer(read("")).key

    assert key == log_signer(read("")).key
    other = log_signer(read("", "ff" * 32)).key
    assert key.name != other.name
    assert key.public != other.public


def test_a_configured_key_and_name_are_used() -> None:
    private = ed25519.Ed25519PrivateKey.generate()

    signer = log_signer(read('origin = "lender.example/log"\nsigning_key = "env:LOG"', LOG=pem(private)))

    assert signer.key.name == "lender.example/log"
    assert signer.key.public == private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signer.sign("text\n")


def test_a_key_of_another_kind_is_refused() -> None:
    private = ec.generate_private_key(ec.SECP256R1())

    with pytest.raises(ConfigurationError, match=r"lendgate.toml:5: audit.signing_key: checkpoints .* Ed25519"):
        log_signer(read('signing_key = "env:LOG"', LOG=pem(private)))


def test_a_name_that_no_checkpoint_can_carry_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lendgate.toml:5: audit.origin: must be a name without spaces"):
        read('origin = "my log"')
