"""A configuration is taken whole, or refused with every fault named by its line and field."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError
from gateway.sandbox import DevelopmentCA
from gateway.service.config import Configuration
from gateway.service.fields import SECTIONS, as_markdown, keys
from gateway.service.load import load, parse
from tests.sources import ROOT

KEY = "lg_sandbox_" + "k" * 43
SECRET = "5e" * 32
ENVIRONMENT = {
    "DATABASE": "postgresql://lendgate:word@db.example/lendgate?sslmode=require",
    "INSTALLATION": SECRET,
    "SHOP_KEY": KEY,
    "SHARED": "s" * 32,
    "EMPTY": "  ",
    "SHORT": "abc",
}

GATEWAY = """\
[gateway]
mode = "sandbox"
installation_secret = "env:INSTALLATION"
"""
RIVERBANK = """\
[connections.riverbank]
partner = "riverbank"
hosts = ["127.0.0.1:8081"]
"""
PRODUCTION = """\
[gateway]
mode = "production"
public_url = "https://gateway.example"
installation_secret = "env:INSTALLATION"
[connections.riverbank]
partner = "riverbank"
hosts = ["api.riverbank.example"]
"""


def read(text: str, folder: Path = Path("/nowhere")) -> Configuration:
    return parse(text, folder, environment=ENVIRONMENT)


def faults(text: str, folder: Path = Path("/nowhere")) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        read(text, folder)
    return str(refused.value).splitlines()


# What is read


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "signing.pem").write_text("PRIVATE\n")
    text = f"""{GATEWAY}
[clients.shop]
role = "platform"
key = "env:SHOP_KEY"
{RIVERBANK}
settings = {{ url = "http://127.0.0.1:8081", certificate = "file:signing.pem" }}
signing_key = {{ id = "k1", private = "file:signing.pem" }}
secrets = {{ shared = ["env:SHARED", "env:SHOP_KEY"] }}
"""

    configuration = read(text, tmp_path)

    riverbank = configuration.connections["riverbank"]
    assert riverbank.settings["certificate"] == "PRIVATE"
    assert riverbank.signing_key is not None
    assert riverbank.signing_key.private.get_secret_value() == "PRIVATE"
    assert [one.get_secret_value() for one in riverbank.secrets["shared"]] == ["s" * 32, KEY]
    assert configuration.clients["shop"].hashes() == (hashlib.sha256(KEY.encode()).hexdigest(),)
    assert configuration.gateway.secret() == bytes.fromhex(SECRET)
    assert configuration.database == tmp_path / "lendgate.db"
    assert configuration.allowed_plugins == {"riverbank"}


def test_no_secret_shows_when_a_configuration_is_printed() -> None:
    text = f'{GATEWAY}[clients.shop]\nrole = "platform"\nkey = "env:SHOP_KEY"\n'

    configuration = read(text)

    assert KEY not in repr(configuration)
    assert SECRET not in repr(configuration)


def test_a_callback_address_is_unguessable_and_stays() -> None:
    token = read(GATEWAY + RIVERBANK).callback_token("riverbank")

    assert len(token) == 32
    assert token == read(GATEWAY + RIVERBANK).callback_token("riverbank")
    other = parse(GATEWAY + RIVERBANK, Path(), environment=ENVIRONMENT | {"INSTALLATION": "ff" * 32})
    assert token != other.callback_token("riverbank")


@pytest.mark.parametrize("secret", ["5e" * 32, "Xl5e" * 11, "Xl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl5eXl4", "-_-_" * 11])
def test_the_installation_secret_may_be_hexadecimal_or_base64(secret: str) -> None:
    configuration = parse(GATEWAY, Path(), environment={"INSTALLATION": secret})

    assert len(configuration.gateway.secret()) >= 32


def test_only_a_final_newline_of_a_file_is_no_part_of_the_value(tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b" one\ntwo \r\n")

    configuration = read(f'{GATEWAY}{RIVERBANK}settings = {{ text = "file:value" }}', tmp_path)

    assert configuration.connections["riverbank"].settings == {"text": " one\ntwo "}


# What is refused


@dataclass(frozen=True)
class Fault:
    """A text, and what is said about it: line, field, and a part of the remedy."""

    name: str
    text: str
    line: int
    field: str
    says: str


FAULTS = (
    Fault("no TOML", "[gateway]\nmode = sandbox\n", 2, "", "no TOML"),
    Fault("misspelt key", GATEWAY + 'databse = "x"\n', 4, "gateway.databse", "did you mean `database`?"),
    Fault(
        "unknown section",
        GATEWAY + "[loans]\n",
        4,
        "loans",
        "there are audit, clients, connections",
    ),
    Fault("missing key", '[gateway]\ninstallation_secret = "env:INSTALLATION"\n', 1, "gateway.mode", "is missing"),
    Fault("wrong choice", GATEWAY.replace('"sandbox"', '"test"'), 2, "gateway.mode", "'sandbox' or 'production'"),
    Fault("wrong type", GATEWAY + 'port = "many"\n', 4, "gateway.port", "valid integer"),
    Fault("wrong URL", GATEWAY + 'public_url = "https://x/?y"\n', 4, "gateway.public_url", "without query"),
    Fault("no variable", GATEWAY.replace("INSTALLATION", "NONE"), 3, "gateway.installation_secret", "NONE is not set"),
    Fault("empty variable", GATEWAY.replace("INSTALLATION", "EMPTY"), 3, "gateway.installation_secret", "is empty"),
    Fault("short secret", GATEWAY.replace("INSTALLATION", "SHORT"), 3, "gateway.installation_secret", "32 bytes"),
    Fault(
        "open secret", GATEWAY.replace("env:INSTALLATION", SECRET), 3, "gateway.installation_secret", "must not stand"
    ),
    Fault(
        "open secret in a list",
        GATEWAY + RIVERBANK + 'secrets = {\n  shared = ["env:SHARED", "open"] }\n'.replace("{\n ", "{"),
        7,
        "connections.riverbank.secrets.shared[1]",
        "must not stand",
    ),
    Fault(
        "no file",
        GATEWAY + RIVERBANK + 'partner_keys = { k = "file:keys/k.pem" }\n',
        7,
        "connections.riverbank.partner_keys.k",
        "cannot be read (no such file or directory)",
    ),
    Fault(
        "no hosts", GATEWAY + '[connections.riverbank]\npartner = "x"\n', 4, "connections.riverbank.hosts", "missing"
    ),
    Fault(
        "host is a URL",
        GATEWAY + RIVERBANK.replace("127.0.0.1:8081", "https://x"),
        6,
        "connections.riverbank.hosts[0]",
        "without scheme",
    ),
    Fault(
        "half a client certificate",
        GATEWAY + RIVERBANK + 'tls = { certificate = "x" }\n',
        7,
        "connections.riverbank.tls",
        "belong together",
    ),
    Fault(
        "wrong name",
        GATEWAY + RIVERBANK.replace("connections.riverbank", 'connections."River Bank"'),
        4,
        "connections.River Bank",
        "lower-case",
    ),
    Fault("no key", GATEWAY + '[clients.shop]\nrole = "platform"\n', 4, "clients.shop", "give either"),
    Fault(
        "short key",
        GATEWAY + '[clients.shop]\nrole = "platform"\nkey = "env:SHORT"\n',
        4,
        "clients.shop",
        "lendgate keys new-client",
    ),
    Fault(
        "clear hash",
        GATEWAY + '[clients.shop]\nrole = "platform"\nkey_sha256 = "abc"\n',
        6,
        "clients.shop.key_sha256",
        "64 lower-case",
    ),
    Fault(
        "shared key",
        GATEWAY + "".join(f'[clients.{n}]\nrole = "auditor"\nkey = "env:SHOP_KEY"\n' for n in ("shop", "other")),
        7,
        "clients.other",
        "the same key as shop",
    ),
    Fault(
        "key of the other mode",
        PRODUCTION + '[clients.shop]\nrole = "platform"\nkey = "env:SHOP_KEY"\n',
        10,
        "clients.shop.key",
        "begin with lg_production_",
    ),
    Fault(
        "guessable callback token",
        GATEWAY + RIVERBANK + 'callback_token = "env:SHORT"\n',
        7,
        "connections.riverbank.callback_token",
        "32 to 128",
    ),
    Fault(
        "sandbox host in production",
        PRODUCTION.replace("api.riverbank.example", "localhost:8081"),
        7,
        "connections.riverbank.hosts[0]",
        "is this machine",
    ),
    Fault(
        "IPv6 sandbox host in production",
        PRODUCTION.replace("api.riverbank.example", "[::1]:8081"),
        7,
        "connections.riverbank.hosts[0]",
        "is this machine",
    ),
    Fault(
        "simulators in production",
        PRODUCTION + '[sandbox.urls]\nriverbank = "http://127.0.0.1:1"\n',
        8,
        "sandbox",
        "no place beside production",
    ),
    Fault(
        "no TLS in front of production",
        PRODUCTION.replace("https://gateway", "http://gateway"),
        3,
        "gateway.public_url",
        "https://",
    ),
    Fault(
        "a database over the network that proves nothing",
        PRODUCTION.replace(
            'mode = "production"\n',
            'mode = "production"\ndatabase_url = "env:DATABASE"\n',
        ),
        3,
        "gateway.database_url",
        "sslmode=verify-full",
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named_by_line_and_field(fault: Fault) -> None:
    (said,) = faults(fault.text)

    place = f"lendgate.toml:{fault.line}: {fault.field}: " if fault.field else f"lendgate.toml:{fault.line}: "
    assert said.startswith(place)
    assert fault.says in said
    assert SECRET not in said


def test_all_faults_are_named_at_once_in_the_order_of_the_file() -> None:
    text = GATEWAY.replace("env:INSTALLATION", "env:NONE") + 'port = "many"\n' + RIVERBANK.replace("hosts", "host")

    said = faults(text)

    assert [line.split(": ")[1] for line in said] == [
        "gateway.installation_secret",
        "gateway.port",
        "connections.riverbank.hosts",
        "connections.riverbank.host",
    ]


def test_a_file_that_is_not_there_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"lendgate.toml cannot be read .*lendgate sandbox"):
        load(tmp_path / "lendgate.toml")


def test_a_large_or_binary_file_is_no_value(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty").write_bytes(b"\n")

    said = faults(
        GATEWAY + RIVERBANK + 'settings = { a = "file:large", b = "file:binary", c = "file:empty" }\n', tmp_path
    )

    assert [part in line for part, line in zip(("is it the right file", "no text", "is empty"), said, strict=True)]


# What production refuses beside hosts


@pytest.fixture
def production_keys(tmp_path: Path) -> str:
    """A production configuration whose signing key stands in `keys/signing.pem`, well kept."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.pem").touch(mode=0o600)
    (tmp_path / "keys" / "signing.pem").write_text("PRIVATE")
    return PRODUCTION + 'signing_key = { id = "", private = "file:keys/signing.pem" }\n'


def test_production_takes_a_private_key_that_only_its_owner_reads(tmp_path: Path, production_keys: str) -> None:
    assert read(production_keys, tmp_path).gateway.mode == "production"


def test_production_refuses_a_private_key_that_everybody_may_read(tmp_path: Path, production_keys: str) -> None:
    (tmp_path / "keys" / "signing.pem").chmod(0o644)

    (said,) = faults(production_keys, tmp_path)

    assert said.startswith("lendgate.toml:8: connections.riverbank.signing_key.private: everybody")
    assert "chmod 600" in said


def test_a_sandbox_does_not_mind(tmp_path: Path, production_keys: str) -> None:
    (tmp_path / "keys" / "signing.pem").chmod(0o644)

    assert read(production_keys.replace('"production"', '"sandbox"'), tmp_path).gateway.mode == "sandbox"


def test_production_refuses_a_folder_of_development_keys(tmp_path: Path, production_keys: str) -> None:
    (tmp_path / "DEVELOPMENT").write_text("")

    (said,) = faults(production_keys, tmp_path)

    assert "folder of development keys" in said


def test_production_refuses_development_certificates_wherever_they_stand(tmp_path: Path) -> None:
    authority = DevelopmentCA(tmp_path)
    shutil.copy(authority.certificate_path, tmp_path / "bank.pem")
    text = PRODUCTION + (
        'tls = { ca = "file:ca.pem" }\n'
        'partner_keys = { k = "file:bank.pem" }\n'
        'settings = { roots = ["file:bank.pem"] }\n'
    )

    said = faults(text, tmp_path)

    assert [line.split(": ")[1].removeprefix("connections.riverbank.") for line in said] == [
        "tls.ca",
        "partner_keys.k",
        "settings.roots[0]",
    ]
    assert all("development certificate" in line for line in said)


# What the guide says


def test_the_guide_lists_every_key_as_the_models_have_it() -> None:
    guide = (ROOT / "docs" / "operators" / "configuration.md").read_text(encoding="utf-8")

    assert as_markdown() in guide, "put the output of `lendgate check-config --fields` in its place"


def test_every_key_is_described() -> None:
    assert [key.name for model in SECTIONS.values() for key in keys(model) if not key.description] == []


def test_the_example_of_the_guide_lacks_only_its_files_and_variables(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "operators" / "configuration.md").read_text(encoding="utf-8")
    example = guide.split("```toml\n")[1].split("```")[0]

    said = faults(example, tmp_path)

    assert len(said) == 5
    assert all("cannot be read" in line or "is not set" in line for line in said)
