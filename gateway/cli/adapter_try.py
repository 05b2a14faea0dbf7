"""`lendgate adapter try`: one call of one verb, from the model to the verdict, on one screen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gateway.adapters.registry import Plugin
    from gateway.model.message import Headers
    from gateway.testing.trying import Trial

__all__ = ["try_"]


@click.command("try")
@click.argument("name")
@click.argument("verb")
@click.option("--amount", help="The amount of the call, such as 12.30.")
@click.option("--currency", help="Its currency, such as CNY.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Another field of the call's body, such as description=coat; a value may be JSON. May be given several times.",
)
@click.pass_context
def try_(
    ctx: click.Context, name: str, verb: str, amount: str | None, currency: str | None, changes: tuple[str, ...]
) -> None:
    """Run one VERB of the adapter NAME, such as create-payment, against its simulator and show six stages.

    Model, canonical string, signature, request, reply, verdict. Nothing needs to be configured: the keys are
    development keys of the simulator. Exit status 1 if it came to no answer.
    """
    import asyncio
    import tempfile

    from gateway.cli.adapter_plugin import plugin_of, require_test_kit
    from gateway.testing.trying import tried

    require_test_kit("trying")
    plugin = plugin_of(name)
    wanted = _changes(amount, currency, changes)
    with tempfile.TemporaryDirectory(prefix="lendgate-try-") as folder:
        trial = asyncio.run(
            tried(
                plugin.adapters[name],
                _simulator(plugin, name),
                Path(folder),
                verb.replace("-", "_"),
                wanted,
                _scenarios(plugin, name),
            )
        )
    for line in _stages(trial, plugin.adapters[name]):
        click.echo(line)
    if trial.failure is not None or trial.run is None or trial.run.raised is not None:
        ctx.exit(1)


def _changes(amount: str | None, currency: str | None, changes: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals or not field:
            raise click.BadParameter(f"{change!r}: write FIELD=VALUE", param_hint="--set")
        try:
            made[field] = json.loads(text)
        except ValueError:
            made[field] = text
    money = {"amount": amount, "currency": currency}
    if amount or currency:
        made["amount"] = {name: value for name, value in money.items() if value}
    return made


def _simulator(plugin: Plugin, name: str) -> Any:
    from gateway.adapters.registry import Registry
    from gateway.model.problems import ConfigurationError

    kinds = Registry([plugin]).simulators()
    found = next((kind for kind in kinds if kind.name == name), None)
    if found is None:
        raise ConfigurationError(
            f"{plugin.distribution} brings no simulator of {name}; add it to the hook `simulators`"
        )
    return found


def _scenarios(plugin: Plugin, name: str) -> Any:
    from gateway.cli.adapter_plugin import folder_of
    from gateway.testing.trying import scenarios_of

    tests = folder_of(plugin).parent / "tests"
    return scenarios_of(tests, name) if tests.is_dir() else []


# Six stages


def _stages(trial: Trial, adapter: Any) -> Iterator[str]:
    yield from _model(trial)
    for number, one in enumerate(trial.signed, 1):
        more = f" ({number} of {len(trial.signed)})" if len(trial.signed) > 1 else ""
        made = [use for use in one.uses if use.act in ("sign", "mac")]
        yield f"\n2 canonical string{more}"
        yield from (_lines(use.message) for use in made)
        if not made:
            yield "  nothing is signed in this request"
        yield f"\n3 signature{more}"
        for use in made:
            yield f"  {use.algorithm} with {use.key!r}, {len(use.result)} bytes: {use.result.hex()[:64]}…"
        yield f"\n4 request{more}"
        yield f"  {one.signed.method} {one.signed.url}"
        yield from _headers(one.signed.headers)
        yield from _body(one.signed.body)
    yield from _replies(trial)
    yield from _verdict(trial, adapter)


def _model(trial: Trial) -> Iterator[str]:
    yield "1 model"
    question = trial.run.question if trial.run else None
    if question is None:
        yield "  the verb was not reached"
        return
    yield f"  {type(question).__name__}"
    question = getattr(question, "initiation", question)
    for name in type(question).model_fields:
        value = getattr(question, name)
        if value not in (None, (), {}, "") and name != "handoff":
            yield f"  {name}: {value}"


def _replies(trial: Trial) -> Iterator[str]:
    yield "\n5 reply"
    for reply in trial.replies:
        yield f"  {reply.status}, proven"
        yield from _headers(reply.headers)
        yield from _body(reply.body)
    for refused in trial.unproven:
        yield f"  {refused.reply.status}, proves nothing: {refused.why}"
        yield from _body(refused.reply.body)
    if not trial.replies and not trial.unproven:
        yield "  none"


def _verdict(trial: Trial, adapter: Any) -> Iterator[str]:
    from gateway.model.money import Money
    from gateway.testing.code_lines import place_of_code

    yield "\n6 verdict"
    if trial.failure is not None:
        yield f"  {trial.failure}"
        for wrong in getattr(trial.failure, "fields", ()):
            yield f"  {wrong.path}: {wrong.message}"
    fact = trial.run.fact if trial.run else None
    code = getattr(fact, "code", None)
    if code is not None:
        method = trial.operation.method if trial.operation else None
        meaning = adapter.terms[trial.verb].for_method(method).meaning(code).value
        yield f"  {code} means {meaning} ({place_of_code(adapter, trial.verb, code, method)})"
    elif fact is not None:
        yield f"  {fact}"
    if trial.run is not None and trial.run.raised is not None:
        yield f"  {type(trial.run.raised).__name__}: {trial.run.raised}"
    operation = trial.operation
    if operation is not None:
        detail = f": {operation.reason.detail or operation.reason.code}" if operation.reason else ""
        yield f"  the operation is {operation.state.value}{detail}"
    for effect in trial.effects:
        amount = ""
        if effect.amount is not None and effect.currency is not None:
            amount = f" of {Money.of(effect.amount, effect.currency)}"
        yield f"  at the partner: {effect.kind}{amount}"
    if trial.difference is not None:
        yield from (f"  {line}" for line in trial.difference.splitlines())


def _headers(headers: Headers) -> Iterator[str]:
    for name, value in headers:
        if name.lower() not in ("date", "server", "content-length"):
            yield f"  {name}: {value if len(value) <= 100 else value[:97] + '…'}"


def _body(body: bytes) -> Iterator[str]:
    if body:
        yield _lines(body)


def _lines(raw: bytes) -> str:
    """Text as it stands, lines indented; bytes that are none as Python writes them."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = repr(raw)
    return "\n".join(f"  {line}" for line in text.splitlines()) or "  (nothing)"
