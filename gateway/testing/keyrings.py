"""Keys for tests of a scheme: a ring with what the test gives it, as a connection would hold it."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.crypto.keys import KeyRing

__all__ = ["keys"]


def keys(
    *,
    secrets: Mapping[str, str] | None = None,
    signing_key: tuple[str, str | bytes] | None = None,
    partner_keys: Mapping[str, str | bytes] | None = None,
) -> KeyRing:
    """A ring of `secrets` by name, our signing key (id, PEM) and the partner's public keys (id to PEM).

    Raises `ConfigurationError` for what is no key.
    """
    own, private = signing_key or ("", None)
    return KeyRing.load("test", key_id=own, private_key=private, partner_keys=partner_keys, secrets=dict(secrets or {}))
