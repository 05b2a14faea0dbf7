"""`lendgate-witness`: a small program that somebody else runs, who remembers how a log grew.

Rules
- It knows a folder with its own key and one file for each log, and nothing of the gateway whose logs they are.
- It prints each thing that it does or refuses; a refusal of a log that it knows is a finding.
- The folder must never be put back to an older day: a witness that forgets vouches for a rollback.
"""

from __future__ import annotations

import os
import signal
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.cli.group import Commands

if TYPE_CHECKING:
    from gateway.audit.note import VerifierKey
    from gateway.audit.witness import Witness

__all__ = ["main", "serve_on"]

KEY: Final = "witness.key"
VKEY: Final = "witness.vkey"
LARGEST_REQUEST: Final = 1 << 20
SECONDS_FOR_A_REQUEST: Final = 10

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("witness"),
    show_default=True,
    help="Where its key and what it remembers are kept; back it up never, or restore it never.",
)


@click.group(cls=Commands)
@click.version_option(package_name="lendgate", message="lendgate-witness %(version)s")
def main() -> None:
    """Cosign the checkpoints of transparency logs that only grow (C2SP tlog-witness).

    Run it where nobody who runs the gateway can reach it: at the auditor's, or at a partner bank.
    """


@main.command()
@folder_option
@click.option("--name", required=True, help="The witness's name for ever, best a domain of yours with a path.")
def init(folder: Path, name: str) -> None:
    """Make a key, once, and print the verifier key that the gateway and the auditors need."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.audit.note import Kind, VerifierKey
    from gateway.model.problems import ConfigurationError

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / KEY).exists():
        raise ConfigurationError(f"{folder / KEY} is there already; a witness keeps its key. Its verifier key: {VKEY}")
    private = Ed25519PrivateKey.generate()
    key = VerifierKey(name, Kind.COSIGNATURE, private.public_key().public_bytes_raw())
    descriptor = os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(private.private_bytes_raw().hex().encode() + b"\n")
    (folder / VKEY).write_text(f"{key}\n")
    click.echo(f"The key is in {folder / KEY}: nobody else may read it.", err=True)
    click.echo(str(key))


@main.command()
@folder_option
@click.option("--log", "logs", multiple=True, required=True, help="The verifier key of a log; may be repeated.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=7380, show_default=True, help="Its port; 0: a free one.")
def serve(folder: Path, logs: tuple[str, ...], host: str, port: int) -> None:
    """Answer `add-checkpoint` over HTTP until it is stopped. Put TLS in front of it where the way is not trusted."""
    from gateway.audit.note import VerifierKey

    witness = _opened(folder, [VerifierKey.parse(log) for log in logs])
    server = serve_on(witness, host, port)
    for origin in witness.logs:
        head = witness.remembered(origin)
        click.echo(f"{origin}: {'nothing is remembered yet' if head is None else f'remembered at size {head.size}'}")
    click.echo(f"{witness.key.name} cosigns at http://{host}:{server.server_port}/add-checkpoint")
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # a service manager sends the second, a shell may have shut off the first
        signal.signal(number, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        click.echo("Stopped.")
    finally:
        server.server_close()


def serve_on(witness: Witness, host: str, port: int) -> ThreadingHTTPServer:
    """A server that was not started yet."""

    class Handler(_Handler):
        asked = witness

    return ThreadingHTTPServer((host, port), Handler)


class _Handler(BaseHTTPRequestHandler):
    """One request."""

    asked: Witness
    timeout = SECONDS_FOR_A_REQUEST

    def do_POST(self) -> None:
        """`POST /add-checkpoint`."""
        from gateway.audit.witness import SIZE_TYPE, WitnessRefusal
        from gateway.model.clock import SystemClock

        length = self.headers.get("Content-Length", "")
        if not self.path.endswith("/add-checkpoint"):
            self._answer(HTTPStatus.NOT_FOUND, b"not found\n")
            return
        if not length.isdigit() or int(length) > LARGEST_REQUEST:
            self._answer(HTTPStatus.BAD_REQUEST, b"a request has a Content-Length of at most 1 MiB\n")
            return
        try:
            line = self.asked.add(self.rfile.read(int(length)), SystemClock().now())
        except WitnessRefusal as refusal:
            click.echo(f"REFUSED ({refusal.status}): {refusal}")
            remembered = None if refusal.size is None else f"{refusal.size}\n".encode()
            kind = "text/plain; charset=utf-8" if remembered is None else SIZE_TYPE
            self._answer(refusal.status, remembered or f"{refusal}\n".encode(), kind)
            return
        click.echo(f"cosigned: {self._heads()}")
        self._answer(HTTPStatus.OK, line.encode())

    def _heads(self) -> str:
        heads = [self.asked.remembered(origin) for origin in self.asked.logs]
        return ", ".join(f"{head.origin} at size {head.size}" for head in heads if head is not None)

    def _answer(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """What is worth saying is said above."""


def _opened(folder: Path, logs: list[VerifierKey]) -> Witness:
    """The witness of a folder. Raises `ConfigurationError` if it was not made yet."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from gateway.audit.note import Signer, VerifierKey
    from gateway.audit.witness import Witness
    from gateway.audit.witness_folder import WitnessFolder
    from gateway.model.problems import ConfigurationError

    if not (folder / KEY).exists():
        raise ConfigurationError(f"there is no witness in {folder}; make one with `lendgate-witness init`")
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex((folder / KEY).read_text().strip()))
    key = VerifierKey.parse((folder / VKEY).read_text())
    return Witness(Signer(key, private.sign), logs, WitnessFolder(folder))
