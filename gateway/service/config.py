"""What an operator may write in `lendgate.toml`: one model for each section, with a description on every field.

Rules
- A secret is a reference (`env:NAME`, `file:path`), so the file itself may be read by anybody.
- The table in `docs/operators/configuration.md` is made from these models; a test compares them.
- Adapters' own settings are checked by their adapters, when the connection opens.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, field_validator, model_validator

from gateway.model.schema import Model
from gateway.service.places import Path, Places
from gateway.service.references import Origin
from gateway.service.secret_values import Secrets, decoded, several
from gateway.service.vault_section import VaultSection

__all__ = [
    "TLS",
    "AuditSection",
    "ClientSection",
    "Configuration",
    "ConnectionSection",
    "GatewaySection",
    "PluginsSection",
    "SandboxSection",
    "SigningKeySection",
    "StoreSection",
    "VaultSection",
    "WebhooksSection",
    "WitnessSection",
]

INSTALLATION_SECRET_BYTES_AT_LEAST: Final = 32
API_KEY_CHARACTERS_AT_LEAST: Final = 32
CALLBACK_TOKEN_CHARACTERS: Final = 32


def _unguessable(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9_-]{32,128}", token.get_secret_value()):
        raise ValueError("must have 32 to 128 letters, digits, - or _")
    return token


def _matching(pattern: str, what: str) -> AfterValidator:
    """A pattern that is explained instead of shown."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(what)
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    _matching(
        r"[a-z][a-z0-9_-]{0,39}", "a name has up to 40 lower-case letters, digits, _ and -, and begins with a letter"
    ),
]
Host = Annotated[
    str,
    _matching(
        r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?", "must be `host:port` or `host`, without scheme and path"
    ),
]
URL = Annotated[
    str, _matching(r"https?://[^/?#\s]+(/[^?#\s]*[^/?#\s])?", "must be a URL without query and without a final slash")
]
SHA256 = Annotated[str, _matching(r"[0-9a-f]{64}", "must be a SHA-256 in 64 lower-case hexadecimal digits")]
LogName = Annotated[str, _matching(r"[^\s+]{1,255}", "must be a name without spaces and plus signs")]
Token = Annotated[SecretStr, AfterValidator(_unguessable)]


class GatewaySection(Model):
    """The gateway itself."""

    mode: Literal["sandbox", "production"] = Field(
        description="`production` refuses loopback partners, development keys and plugins that were not packaged"
    )
    installation_secret: SecretStr = Field(
        description="at least 32 random bytes as base64 or hexadecimal; every partner key is derived from it, so keep "
        "a copy in a safe and never change it"
    )
    host: str = Field(default="127.0.0.1", description="the address that the HTTP API listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="its port; 0 takes a free one")
    public_url: URL | None = Field(
        default=None,
        description="under which partners and browsers reach this gateway; `http://host:port` if it is left out",
    )
    database: FilePath = Field(
        default=FilePath("lendgate.db"), description="the SQLite file, relative to the folder of the configuration"
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="`postgresql://user:password@host/database` instead of the file, for several processes or machines "
        "(needs the extra `postgres`)",
    )
    doubt_horizon_hours: float = Field(
        default=72,
        gt=0,
        description="how long an operation may stay unknown before a person is called (inquiries go on)",
    )
    drain_seconds: float = Field(default=30, ge=0, description="how long a stop waits for calls that are still running")

    @field_validator("installation_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(decoded(value.get_secret_value())) < INSTALLATION_SECRET_BYTES_AT_LEAST:
            raise ValueError(
                f"must hold at least {INSTALLATION_SECRET_BYTES_AT_LEAST} bytes as base64 or hexadecimal; "
                "make one with `openssl rand -hex 32`"
            )
        return value

    def secret(self) -> bytes:
        """The installation secret's bytes."""
        return decoded(self.installation_secret.get_secret_value())

    def url(self) -> str:
        """The public URL, without a trailing slash."""
        return self.public_url or f"http://{self.host}:{self.port}"


class ClientSection(Model):
    """Who may call the API. Give `key` or `key_sha256`, several of them while one is being replaced."""

    role: Literal["platform", "operator", "auditor"] = Field(
        description="`platform` moves money, `operator` settles doubt, `auditor` reads the log"
    )
    key: Secrets | None = Field(
        default=None, description="the API key, or several; `lendgate keys new-client` makes one", repr=False
    )
    key_sha256: Annotated[tuple[SHA256, ...], BeforeValidator(several), Field(min_length=1)] | None = Field(
        default=None,
        description="SHA-256 of the API key in hexadecimal, or several: the key itself then stays with the client",
    )

    @model_validator(mode="after")
    def _one_form(self) -> ClientSection:
        if (self.key is None) == (self.key_sha256 is None):
            raise ValueError("give either `key` (a reference) or `key_sha256`")
        if any(len(key.get_secret_value()) < API_KEY_CHARACTERS_AT_LEAST for key in self.key or ()):
            raise ValueError(
                f"the API key has fewer than {API_KEY_CHARACTERS_AT_LEAST} characters; make one with "
                "`lendgate keys new-client`"
            )
        return self

    def hashes(self) -> tuple[str, ...]:
        """SHA-256 of each key, in hexadecimal."""
        clear = tuple(hashlib.sha256(key.get_secret_value().encode()).hexdigest() for key in self.key or ())
        return clear + (self.key_sha256 or ())


class SigningKeySection(Model):
    """Our own key at this partner."""

    id: str = Field(description="the id under which the partner knows our key; may be empty where it gives none")
    private: SecretStr = Field(description="the private key: PEM or bare base64, PKCS#8 or PKCS#1")


class TLS(Model):
    """The way to this partner, where the system's own roots are not enough."""

    ca: str | None = Field(default=None, description="PEM of the authority that the partner's certificate must lead to")
    certificate: str | None = Field(
        default=None, description="PEM of our client certificate, with its chain (mutual TLS)"
    )
    key: SecretStr | None = Field(default=None, description="PEM of the client certificate's private key")

    @model_validator(mode="after")
    def _both_halves(self) -> TLS:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("`certificate` and `key` belong together: give both, or neither")
        return self


class ConnectionSection(Model):
    """One set of credentials at a partner."""

    partner: Name = Field(description="the adapter's name; `lendgate partners` lists what is installed")
    hosts: tuple[Host, ...] = Field(
        min_length=1, description="`host:port` (or `host`, for port 443) of everything that the adapter may call"
    )
    settings: dict[str, Any] = Field(
        default_factory=dict, description="the adapter's own settings, described on its page"
    )
    signing_key: SigningKeySection | None = Field(default=None, description="our own key at this partner")
    partner_keys: dict[str, str] = Field(
        default_factory=dict, description="key id to the partner's public key or certificate (PEM or bare base64)"
    )
    partner_roots: Annotated[tuple[str, ...], BeforeValidator(several)] = Field(
        default=(),
        description="certificates (PEM) to which a key that the partner publishes must lead before it is taken; "
        "without them only `partner_keys` count",
    )
    secrets: dict[str, Secrets] = Field(
        default_factory=dict,
        description="name to secret, as the adapter's page names them; several while one is being replaced: the first "
        "is used, all of them verify",
    )
    tls: TLS = Field(default_factory=TLS, description="roots and client certificate")
    legacy: bool = Field(
        default=False,
        description="accept SHA-1 and short RSA keys, where the partner has nothing better; say why in a comment",
    )
    callback_token: Token | None = Field(
        default=None,
        description="the unguessable part of the callback address, 32 characters or more; derived from the "
        "installation secret if it is left out",
    )
    deadline_seconds: float = Field(
        default=25, gt=0, le=300, description="the longest that one call of the partner may take"
    )


class PluginsSection(Model):
    """Which installed plugins may be imported."""

    allow: tuple[Name, ...] | None = Field(
        default=None, description="names of plugins; if it is left out, those that the connections name"
    )


class WitnessSection(Model):
    """Somebody else who remembers how the log grew, and cosigns its checkpoints (`lendgate-witness`)."""

    url: URL = Field(description="under which it takes `/add-checkpoint`")
    vkey: str = Field(description="its verifier key, as `lendgate-witness init` printed it")


class AuditSection(Model):
    """The transparency log, in the form of C2SP tlog-tiles: checkpoints, tiles and entries that others can verify."""

    log: FilePath = Field(
        default=FilePath("audit-log"),
        description="its directory, relative to the folder of the configuration; any static file server may serve it",
    )
    publish: bool = Field(
        default=True,
        description="keep the log; where several processes share a database, `false` in all but one of them",
    )
    origin: LogName | None = Field(
        default=None,
        description="the log's name for ever, best a domain of yours with a path; drawn from the installation secret "
        "if it is left out",
    )
    signing_key: SecretStr | None = Field(
        default=None,
        description="an Ed25519 private key (PEM) that signs checkpoints; derived from the installation secret if it "
        "is left out",
    )
    witness: tuple[WitnessSection, ...] = Field(
        default=(), description="those who are asked to cosign checkpoints, beside everything else that goes on"
    )
    witness_quorum: int | None = Field(
        default=None, ge=0, description="how many of them have to cosign; all of them if it is left out"
    )


class StoreSection(Model):
    """What is kept about the store outside of it. The store itself is named under `[gateway]`."""

    mark: FilePath | None = Field(
        default=None,
        description="the file that says how far the store has come, best on another disk; `<log>.mark` beside the "
        "directory of the log if it is left out. Each gateway has its own",
    )


class WebhooksSection(Model):
    """How platforms are told what happened: their endpoints must be https and have public addresses."""

    private_hosts: tuple[Host, ...] = Field(
        default=(),
        description="`host:port` (or `host`, for port 443) of endpoints that may be called although their addresses "
        "are not public",
    )
    ca: str | None = Field(
        default=None,
        description="PEM of the authority that the certificates of those hosts must lead to; the system's own if it is "
        "left out",
    )


class SandboxSection(Model):
    """Where `lendgate sandbox` simulates partners: for people and their tools, the gateway does not read it."""

    urls: dict[str, str] = Field(default_factory=dict, description="partner to the simulator's own address")


class Configuration(Model):
    """A whole, checked configuration. Made by `gateway.service.load`."""

    gateway: GatewaySection
    clients: dict[Name, ClientSection] = Field(default_factory=dict)
    connections: dict[Name, ConnectionSection] = Field(default_factory=dict)
    plugins: PluginsSection = Field(default_factory=PluginsSection)
    audit: AuditSection = Field(default_factory=AuditSection)
    store: StoreSection = Field(default_factory=StoreSection)
    vault: VaultSection = Field(default_factory=VaultSection)
    webhooks: WebhooksSection = Field(default_factory=WebhooksSection)
    sandbox: SandboxSection = Field(default_factory=SandboxSection)

    _folder: FilePath = PrivateAttr(FilePath())
    _places: Places = PrivateAttr(Places())
    _origins: dict[Path, Origin] = PrivateAttr({})

    @property
    def places(self) -> Places:
        """Where its keys stand, for messages."""
        return self._places

    @property
    def origins(self) -> Mapping[Path, Origin]:
        """Which values were references, and to what."""
        return self._origins

    @property
    def database(self) -> FilePath:
        """The database's place."""
        return self._folder / self.gateway.database

    @property
    def blockers(self) -> FilePath:
        """The list of plugins that blocked a process and are left out."""
        return self.database.with_name(f"{self.database.name}.blocked-plugins")

    @property
    def log_directory(self) -> FilePath:
        """The transparency log's place."""
        return self._folder / self.audit.log

    @property
    def mark(self) -> FilePath:
        """The high-water mark's place."""
        beside = self.log_directory.with_name(f"{self.log_directory.name}.mark")
        return beside if self.store.mark is None else self._folder / self.store.mark

    @property
    def subject_keys(self) -> FilePath:
        """The place of the keys, where the store is a file."""
        beside = self.database.with_name("subject-keys.db")
        return beside if self.vault.keys is None else self._folder / self.vault.keys

    @property
    def erasures(self) -> FilePath:
        """The place of what is remembered of erasures."""
        beside = self.log_directory.with_name(f"{self.log_directory.name}.erasures")
        return beside if self.vault.erasures is None else self._folder / self.vault.erasures

    @property
    def allowed_plugins(self) -> frozenset[str]:
        """The plugins that may be imported."""
        if self.plugins.allow is not None:
            return frozenset(self.plugins.allow)
        return frozenset(section.partner for section in self.connections.values())

    def callback_token(self, connection: str) -> str:
        """The unguessable part of a connection's callback address: the same after every start."""
        configured = self.connections[connection].callback_token
        if configured is not None:
            return configured.get_secret_value()
        message = b"callback token" + connection.encode()
        return hmac.digest(self.gateway.secret(), message, "sha256").hex()[:CALLBACK_TOKEN_CHARACTERS]
