"""Fills the templates of `lendgate adapter new`: from a name, capabilities and a scheme to the files of a distribution.

Rules
- A template is text with `$placeholders` under `templates/adapter`; what belongs to one capability or scheme stands in
  a file of its own there, so that what is written holds nothing that was not asked for.
- Imports are never written in a template: they are what the text uses of the names that a module offers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template
from typing import Final

__all__ = ["CAPABILITIES", "SCHEMES", "Capability", "Wanted", "distribution"]


@dataclass(frozen=True, slots=True)
class Capability:
    """What one capability brings: base classes, the partner's paths, which kinds leave an effect, scenarios."""

    bases: tuple[str, ...]
    kinds: Mapping[str, str]
    effects: tuple[str, ...]
    scenarios: tuple[str, ...]
    answer: str = ""  # members that its answers add
    waits: bool = False  # a person must do something


CAPABILITIES: Final[Mapping[str, Capability]] = {
    "payments": Capability(
        bases=("Payments", "ReadCallbacks"),
        kinds={"payments": "payment", "refunds": "refund"},
        effects=("payment", "refund"),
        scenarios=("Payment", "ScannedPayment", "Refund"),
        answer="    qr: str | None = None\n",
        waits=True,
    ),
    "transfers": Capability(
        ("CreateTransfer", "FetchTransfer"), {"transfers": "transfer"}, ("transfer",), ("Transfer",)
    ),
    "credit": Capability(
        ("RequestScore", "FetchReport"),
        {"reports": "report"},
        ("report",),
        ("CreditScore",),
        answer="    score: int | None = None\n",
    ),
    "insurance": Capability(
        ("QuotePolicy", "BindPolicy", "FetchPolicy"),
        {"quotes": "quote", "policies": "policy"},
        ("policy",),
        ("Quote", "Policy"),
        answer="    premium: int | None = None  # cents\n    number: str | None = None\n",
    ),
    "accounts": Capability(
        ("CreateConsent", "FetchConsent", "ListAccounts", "FetchBalances"),
        {"consents": "consent"},
        (),
        ("Consent", "Listing", "BalanceReading"),
        answer="    page: str | None = None\n",
        waits=True,
    ),
}

SCHEMES: Final[Mapping[str, str]] = {
    "hmac": "HMACBody()",
    "rsa": 'RSACanonical(timestamp="timestamp")',
    "jws": 'DetachedJWS(issued_at="iat")',
    "own": "${Class}Signature()",
}
WORKED: Final = "q4GKjQil1fY8DHzZZcho34Hf5JX+WlCFMpidx0AAYk8="
JSON_POST: Final = '        return Request.post(f"{self.settings.url}/{path}", body)'
FORM_POST: Final = """\
        fields = body.model_dump(exclude_none=True)
        return Request.form(f"{self.settings.url}/{path}", {name: str(value) for name, value in fields.items()})"""
RULES: Final = """\
An order is executed once under its reference; the same reference with another amount answers DUPLICATE. The last two
digits of the amount decide: 13 is declined, 17 stays pending until `/_sandbox/settle`{scans}.
All else is done at once."""
SCANS: Final = ", 19 waits for the payer\nto scan (`/_sandbox/settle` again) and is called back"
LIBRARY: Final = {
    "Any": "typing",
    "Sequence": "collections.abc",
    "UTC": "datetime",
    "datetime": "datetime",
    "timedelta": "datetime",
    "ConfigDict": "pydantic",
    "Json": "pydantic",
}
CONFORMANCE: Final = frozenset({"Body", "House", "Operation", "Reading", "Scenario", "conformance"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a plugin is made from. `name` is the partner's name, in small letters, digits and underscores."""

    name: str
    capabilities: tuple[str, ...]
    scheme: str

    @property
    def package(self) -> str:
        return f"lendgate_{self.name}"

    @property
    def title(self) -> str:
        return self.name.replace("_", " ").title()

    @property
    def class_name(self) -> str:
        return self.title.replace(" ", "")


def distribution(wanted: Wanted) -> dict[str, str]:
    """Every file of the new distribution by its path inside the folder."""
    places = _places(wanted)
    package = wanted.package
    made = {
        ".gitignore": _text("gitignore.txt"),
        ".github/workflows/ci.yml": _filled("ci.yml.txt", places),
        "README.md": _filled("README.md.txt", places),
        "pyproject.toml": _filled("pyproject.toml.txt", places),
        f"{package}/__init__.py": _filled("init.py.txt", places),
        f"{package}/adapter.py": _importing("adapter.py.txt", places, _adapter_modules(wanted)),
        f"{package}/messages.py": _importing("messages.py.txt", places, {"gateway": _gateway()}),
        f"{package}/simulator.py": _filled("simulator.py.txt", places),
        f"{package}/simulator_signature.py": _filled(f"schemes/{wanted.scheme}.signature.txt", places),
        f"tests/test_conformance_{wanted.name}.py": _importing(
            "test_conformance.py.txt", places, {"gateway.testing.conformance": CONFORMANCE}
        ),
        f"tests/test_adapter_{wanted.name}.py": _importing("test_adapter.py.txt", places, _test_modules()),
    }
    if wanted.scheme == "own":
        made[f"{package}/signing.py"] = _filled("schemes/own.signing.txt", places)
        made[f"tests/test_signing_{wanted.name}.py"] = _filled("test_signing.py.txt", places)
    return made


def _places(wanted: Wanted) -> dict[str, str]:
    """What stands for each placeholder."""
    chosen = [CAPABILITIES[name] for name in wanted.capabilities]
    payments, waits = "payments" in wanted.capabilities, any(one.waits for one in chosen)
    rules = RULES.format(scans=SCANS if payments else "")
    kinds = {path: kind for one in chosen for path, kind in one.kinds.items()}
    names = {"Class": wanted.class_name, "name": wanted.name, "package": wanted.package, "title": wanted.title}
    pieces = {
        part: "".join(_piece(name, part) for name in wanted.capabilities)
        for part in ("adapter", "decide", "routes", "simulator", "scenarios", "tests")
    }
    rows = (
        "Json[tuple[AccountRow, ...]]  # a list travels as text" if wanted.scheme == "rsa" else "tuple[AccountRow, ...]"
    )
    messages = "\n\n".join(_piece(name, "messages") for name in wanted.capabilities).replace("$rows", rows)
    return {
        **names,
        "dashed": wanted.name.replace("_", "-"),
        "capabilities": ", ".join(wanted.capabilities),
        "currency": "CNY",
        "waiting": ' "WAITING": REQUIRES_ACTION,' if waits else "",
        "bases": _bases([base for one in chosen for base in one.bases], wanted),
        "scheme": Template(SCHEMES[wanted.scheme]).substitute(names),
        "scheme_todo": _scheme_todo(wanted.scheme),
        "verbs": pieces["adapter"].rstrip("\n") + "\n",
        "post": FORM_POST if wanted.scheme == "rsa" else JSON_POST,
        "and_callback": " and callback" if payments else "",
        "answer_fields": "".join(one.answer for one in chosen),
        "messages": messages.rstrip("\n"),
        "rules": rules,
        "rules_text": rules,
        "kinds": _pairs(kinds),
        "effects": _listed([kind for one in chosen for kind in one.effects]),
        "notifier_import": "Notifier, " if payments else "",
        "notifier_init": NOTIFIER if payments else "",
        "routes": pieces["routes"],
        "decisions": pieces["decide"],
        "tell": TELL if payments else "",
        "extra": pieces["simulator"],
        "scenarios": pieces["scenarios"].rstrip("\n"),
        "scenario_names": _tuple([f"{name}()" for one in chosen for name in one.scenarios]),
        "tests": pieces["tests"].rstrip("\n"),
        "worked": WORKED,
        "verb_rows": _rows(chosen),
        "keys_text": _keys_text(wanted.scheme),
    }


NOTIFIER: Final = """\
        self.callback_urls: dict[str, str] = {}
        self.notifier = Notifier(self.clock, lambda status, body: status == 200)
"""
TELL: Final = """\
        if known["kind"] == "payment":
            self.tell(known)
"""


def _piece(capability: str, part: str) -> str:
    place = files("gateway.cli") / "templates" / "adapter" / "capabilities" / capability / f"{part}.txt"
    return place.read_text(encoding="utf-8") if place.is_file() else ""


def _text(name: str) -> str:
    place = files("gateway.cli") / "templates" / "adapter"
    for step in name.split("/"):
        place /= step
    return place.read_text(encoding="utf-8")


def _filled(name: str, places: Mapping[str, str]) -> str:
    return Template(_text(name)).substitute(places)


def _importing(name: str, places: Mapping[str, str], modules: Mapping[str, Iterable[str]]) -> str:
    """A filled template whose `$imports` are what its text uses."""
    text = Template(_text(name)).substitute({**places, "imports": "$imports"})
    code = re.sub(r'"""(?s:.*?)"""|#.*|(?<!f)"[^"\n]*"', "", text)
    used = set(re.findall(r"(?<![.\w])[A-Za-z_]+\b", code))
    own = {module: sorted(used & set(offered), key=_rank) for module, offered in modules.items()}
    for word in used & set(LIBRARY):
        own.setdefault(LIBRARY[word], []).append(word)
    sections: list[list[str]] = [[], [], []]
    for module in sorted(module for module, names in own.items() if names):
        place = 2 if module.startswith("lendgate_") else 1 if module.startswith(("gateway", "pydantic")) else 0
        sections[place].append(_import(module, sorted(own[module], key=_rank)))
    blocks = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return Template(text).substitute(imports=blocks)


def _rank(name: str) -> tuple[int, str]:
    """Constants, classes, functions: the order that ruff gives them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name.lower())


def _import(module: str, names: list[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 120:
        return line
    return f"from {module} import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def _gateway() -> Iterable[str]:
    import gateway

    return gateway.__all__


def _adapter_modules(wanted: Wanted) -> dict[str, Iterable[str]]:
    messages = "\n".join(_piece(name, "messages") for name in wanted.capabilities)
    classes = {"Answer", *re.findall(r"^class (\w+)", messages, re.MULTILINE)}
    return {
        "gateway": _gateway(),
        f"{wanted.package}.messages": classes,
        f"{wanted.package}.signing": [f"{wanted.class_name}Signature"],
    }


def _test_modules() -> dict[str, Iterable[str]]:
    return {
        "gateway": ["NextAction", "Wire"],
        "gateway.testing": ["drive", "replied"],
        "gateway.testing.fixtures": ["Question"],
    }


def _bases(names: list[str], wanted: Wanted) -> str:
    every = [f"Adapter[{wanted.class_name}Settings]", *names]
    line = ", ".join(every)
    if len(f"class {wanted.class_name}({line}):") <= 120:
        return line
    return "\n" + "".join(f"    {name},\n" for name in every)


def _pairs(kinds: Mapping[str, str]) -> str:
    pairs = [f'"{path}": "{kind}"' for path, kind in kinds.items()]
    line = ", ".join(pairs)
    return line if len(line) <= 108 else "\n" + "".join(f"    {pair},\n" for pair in pairs)


def _tuple(calls: list[str]) -> str:
    line = f"({', '.join(calls)}{',' if len(calls) == 1 else ''})"
    return line if len(line) <= 108 else "(\n" + "".join(f"    {call},\n" for call in calls) + ")"


def _listed(kinds: list[str]) -> str:
    return ", ".join(f'"{kind}"' for kind in kinds)


def _rows(chosen: list[Capability]) -> str:
    from gateway.adapters import verbs

    rows = []
    for one in chosen:
        paths = list(one.kinds)
        for base in one.bases:
            declared = getattr(verbs, base)
            for verb in (name for name, found in verbs.VERBS.items() if issubclass(declared, found.declared_by)):
                rows.append(f"| `{verb}` | {_request(verb, paths)} |")
    return "\n".join(rows)


def _request(verb: str, paths: list[str]) -> str:
    noun = verb.rpartition("_")[2]
    path = next((path for path in paths if path.startswith(noun[:5])), paths[0])
    if verb in ("list_accounts", "fetch_balances"):
        return "GET /accounts"
    return f"{'GET' if verb.startswith('fetch_') else 'POST'} /{path}"


def _scheme_todo(scheme: str) -> str:
    if scheme == "own":
        return "# What is signed, and how, stands in signing.py."
    return "# TODO docs/adapters/signing.md: the names of the partner's headers or parameters, and its algorithm."


def _keys_text(scheme: str) -> str:
    if scheme in ("hmac", "own"):
        return "The connection has one secret, `shared`."
    return "The connection has a signing key of ours, and the partner's public key."
