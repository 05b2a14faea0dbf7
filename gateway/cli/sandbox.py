"""`lendgate sandbox`: every installed simulator on this machine, and a configuration for a gateway in front of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.group import table

if TYPE_CHECKING:
    from gateway.sandbox import Running

__all__ = ["sandbox"]


@click.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("certs/dev"),
    show_default=True,
    help="Where keys and certificates go.",
)
@click.option(
    "--ports-from",
    type=click.IntRange(0, 65000),
    default=18101,
    show_default=True,
    help="Port of the first simulator; the others follow in the order of their names. 0 takes free ones.",
)
@click.option(
    "--gateway-port",
    type=click.IntRange(1, 65535),
    help="Port of the gateway in the configuration; if left out, the one behind the last simulator.",
)
@click.option("--only", multiple=True, metavar="NAME", help="Simulate this partner only; may be given several times.")
@click.option(
    "--config-out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("lendgate.toml"),
    show_default=True,
    help="Where the configuration goes.",
)
def sandbox(
    directory: Path, ports_from: int, gateway_port: int | None, only: tuple[str, ...], config_out: Path
) -> None:
    """Simulate the installed partners, until Ctrl-C.

    Writes a lendgate.toml with a connection to each of them.

    Each simulator listens on a port of its own on 127.0.0.1 and remembers nothing after it has ended. Beside the
    institution's own API it answers under /_sandbox/: ledger, requests, state and faults.
    """
    import asyncio

    try:
        asyncio.run(_run(directory, ports_from, gateway_port, only, config_out))
    except KeyboardInterrupt:
        click.echo("stopped")


async def _run(
    directory: Path, ports_from: int, gateway_port: int | None, only: tuple[str, ...], config_out: Path
) -> None:
    import asyncio
    import signal

    from gateway.cli.development import configuration_text, development_keys, write_configuration

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    made = development_keys(directory)
    every = _simulators()
    running = await _serve_all(_wanted(every, only), directory, ports_from)
    try:
        port = gateway_port or (ports_from + len(every) if ports_from else _free_port())
        simulated = {one.simulator.name: (one.url, one.onboarding) for one in running}
        write_configuration(config_out, configuration_text(directory, simulated, config_out.parent, port))
        table(["partner", "simulated at"], [[one.simulator.name, one.url] for one in running])
        for name, key in made.items():
            click.echo(f"API key of the client {name}, shown this once: {key}")
        click.echo(f"API keys are kept in {directory / 'clients'}; the configuration is {config_out}.")
        click.echo(f"Now, in another terminal: lendgate serve --config {config_out}")
        await stop.wait()
    finally:
        for one in running:
            await one.stop()


def _simulators() -> list[type[Any]]:
    """The simulators of every installed plugin, by name."""
    from gateway.adapters.registry import discover
    from gateway.model.problems import ConfigurationError

    registry = discover()
    for plugin in registry.plugins.values():
        if plugin.broken:
            click.echo(f"left out: {plugin.name} is broken: {plugin.broken}", err=True)
    every = sorted(registry.simulators(), key=lambda kind: str(kind.name))
    if not every:
        raise ConfigurationError("no simulator is installed; from a source folder: pip install -e plugins/<partner>")
    return every


def _wanted(every: list[type[Any]], only: tuple[str, ...]) -> list[tuple[int, type[Any]]]:
    """The simulators wanted, each with its place among all of them, so that a port means the same one every time."""
    from gateway.model.problems import ConfigurationError

    names = [str(kind.name) for kind in every]
    strangers = sorted(set(only) - set(names))
    if strangers:
        raise ConfigurationError(f"there is no simulator of {', '.join(strangers)}; there are {', '.join(names)}")
    return [(place, kind) for place, kind in enumerate(every) if not only or kind.name in only]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _serve_all(kinds: list[tuple[int, type[Any]]], directory: Path, ports_from: int) -> list[Running[Any]]:
    from gateway.model.problems import ConfigurationError
    from gateway.sandbox import serve

    running: list[Running[Any]] = []
    for place, kind in kinds:
        port = ports_from + place if ports_from else 0
        try:
            running.append(await serve(kind, (directory / kind.name).resolve(), port=port))
        except OSError as wrong:
            for one in running:
                await one.stop()
            raise ConfigurationError(
                f"{kind.name} cannot listen on port {port} ({wrong.strerror}); is another sandbox running? "
                "--ports-from takes other ports, 0 any free ones"
            ) from None
    return running
