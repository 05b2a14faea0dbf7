"""`lendgate serve`: the gateway itself, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from gateway.cli.group import config_option

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

    from gateway.service.config import Configuration

__all__ = ["serve"]


@click.command()
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="How much it tells on the standard error output.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people or a JSON object a line.",
)
def serve(config_path: Path, log_level: str, log_format: Literal["text", "json"]) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    A stop takes no new calls and waits for those that are running. Exit status 1 if the store failed: then nothing
    can be promised any more, and the next start finds out what became of every call.
    """
    import asyncio

    from gateway.service.load import load
    from gateway.service.logs import set_up_logs

    configuration = load(config_path)
    set_up_logs(log_level, log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(configuration))


async def _serve(configuration: Configuration) -> None:
    import asyncio
    from dataclasses import replace
    from datetime import timedelta

    from gateway.api.serve import LIMITS
    from gateway.api.serve import serve as serve_api
    from gateway.model.problems import ConfigurationError
    from gateway.service.open import opened

    section = configuration.gateway
    stop = asyncio.Event()
    async with opened(configuration) as gateway:
        gateway.failure.add_done_callback(lambda failure: stop.set())
        for name, cause in gateway.connections.broken.items():
            click.echo(f"connection {name} does not work: {cause}", err=True)
        limits = replace(LIMITS, drain=timedelta(seconds=section.drain_seconds))
        try:
            await serve_api(
                gateway, section.host, section.port, ready=_ready, sealer=gateway.cursors, stop=stop, limits=limits
            )
        except OSError as wrong:
            raise ConfigurationError(
                f"cannot listen on {section.host}:{section.port} ({wrong.strerror}); is another gateway running there?"
            ) from None
    if gateway.failure.done():
        raise gateway.failure.result()


def _loop_factory() -> Callable[[], AbstractEventLoop] | None:
    """uvloop where it is installed (the extra `speed`)."""
    from importlib import import_module

    try:
        return cast("Callable[[], AbstractEventLoop]", import_module("uvloop").new_event_loop)
    except ImportError:
        return None


def _ready(address: str) -> None:
    import gc

    # What stands after the start stays for ever. Looking through it again and again would cost more than most of what a
    # call does; and a call's own objects rarely form cycles, so young ones are looked through later than usual.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 50)
    click.echo(f"lendgate serves {address} (reference at {address}/docs)")
