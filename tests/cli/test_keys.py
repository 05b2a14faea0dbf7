"""Keys are shown once, kept for their owner's eyes, and never overwritten."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from pathlib import Path

from gateway.sandbox import DevelopmentCA
from tests.cli.conftest import Run


def test_a_new_key_is_printed_with_the_lines_for_the_configuration(run: Run) -> None:
    result = run("keys", "new-client", "shop", "--role", "platform", "--mode", "production")

    assert result.exit_code == 0
    key, _, lines = result.stdout.partition("\n")
    assert key.startswith("lg_production_")
    client = tomllib.loads(lines)["clients"]["shop"]
    assert client == {"role": "platform", "key_sha256": hashlib.sha256(key.encode()).hexdigest()}


def test_no_two_keys_are_the_same(run: Run) -> None:
    keys = {run("keys", "new-client", "shop", "--role", "platform").stdout.split()[0] for _ in range(5)}

    assert len(keys) == 5


def test_a_name_that_no_configuration_takes_is_refused(run: Run) -> None:
    result = run("keys", "new-client", "My Shop", "--role", "platform")

    assert result.exit_code == 2
    assert "lower-case" in result.stderr


def test_development_keys_are_for_the_owner_only_and_stay(run: Run, folder: Path) -> None:
    first = run("keys", "dev", "--directory", "dev")
    secret = (folder / "dev" / "installation-secret").read_text()

    second = run("keys", "dev", "--directory", "dev")

    assert (first.exit_code, second.exit_code) == (0, 0)
    key = (folder / "dev" / "clients" / "operator").read_text().strip()
    assert key.startswith("lg_sandbox_")
    assert key in first.output
    assert key not in second.output
    assert (folder / "dev" / "installation-secret").read_text() == secret
    private = [*(folder / "dev" / "clients").iterdir(), folder / "dev" / "installation-secret"]
    private += (folder / "dev").glob("*.key")
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}


def test_the_folder_is_marked_so_that_production_refuses_it(run: Run, folder: Path) -> None:
    run("keys", "dev", "--directory", "dev")

    assert (folder / "dev" / "DEVELOPMENT").exists()
    assert DevelopmentCA(folder / "dev").certificate_path.exists()
