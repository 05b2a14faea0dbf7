"""Who may import whom, and what the core must not know. Checked on the sources themselves.

Each rule is also shown a source that breaks it (`PLANTED`), so that none can pass by looking at nothing.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT, Rule, Source, core, judge, plugin_code, within

# Ground first; imports point down only. `gateway` is the package itself: what adapter authors see, re-exported.
FLOORS = (
    *("model", "crypto", "store", "audit", "wire", "adapters", "gateway"),
    *("operations", "service", "api", "testing", "cli"),
)
# Who may import a package that is neither ours nor Python's. One that is not listed is no dependency of the gateway.
THIRD_PARTY = {
    "aiohttp": ("gateway.wire.connection", "gateway.api", "gateway.sandbox"),
    "yarl": ("gateway.api", "gateway.sandbox"),
    "multidict": ("gateway.wire.transport", "gateway.api", "gateway.sandbox"),
    "apsw": ("gateway.store",),
    "sqlite3": ("gateway.store",),
    "asyncpg": ("gateway.store",),
    "tenacity": ("gateway.wire",),
    "httpx": ("gateway.testing",),
    "respx": ("gateway.testing",),
    "pytest": ("gateway.testing",),
    "pytest_asyncio": ("gateway.testing",),
    "uvloop": ("gateway.cli", "gateway.service"),
    "prometheus_client": ("gateway",),
    "click": ("gateway.cli",),
    "rich": ("gateway.cli", "gateway.testing"),
    "pluggy": ("gateway",),
    "pydantic": ("gateway",),
    "pydantic_core": ("gateway",),
    "cryptography": ("gateway",),
    "jwt": ("gateway",),
}
# An adapter describes; the core acts. It sees no socket, no loop, no clock, no chance and no store.
NOT_FOR_ADAPTERS = {
    *("aiohttp", "httpx", "requests", "socket", "ssl", "http.client", "urllib.request", "asyncio", "threading"),
    *("subprocess", "random", "secrets", "time", "sqlite3", "apsw", "tenacity"),
}
# Other spellings of a partner whose folder stands in plugins/.
SPELLINGS = {
    "alipay": ("支付宝",),
    "openbanking_uk": ("open banking uk", "openbankinguk"),
    "wechat_freight": ("wechat", "weixin", "微信"),
    "zhongan": ("zhong an", "众安"),
}
SQL = re.compile(
    r"\s*(SELECT\s.+\sFROM\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|PRAGMA\s|BEGIN\s+IMMEDIATE"
    r"|(CREATE|ALTER|DROP)\s+(UNIQUE\s+)?(TABLE|INDEX|TRIGGER|VIEW)\s)",
    re.DOTALL,
)


def floor_of(module: str) -> str:
    floor = module.removeprefix("gateway").removeprefix(".").split(".")[0]
    return {"": "gateway", "__main__": "cli"}.get(floor, floor)


def imports_point_down(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        here = floor_of(source.module)
        if here not in (*FLOORS, "sandbox"):
            yield source.complain(f"`{here}` is on no floor: {', '.join(FLOORS)} or sandbox")
            continue
        for line, name in source.imports:
            if within(name, "gateway") and not may_import(here, floor_of(name)):
                yield source.complain(f"`{here}` imports `{name}`; imports point down only", line)


def may_import(here: str, there: str) -> bool:
    if there == "sandbox":
        return here in ("sandbox", "testing", "cli")
    if here == "sandbox":
        return there == "model"
    return there in FLOORS and FLOORS.index(there) <= FLOORS.index(here)


def third_parties_stay_in_their_rooms(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        for line, name in source.imports:
            package = name.split(".")[0]
            if package == "gateway" or (package in sys.stdlib_module_names and package not in THIRD_PARTY):
                continue
            if not within(source.module, *THIRD_PARTY.get(package, ())):
                yield source.complain(f"`{package}` may not be imported here", line)


def only_the_store_knows_sql(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        if within(source.module, "gateway.store"):
            continue
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Constant | ast.JoinedStr) and SQL.match(text_of(node)):
                yield source.complain("SQL outside gateway/store", node.lineno)


def text_of(node: ast.expr) -> str:
    """The text of a literal; in an f-string, a name stands for each value."""
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "value"


def no_partner_is_named(files: Iterable[Source]) -> Iterator[str]:
    spellings = set()
    for partner in partners():
        spellings |= {partner.replace("_", between) for between in ("_", "-", " ", "")}
        spellings |= set(SPELLINGS.get(partner, ()))
    for source in files:
        for line, text in enumerate(source.text.lower().splitlines(), 1):
            for spelling in sorted(spellings):
                if spelling in text:
                    yield source.complain(f"the core names a partner: {spelling}", line)


def partners() -> list[str]:
    return sorted({Path(source.place).parts[1] for source in plugin_code()})


def plugins_see_the_front_door_only(files: Iterable[Source]) -> Iterator[str]:
    for source in files:
        package, _, module = source.module.partition(".")
        simulator = module.startswith("simulator")
        for line, name in source.imports:
            if within(name, "gateway"):
                allowed = name == "gateway" if not simulator else within(name, "gateway.sandbox", "gateway.model.clock")
            elif within(name, package):
                # A simulator has its own code path; an adapter never knows that it is being simulated.
                sibling = name.removeprefix(package).removeprefix(".")
                allowed = not module or sibling.startswith("simulator") == simulator
            else:
                allowed = not name.startswith("lendgate_") and (simulator or not within(name, *NOT_FOR_ADAPTERS))
            if not allowed:
                yield source.complain(f"`{source.module}` may not import `{name}`", line)


CORE_RULES: tuple[Rule, ...] = (
    imports_point_down,
    third_parties_stay_in_their_rooms,
    only_the_store_knows_sql,
    no_partner_is_named,
)


@pytest.mark.parametrize("rule", CORE_RULES, ids=lambda rule: rule.__name__)
def test_the_core_keeps(rule: Rule) -> None:
    assert core(), "no file was found under gateway/"
    judge(rule, core())


def test_plugins_see_the_front_door_only() -> None:
    assert plugin_code(), "no plugin was found under plugins/"
    judge(plugins_see_the_front_door_only, plugin_code())


def test_importing_the_gateway_loads_no_server() -> None:
    program = "import sys, gateway; print(gateway.__name__, *sys.modules)"

    loaded = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split()

    assert loaded[0] == "gateway"
    assert not [name for name in loaded if within(name, "aiohttp", "gateway.api", "gateway.cli", "gateway.testing")]


PLANTED: tuple[tuple[Rule, str, str], ...] = (
    (imports_point_down, "gateway.store.work", "from gateway.wire import channel"),
    (imports_point_down, "gateway.model.money", "from gateway import Adapter"),
    (imports_point_down, "gateway.model.money", "from .. import crypto"),
    (imports_point_down, "gateway.sandbox.host", "from gateway.crypto import jws"),
    (imports_point_down, "gateway.api.app", "def start():\n    from gateway.sandbox import serve"),
    (imports_point_down, "gateway.upstairs.attic", ""),
    (third_parties_stay_in_their_rooms, "gateway.cli.serve", "if TYPE_CHECKING:\n    from aiohttp import web"),
    (third_parties_stay_in_their_rooms, "gateway.wire.channel", "import aiohttp.web"),
    (third_parties_stay_in_their_rooms, "gateway.audit.journal", "import sqlite3"),
    (third_parties_stay_in_their_rooms, "gateway.operations.engine", "import tenacity"),
    (third_parties_stay_in_their_rooms, "gateway.adapters.registry", "import lendgate_riverbank"),
    (only_the_store_knows_sql, "gateway.audit.tree", "query = f'''\n  SELECT {field}\n  FROM leaf'''"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.adapter", "from gateway.model import money"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.adapter", "import asyncio"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.adapter", "from lendgate_riverbank.simulator import Bank"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.simulator", "from lendgate_riverbank.messages import Order"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.simulator", "from . import signing"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.simulator", "from gateway.model import money"),
    (plugins_see_the_front_door_only, "lendgate_riverbank.signing", "from lendgate_lakebank import signing"),
)


@pytest.mark.parametrize(("rule", "module", "text"), PLANTED)
def test_each_rule_sees_its_violation(rule: Rule, module: str, text: str) -> None:
    place = module.replace(".", "/") + ".py"

    assert list(rule([Source(place, module.removesuffix(".__init__"), text)]))


def test_a_partner_is_seen_in_any_spelling() -> None:
    assert partners(), "no plugin was found under plugins/"
    texts = [spelling for partner in partners() for spelling in (partner, partner.replace("_", "-").title())]

    for text in texts:
        assert list(no_partner_is_named([Source("gateway/x.py", "gateway.x", f"class {text}Scheme: ...")]))
