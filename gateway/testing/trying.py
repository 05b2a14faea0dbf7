"""Runs one verb of one adapter against its simulator and keeps what each stage made of it: for a person to look at.

Rules
- Nothing is configured: development keys are the simulator's own, in a folder that is thrown away.
- What the verb follows is made first; the call is what the plugin's own scenario says, or else an example.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.adapters.adapter import Adapter
from gateway.model.message import Reply
from gateway.model.problems import ConfigurationError, GatewayError
from gateway.store.operation import Operation
from gateway.testing.questions import body_of, follows
from gateway.testing.signatures import KeyUse, compared
from gateway.testing.watching import Ran, Signed, Unproven

if TYPE_CHECKING:
    from gateway.sandbox import Effect, Simulator
    from gateway.testing.conformance import Scenario
    from gateway.testing.house import House

__all__ = ["Trial", "scenarios_of", "tried"]


@dataclass(slots=True)
class Trial:
    """What every stage made of it."""

    verb: str
    run: Ran | None = None
    signed: Sequence[Signed] = ()
    unproven: Sequence[Unproven] = ()
    operation: Operation | None = None
    failure: Exception | None = None
    effects: Sequence[Effect] = ()
    partners_string: bytes | None = None
    uses: list[KeyUse] = field(default_factory=list)

    @property
    def replies(self) -> list[Reply]:
        """The proven ones, in order."""
        return [heard for heard in (self.run.heard if self.run else ()) if isinstance(heard, Reply)]

    @property
    def difference(self) -> str | None:
        """Where the adapter's canonical string and the partner's part, if the partner refused what we sent."""
        if not self.unproven or self.partners_string is None or not self.signed:
            return None
        uses = [use for use in self.signed[-1].uses if use.act in ("sign", "mac")]
        return compared(uses[-1].message, self.partners_string, key=uses[-1].key) if uses else None


async def tried(
    adapter: type[Adapter[Any]],
    simulator: type[Simulator],
    directory: Path,
    verb: str,
    changes: Mapping[str, Any],
    scenarios: Sequence[Scenario] = (),
) -> Trial:
    """Run `verb` once. `changes` are fields of the call's body in place of the example's; `amount` may be a part.

    Raises `ConfigurationError` for a verb that the adapter does not have, or that nobody knows how to begin.
    """
    from gateway.testing.house import adapter_house

    if verb not in adapter.terms:
        raise ConfigurationError(f"{adapter.name} has no {verb}; it has {', '.join(adapter.terms)}")
    scenario = next((one for one in scenarios if one.verb == verb), None)
    trial = Trial(verb)
    async with adapter_house(adapter, simulator, directory) as house:
        notifier = getattr(house.simulator, "notifier", None)
        if notifier is not None:
            notifier.held = True
        try:
            trial.operation = await _run(house, adapter, verb, changes, scenario)
        except GatewayError as failure:
            trial.failure = failure
        trial.run = next((ran for ran in reversed(house.watched.runs) if ran.name == verb), None)
        _keep(trial, house)
    return trial


def _keep(trial: Trial, house: House[Any]) -> None:
    mine = {_place(asked.request.url) for asked in trial.run.asked} if trial.run else set()
    sent = [one for one in house.watched.signed if _place(one.request.url) in mine]
    trial.signed = sent[-max(1, len(trial.run.asked)) :] if trial.run else ()
    trial.unproven = tuple(house.watched.unproven)
    trial.effects = tuple(house.simulator.ledger.effects)
    trial.partners_string = getattr(house.simulator, "canonical", None)


def _place(url: str) -> str:
    """Without the query, into which a token may have gone."""
    return url.partition("?")[0]


async def _run(
    house: House[Any], adapter: type[Adapter[Any]], verb: str, changes: Mapping[str, Any], scenario: Scenario | None
) -> Operation | None:
    """Have it run by its scenario, or by an example of its call; an inquiry runs on what it asks about."""
    from gateway.testing.conformance import Reading

    if isinstance(scenario, Reading):
        await scenario.read(house, await scenario.before(house))
        return None
    if scenario is not None:
        return await scenario.act(house, await scenario.before(house), _merged(scenario.body(), changes))
    if verb.startswith("fetch_"):
        begun = await _run(house, adapter, _asked_about(adapter, verb), changes, None)
        return await house.inquire(begun) if begun else None
    earlier = follows(verb)
    parent = await house.start(earlier, body_of(earlier, adapter.terms.get(earlier))) if earlier else None
    return await house.start(verb, _merged(body_of(verb, adapter.terms[verb]), changes), parent)


def _asked_about(adapter: type[Adapter[Any]], verb: str) -> str:
    noun = verb.removeprefix("fetch_")
    for name in adapter.terms:
        if not name.startswith(("fetch_", "continue_", "cancel_", "capture_")) and (
            name.endswith(noun) or (noun == "report" and name in ("request_score", "check_threshold"))
        ):
            return name
    raise ConfigurationError(f"{adapter.name} begins nothing that {verb} asks about; try it by a test")


def _merged(body: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changed fields in the body; inside an object only what is named."""
    merged = dict(body)
    for name, value in changes.items():
        standing = merged.get(name)
        merged[name] = {**standing, **value} if isinstance(standing, Mapping) and isinstance(value, Mapping) else value
    return merged


def scenarios_of(tests: Path, adapter: str) -> list[Scenario]:
    """The scenarios that a plugin's conformance suite runs for `adapter`; none where there is no suite."""
    from gateway.testing.conformance import Conformance

    found: list[Scenario] = []
    for path in sorted(tests.glob("test_conformance*.py")):
        spec = importlib.util.spec_from_file_location(f"_tried_{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        for suite in vars(module).values():
            if not (isinstance(suite, type) and issubclass(suite, Conformance)):
                continue
            if getattr(suite, "adapter", None) is not None and suite.adapter.name == adapter:
                found.extend(suite.scenarios)
    return found
