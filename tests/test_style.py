"""How a file reads: short, named for what it does, opened by its purpose. Checked on the sources themselves.

Each rule is also shown a source that breaks it (`PLANTED`), so that none can pass by looking at nothing.
"""

from __future__ import annotations

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterable, Iterator

import pytest

from tests.sources import Rule, Source, core, every_source, judge, plugin_code

LONGEST_FILE, LONGEST_FUNCTION, LONGEST_MEDIAN_FILE = 400, 50, 160
EMPTY_NAMES = {"manager", "managers", "helper", "helpers", "util", "utils", "common", "data", "info"}
EXEMPTION = re.compile(
    r"#\s*(noqa(:\s*\w+([,\s]+[A-Z]+\d+)*)?|type:\s*ignore(\[[\w\-, ]*\])?|pragma:\s*[\w ]+)(?P<why>.*)"
)


def files_are_short(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        if source.length > LONGEST_FILE:
            yield source.complain(f"{source.length} lines; at most {LONGEST_FILE}")


def functions_are_short(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    yield source.complain(f"`{node.name}` has {lines} lines; at most {LONGEST_FUNCTION}", node.lineno)


def names_say_something(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        stem = source.module.split(".")[-1]
        if EMPTY_NAMES & set(stem.split("_")) or stem == "base_impl":
            yield source.complain(f"`{stem}` says nothing about what is inside")
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and re.search("(Manager|Helper|Utils?)$", node.name):
                yield source.complain(f"`{node.name}` says nothing about what it does", node.lineno)


def modules_open_with_their_purpose(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        if not ast.get_docstring(source.tree):
            yield source.complain("the module has no docstring")


def packages_only_export(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        # The command line's group stands in its package, where the entry point looks for it.
        if not source.place.endswith("__init__.py") or source.module == "gateway.cli":
            continue
        for node in source.tree.body:
            if not (isinstance(node, ast.Import | ast.ImportFrom) or is_docstring(node) or is_export(node)):
                yield source.complain("an __init__ only exports", node.lineno)


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_export(node: ast.stmt) -> bool:
    """`__all__`, `__version__`, the lazy `__getattr__`, and imports for the type checker alone."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return all(isinstance(target, ast.Name) and target.id in ("__all__", "__version__") for target in targets)
    if isinstance(node, ast.If):
        return ast.unparse(node.test) == "TYPE_CHECKING"
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")


def exemptions_have_reasons(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        before = ""
        for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
            if token.type != tokenize.COMMENT:
                continue
            match = EXEMPTION.match(token.string)
            explained = match is None or len(match["why"].strip(" -–—:#")) > 8 or before.startswith("#")
            if not explained:
                yield source.complain(f"say why, behind it or on the line above: {token.string}", token.start[0])
            before = source.text.splitlines()[token.start[0] - 1].strip()


RULES_FOR_ALL: tuple[Rule, ...] = (files_are_short, functions_are_short, exemptions_have_reasons)
RULES_FOR_PRODUCT: tuple[Rule, ...] = (modules_open_with_their_purpose, names_say_something)


@pytest.mark.parametrize("rule", RULES_FOR_ALL, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    judge(rule, every_source())


@pytest.mark.parametrize("rule", RULES_FOR_PRODUCT, ids=lambda rule: rule.__name__)
def test_the_core_and_its_plugins_keep(rule: Rule) -> None:
    assert core(), "no file was found under gateway/"
    assert plugin_code(), "no plugin was found under plugins/"
    judge(rule, [*core(), *plugin_code()])


def test_a_package_of_the_core_only_exports() -> None:
    judge(packages_only_export, core())


def test_the_middle_file_of_the_core_is_short() -> None:
    assert statistics.median(source.length for source in core()) <= LONGEST_MEDIAN_FILE


PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (files_are_short, "gateway.api.app", "\n" * (LONGEST_FILE + 1)),
    (functions_are_short, "gateway.api.app", "def long():\n" + "    pass\n" * LONGEST_FUNCTION),
    (names_say_something, "gateway.wire.retry_helpers", ""),
    (names_say_something, "gateway.wire.retry", "class RetryManager: ..."),
    (modules_open_with_their_purpose, "gateway.wire.retry", "x = 1"),
    (packages_only_export, "gateway.wire.__init__", "LIMIT = 3"),
    (exemptions_have_reasons, "gateway.wire.retry", "x = 1  # noqa: E741"),
    (exemptions_have_reasons, "gateway.wire.retry", "x = 1  # type: ignore[assignment]"),
)


@pytest.mark.parametrize(("rule", "module", "text"), PLANTED)
def test_each_rule_sees_its_violation(rule: Rule, module: str, text: str) -> None:
    place = module.replace(".", "/") + ".py"

    assert list(rule([Source(place, module.removesuffix(".__init__"), text)]))
