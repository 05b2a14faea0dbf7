"""What an adapter declares: codes, settings, imports. No gateway is opened."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from gateway.adapters.adapter import Adapter
from gateway.model.facts import Fact
from gateway.model.states import STANDING, Meaning, State
from gateway.model.terms import Terms
from gateway.operations.facts import Said, Source, decide
from gateway.operations.kinds import KINDS, KindOf
from gateway.store.operation import Operation
from gateway.testing.conformance.cases import Bench, nowhere
from gateway.testing.conformance.checks import check, fail
from gateway.testing.house import KIND_OF, text_of

__all__ = ["Declared"]

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
STRANGER: Final = "SIM-A-CODE-THAT-NOBODY-DECLARED"
AS_IT_SAYS: Final = frozenset(
    {
        Meaning.SUCCEEDED,
        Meaning.PROCESSING,
        Meaning.REQUIRES_ACTION,
        Meaning.FAILED,
        Meaning.CANCELLED,
        Meaning.RETURNED,
    }
)
NOT_FOR_ADAPTERS: Final = frozenset(
    "aiohttp httpx requests urllib3 socket ssl http.client urllib.request asyncio threading multiprocessing"
    " subprocess random secrets time sqlite3 apsw tenacity".split()
)
"""An adapter describes; the core acts."""


class Declared:
    """Checks on the class itself."""

    adapter: type[Adapter[Any]]

    @check("CODE-01")
    def test_code_01_every_declared_code_means_what_it_says(self, verb: str) -> None:
        """The one door, walked with each code."""
        kind = _kind(verb)
        if kind is None:
            pytest.skip("does not apply: a read has no state")
        for terms in _every(self.adapter.terms[verb]):
            for code, meaning in terms.codes.items():
                state = _after(kind, verb, terms, code)
                if meaning in AS_IT_SAYS and state.value != meaning.value:
                    fail("CODE-01", f"{verb}: {code} means {meaning.value}, but the operation became {state.value}")
                if meaning not in AS_IT_SAYS and state is not State.UNKNOWN:
                    fail("CODE-01", f"{verb}: {code} means {meaning.value}, but a doubtful act became {state.value}")
            self._statuses(verb, terms, kind)

    def _statuses(self, verb: str, terms: Terms, kind: KindOf) -> None:
        for code, status in terms.statuses.items():
            if code not in terms.codes:
                fail("CODE-01", f"{verb}: {code} has the status {status}, but no meaning")
            known = STANDING.get(kind.standing or "")
            # A cancellation tells the status of what it ends.
            if kind.name != "cancellation" and (known is None or status not in known):
                fail("CODE-01", f"{verb}: {status} is no status of a {kind.name}")

    @check("CODE-02")
    def test_code_02_an_undeclared_code_is_unknown_and_drift(self, verb: str) -> None:
        """Also where narrower terms hold for one method."""
        kind = _kind(verb)
        for terms in _every(self.adapter.terms[verb]):
            if terms.meaning(STRANGER) is not Meaning.UNDECLARED or terms.meaning(None) is not Meaning.UNDECLARED:
                fail("CODE-02", f"{verb}: a code that nobody declared means {terms.meaning(STRANGER).value}")
            if kind is not None and _after(kind, verb, terms, STRANGER) is not State.UNKNOWN:
                fail("CODE-02", f"{verb}: after an undeclared code the act was not unknown")

    @check("SETTINGS-01")
    def test_settings_01_a_wrong_setting_is_named(self, bench: Bench, tmp_path: Path) -> None:
        """Each that is needed, taken away; and one that nobody knows."""
        told = bench.simulator.onboard(tmp_path, nowhere(bench.simulator)).settings
        given = {name: text_of(value) for name, value in {**told, **bench.settings}.items()}
        model = self.adapter.settings_model
        model.model_validate(given)
        needed = [name for name, field in model.model_fields.items() if field.is_required()]
        changes = [(name, {k: v for k, v in given.items() if k != name}) for name in needed]
        for name, changed in [*changes, ("no_such_setting", {**given, "no_such_setting": "1"})]:
            try:
                model.model_validate(changed)
            except ValidationError as wrong:
                if name not in str(wrong):
                    fail("SETTINGS-01", f"the error does not name {name}: {wrong}")
            else:
                fail("SETTINGS-01", f"{name} is wrong, and nobody says so")

    @check("IMPORT-01")
    def test_import_01_the_adapter_sees_the_front_door_only(self) -> None:
        """Every module of its package that the adapter reaches, simulators apart."""
        strangers = [
            f"{module}:{line} imports {name}"
            for module, line, name in _imports(self.adapter.__module__)
            if ".simulator" in name
            or name in NOT_FOR_ADAPTERS
            or name.startswith(("gateway.", *(f"{one}." for one in NOT_FOR_ADAPTERS)))
        ]
        if strangers:
            fail("IMPORT-01", "; ".join(strangers))


def _kind(verb: str) -> KindOf | None:
    if verb in KIND_OF:
        return KINDS[KIND_OF[verb]]
    return next((kind for kind in KINDS.values() if verb in (str(kind.fetch), str(kind.proceed))), None)


def _every(terms: Terms) -> list[Terms]:
    return [terms, *terms.by_method.values()]


def _after(kind: KindOf, verb: str, terms: Terms, code: str) -> State:
    """The state of an act that may have happened, after its institution said `code`."""
    operation = Operation(
        id="op_1",
        client="shop",
        kind=kind.name,
        mode="sandbox",
        partner="partner",
        connection="partner",
        verb=verb,
        state=State.PROCESSING,
        reference="LN-1",
        partner_key="K",
        created_at=NOW,
        updated_at=NOW,
        last_sent_at=NOW,
        may_have_acted=True,
    )
    asking = verb.startswith("fetch_")
    source = Source.INQUIRY if asking else Source.REPLY
    said = Said(terms.meaning(code), source, Fact(code=code), in_doubt=not asking)
    return decide(operation, said, terms, NOW).operation.state


def _imports(module: str) -> Iterator[tuple[str, int, str]]:
    """Every import of `module` and, in its own package, of what it imports."""
    package, waiting, seen = module.partition(".")[0], [module], set()
    while waiting:
        name = waiting.pop()
        spec = _spec(name)
        if name in seen or spec is None or spec.origin is None:
            continue
        seen.add(name)
        for node in ast.walk(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))):
            for found in _named(node, name):
                yield name, getattr(node, "lineno", 0), found
                if found.startswith(f"{package}.") and "." in module:
                    waiting.append(found)


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None  # a name inside a module, not a module


def _named(node: ast.AST, module: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = module.rpartition(".")[0]
        whole = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
        return [whole, *(f"{whole}.{alias.name}" for alias in node.names if node.level)]
    return []
