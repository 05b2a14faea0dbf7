"""The section `[vault]` of a configuration."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Final

from pydantic import Field, SecretStr, field_validator

from gateway.model.schema import Model
from gateway.service.secret_values import Secrets, decoded

__all__ = ["VaultSection"]

VAULT_KEY_BYTES: Final = 32


class VaultSection(Model):
    """The keys under which everything rests that could tell about a person, and what is remembered of erasures."""

    keys: FilePath | None = Field(
        default=None,
        description="the file of the keys, where the store is a file; `subject-keys.db` beside it if it is left out. "
        "Keep it out of the store's backups",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="the PostgreSQL database of the keys, where the store is one; the store's own, in a schema "
        "`lendgate_keys`, if it is left out",
    )
    key: Secrets | None = Field(
        default=None,
        description="what wraps the keys, 32 bytes as base64 or hexadecimal, or several: the first wraps, from the "
        "next start on everything; derived from the installation secret if it is left out",
        repr=False,
    )
    erasures: FilePath | None = Field(
        default=None,
        description="the file that remembers erasures, best on another disk than the keys; `<log>.erasures` beside "
        "the directory of the log if it is left out",
    )

    @field_validator("key")
    @classmethod
    def _whole_keys(cls, value: tuple[SecretStr, ...] | None) -> tuple[SecretStr, ...] | None:
        if any(len(decoded(one.get_secret_value())) != VAULT_KEY_BYTES for one in value or ()):
            raise ValueError(f"must hold {VAULT_KEY_BYTES} bytes as base64 or hexadecimal: `openssl rand -hex 32`")
        return value

    def wrapping_keys(self) -> list[bytes]:
        """The configured keys' bytes, the one that wraps first."""
        return [decoded(one.get_secret_value()) for one in self.key or ()]
