"""Starts the partner and what is measured in front of it, each in a process of its own.

The gateway is the one that everybody runs: `lendgate serve` with a configuration file, in front of a plugin that is
found by its entry point. Nothing of it is replaced or switched off.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bench.machine import pin

__all__ = ["API_KEY", "Keys", "Target", "environment", "naive_can_run", "start_all"]

ROOT = Path(__file__).resolve().parent.parent
API_KEY = f"lg_sandbox_{secrets.token_urlsafe(32)}"
TARGET_CORE, LOAD_CORE = 0, 1

CONFIGURATION = """
[gateway]
mode = "sandbox"
installation_secret = "{secret}"
port = {port}

[clients.shop]
role = "platform"
key_sha256 = "{key_hash}"

[connections.bench]
partner = "bench"
hosts = ["127.0.0.1:{partner}"]
settings = {{ url = "http://127.0.0.1:{partner}" }}
signing_key = {{ id = "own", private = "file:own.pem" }}
partner_keys = {{ current = "file:partner.pem" }}
"""


class Keys:
    """Our key pair and the partner's, RSA-2048, made for one run."""

    def __init__(self, folder: Path) -> None:
        self.own = rsa.generate_private_key(65537, 2048)
        self.partner = rsa.generate_private_key(65537, 2048)
        own = folder / "own.pem"
        own.touch(mode=0o600)
        own.write_bytes(self.own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        public = self.partner.public_key()
        (folder / "partner.pem").write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def answer(self) -> bytes:
        """The partner's one answer, signed: the whole HTTP message."""
        body = json.dumps({"code": "PAID", "transaction": "T-2026-000042", "note": "n" * 120}).encode()
        signature = base64.b64encode(self.partner.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()
        head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-Signature: {signature}\r\n"
        return f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body


@dataclass
class Target:
    """A running process that takes payments, and how its records are counted: outcomes and intents by payment."""

    name: str
    process: subprocess.Popen[str]
    port: int
    records: Callable[[Path], Mapping[str, tuple[int, int]]] | None = None

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_all(folder: Path, keys: Keys, wanted: list[str]) -> tuple[Target, list[Target]]:
    """The partner, and the targets that can run here. Raises `RuntimeError` if one does not start."""
    (folder / "answer").write_bytes(keys.answer())
    partner = _started("partner", [str(ROOT / "bench/partner_server.py"), str(folder / "answer")], folder, LOAD_CORE)
    made: list[Target] = []
    try:
        for name in wanted:
            made.append(_STARTERS[name](folder, partner.port))
    except BaseException:
        for target in (*made, partner):
            target.stop()
        raise
    return partner, made


def _gateway(folder: Path, partner: int) -> Target:
    metadata = folder / "plugins" / "lendgate_bench-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lendgate-bench\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[lendgate]\nbench = bench.partner\n")
    values = {"key_hash": hashlib.sha256(API_KEY.encode()).hexdigest(), "secret": f"file:{folder / 'secret'}"}
    _private(folder / "secret", secrets.token_hex(32))
    port = _free_port()
    (folder / "lendgate.toml").write_text(CONFIGURATION.format(partner=partner, port=port, **values))
    command = ["-m", "gateway.cli", "serve", "--config", str(folder / "lendgate.toml"), "--log-level", "warning"]
    return _started("gateway", command, folder, TARGET_CORE, _gateway_records, folder / "plugins")


def _bare(folder: Path, partner: int) -> Target:
    command = [str(ROOT / "bench/bare_proxy.py"), f"http://127.0.0.1:{partner}/payments"]
    return _started("bare proxy", command, folder, TARGET_CORE)


def _naive(folder: Path, partner: int) -> Target:
    url = f"http://127.0.0.1:{partner}/payments"
    command = [str(ROOT / "bench/naive_gateway.py"), url, str(folder), API_KEY]
    return _started("naive", command, folder, TARGET_CORE, _naive_records)


_STARTERS: Mapping[str, Callable[[Path, int], Target]] = {"gateway": _gateway, "bare": _bare, "naive": _naive}


def naive_can_run() -> bool:
    """Whether what the naive gateway needs is installed (the extra `bench`)."""
    return all(find_spec(name) for name in ("fastapi", "uvicorn", "httpx", "aiosqlite"))


def _started(
    name: str,
    command: list[str],
    folder: Path,
    core: int,
    records: Callable[[Path], Mapping[str, tuple[int, int]]] | None = None,
    *more: Path,
) -> Target:
    """Start it on its core, and read the port from the first line that it prints."""
    log = (folder / f"{name.replace(' ', '-')}.log").open("w")
    process = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env=environment(*more),
        preexec_fn=lambda: pin(0, core),
    )
    assert process.stdout is not None
    said = process.stdout.readline()
    found = re.search(r"(?:127\.0\.0\.1:)?(\d{4,5})\b", said)
    if found is None:
        process.kill()
        raise RuntimeError(f"the {name} did not start: {said}{Path(log.name).read_text()[-2000:]}")
    return Target(name, process, int(found[1]), records)


def environment(*more: Path) -> dict[str, str]:
    """Ours, with this repository and the folders `more` to import from."""
    path = [str(ROOT), *map(str, more), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _gateway_records(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Intents and outcomes of each payment, from the gateway's database."""
    return _counted(folder / "lendgate.db", "SELECT chain, kind, count(*) FROM records GROUP BY chain, kind")


def _naive_records(folder: Path) -> Mapping[str, tuple[int, int]]:
    """The same from the naive gateway's."""
    return _counted(folder / "naive.db", "SELECT payment, kind, count(*) FROM records GROUP BY payment, kind")


def _counted(database: Path, query: str) -> Mapping[str, tuple[int, int]]:
    counts: dict[str, dict[str, int]] = {}
    with sqlite3.connect(database) as connection:
        for payment, kind, count in connection.execute(query):
            if payment.startswith("pay_"):
                counts.setdefault(payment, {})[kind] = count
    return {payment: (kinds.get("intent", 0), kinds.get("outcome", 0)) for payment, kinds in counts.items()}
