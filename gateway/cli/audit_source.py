"""The log that a command reads: the gateway's own by its configuration, or a copy by the log's key alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.group import config_option

if TYPE_CHECKING:
    from gateway.audit.checkpoint import Checkpoint
    from gateway.audit.directory import FileReader
    from gateway.audit.note import VerifierKey
    from gateway.service.config import Configuration

__all__ = ["LogSource", "instant_option", "log_options"]


@dataclass(frozen=True, slots=True)
class LogSource:
    """A published log whose checkpoint was opened: signed by its key. The entries were not verified yet."""

    directory: Path
    read: FileReader
    key: VerifierKey
    checkpoint: Checkpoint
    note: bytes
    configuration: Configuration | None

    @property
    def size(self) -> int:
        return self.checkpoint.size

    @property
    def first(self) -> int:
        """From where on entries are kept."""
        from gateway.audit.directory import read_minimum
        from gateway.audit.reading import first_kept

        return first_kept(read_minimum(self.read))

    def say(self) -> None:
        """Which log it is, for people, beside a command's output."""
        click.echo(f"{self.directory}: the log {self.checkpoint.origin}, {self.size} entries", err=True)
        if self.first:
            click.echo(f"Entries below {self.first} were pruned; nothing is said about them.", err=True)


def log_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--log` and `--key`, or `--config`; handed over as one `log`."""

    @functools.wraps(command)
    def with_log(directory: Path | None, key: str | None, config_path: Path, **options: Any) -> Any:
        return command(log=_source(directory, key, config_path), **options)

    wrapped: Callable[..., Any] = config_option(with_log)
    wrapped = click.option("--key", help="With --log: the log's verifier key, as `audit checkpoint` tells it.")(wrapped)
    return click.option(
        "--log",
        "directory",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="A copy of a log's directory, instead of the one that the configuration names.",
    )(wrapped)


def instant_option(name: str, what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A moment: `2026-03-01` or `2026-03-01T12:00:00`, in UTC."""
    formats = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
    destination = {"--from": "begin", "--to": "end"}[name]
    return click.option(name, destination, type=click.DateTime(formats), help=f"{what}, in UTC.")


def _source(directory: Path | None, key: str | None, config_path: Path) -> LogSource:
    """Raises `ConfigurationError` if there is no log, `InvalidNote` if its key did not sign the checkpoint."""
    from gateway.audit.checkpoint import CHECKPOINT, open_checkpoint
    from gateway.audit.directory import FileReader
    from gateway.audit.note import VerifierKey
    from gateway.model.problems import ConfigurationError

    configuration = None
    if directory is None:
        from gateway.service.load import load
        from gateway.service.log import log_signer

        configuration = load(config_path)
        directory, verifier = configuration.log_directory, log_signer(configuration).key
    elif key is None:
        raise ConfigurationError("give the log's verifier key with --key; never take it from the copy itself")
    else:
        verifier = VerifierKey.parse(key)
    read = FileReader(directory)
    note = read(CHECKPOINT)
    if note is None:
        raise ConfigurationError(f"there is no log in {directory} yet; has the gateway run?")
    return LogSource(directory, read, verifier, open_checkpoint(note, verifier).checkpoint, note, configuration)
