"""`lendgate adapter …`: for whoever writes an adapter, or wants to know what one does and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.group import table

if TYPE_CHECKING:
    from gateway.adapters.registry import Plugin
    from gateway.testing.report import Report

__all__ = ["adapter"]


@click.group()
def adapter() -> None:
    """See and check adapters."""


@adapter.command("list")
@click.pass_context
def list_(ctx: click.Context) -> None:
    """List every installed adapter, and why one cannot be used.

    Exit status 1 if one is broken.
    """
    from gateway.adapters.registry import discover

    found = sorted(discover().plugins.values(), key=lambda plugin: plugin.name)
    if not found:
        click.echo("No plugin is installed. From a source folder: pip install -e plugins/<partner>")
        return
    rows = []
    for plugin in found:
        package = f"{plugin.distribution} {plugin.version}"
        if plugin.broken:
            rows.append([plugin.name, package, "", f"broken: {plugin.broken}"])
        for kind in plugin.adapters.values():
            callbacks = ", callbacks" if hasattr(kind, "acknowledge") else ""
            rows.append([kind.name, package, kind.version, f"{len(kind.terms)} verbs{callbacks}"])
    table(["adapter", "package", "protocol", "does"], rows)
    if any(plugin.broken for plugin in found):
        ctx.exit(1)


@adapter.command()
@click.argument("name")
def describe(name: str) -> None:
    """Show the verbs of the adapter NAME: their terms, and what each of the partner's codes means."""
    from gateway.api.terms import terms_view

    plugin = _plugin(name)
    kind = plugin.adapters[name]
    click.echo(f"{kind.name}: {kind.title or kind.name} {kind.version} ({plugin.distribution} {plugin.version})")
    click.echo(f"settings: {', '.join(kind.settings_model.model_fields) or 'none'}")
    for verb, terms in kind.terms.items():
        click.echo(f"\n{verb}")
        _terms(terms_view(verb, terms, codes=True), "  ")


@adapter.command()
@click.argument("name", required=False)
@click.option("--explain", metavar="ID", help="Say what one check holds an adapter to, and run nothing.")
@click.option(
    "--tests",
    type=click.Path(path_type=Path, exists=True),
    help="Where the suite is; by default the folder `tests` beside the plugin's package.",
)
@click.pass_context
def check(ctx: click.Context, name: str | None, explain: str | None, tests: Path | None) -> None:
    """Run the conformance suite of the adapter NAME and say which level it reaches.

    Levels: draft, bronze (right on good days), silver (safe on bad days). Needs `lendgate[testing]` and the plugin's
    tests, which a source folder has. Exit status 1 if a check is red or did not run.
    """
    _require_pytest()
    if explain is not None:
        _explain(explain)
        return
    if name is None:
        raise click.UsageError("name an adapter (`lendgate adapter list`), or a check with --explain")
    from gateway.testing.report import run_suite

    plugin = _plugin(name)
    report = run_suite(name, tests or _tests_of(plugin))
    _say(report)
    if not report.cases:
        click.echo(report.output or "There is no test_conformance*.py there.", err=True)
    if report.level != "silver":
        ctx.exit(1)


def _plugin(name: str) -> Plugin:
    """The plugin that works and offers `name`. Raises `ConfigurationError`."""
    from gateway.adapters.registry import discover
    from gateway.model.problems import ConfigurationError

    registry = discover()
    for plugin in registry.plugins.values():
        if name in plugin.adapters:
            return plugin
    known = ", ".join(sorted(name for plugin in registry.plugins.values() for name in plugin.adapters)) or "none"
    raise ConfigurationError(registry.broken(name) or f"there is no adapter {name!r}; installed are: {known}")


def _tests_of(plugin: Plugin) -> Path:
    from gateway.model.problems import ConfigurationError

    package = Path(str(plugin.module.__file__)).parent
    tests = package.parent / "tests"
    if not tests.is_dir():
        raise ConfigurationError(
            f"{plugin.distribution} was installed without its tests; name their folder with --tests, or install the"
            " plugin from its source folder (pip install -e)"
        )
    return tests


def _require_pytest() -> None:
    from importlib.util import find_spec

    from gateway.model.problems import ConfigurationError

    if find_spec("pytest") is None:
        raise ConfigurationError("checking needs pytest: pip install 'lendgate[testing]'")


def _explain(id: str) -> None:
    from gateway.model.problems import ConfigurationError
    from gateway.testing.conformance.checks import CHECKS

    found = CHECKS.get(id.upper())
    if found is None:
        raise ConfigurationError(f"there is no check {id!r}; there are {', '.join(CHECKS)}")
    click.echo(f"{found.id} ({found.level})\n{found.sentence}\n")
    click.echo(f"why: {found.reason}\nsource: {found.source}\nwhen it is red: {found.remedy}")


def _terms(view: Mapping[str, Any], indent: str) -> None:
    narrower, codes = view.get("by_method", {}), view.get("codes") or {}
    for member, value in view.items():
        if member in ("verb", "by_method", "codes") or value in ([], False, "none"):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else _flat(value)
        click.echo(f"{indent}{member}: {text}")
    width = max((len(code) for code in codes), default=0)
    for code, meaning in codes.items():
        click.echo(f"{indent}  {code.ljust(width)}  {meaning}")
    for method, inner in narrower.items():
        click.echo(f"{indent}by {method}")
        _terms(inner, indent + "  ")


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{name}={inner}" for name, inner in value.items())
    return str(value)


def _say(report: Report) -> None:
    from gateway.testing.levels import Verdict

    counts = {verdict: [id for id, seen in report.verdicts.items() if seen is verdict] for verdict in Verdict}
    said = ", ".join(f"{len(ids)} {verdict.value}" for verdict, ids in counts.items() if ids)
    click.echo(f"{report.adapter}: {report.level}")
    click.echo(f"{report.cases} cases in {report.seconds:.1f} s; checks: {said}")
    for id, reason in report.exemptions.items():
        click.echo(f"exempt {id}: {reason}")
    if counts[Verdict.NOT_APPLICABLE]:
        click.echo(f"not applicable: {', '.join(counts[Verdict.NOT_APPLICABLE])}")
    for red in report.reds:
        click.echo(f"red {red.check} {red.case}: {red.what}")
    for id in counts[Verdict.NOT_RUN]:
        click.echo(f"not run {id}")
