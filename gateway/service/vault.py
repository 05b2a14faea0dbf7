"""Opens the vault that a configuration means: where its keys are, and what wraps them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.audit.vault import Vault
from gateway.crypto.seal import Sealer
from gateway.model.ids import entropy
from gateway.model.problems import ConfigurationError
from gateway.service.config import Configuration
from gateway.service.derived import Purpose, derived_key
from gateway.store.sqlite_subject_keys import SQLiteSubjectKeys
from gateway.store.subject_keys import SubjectKeys

__all__ = ["open_vault"]

log = logging.getLogger(__name__)


async def open_vault(
    configuration: Configuration,
    installation: Sealer,
    entropy: Callable[[int], bytes] = entropy,
    *,
    read_only: bool = False,
) -> Vault:
    """Open it; what older keys wrapped is wrapped anew, unless it is only read.

    Raises `ConfigurationError`, `StorageError`; then nothing stays open.
    """
    secret = configuration.gateway.secret()
    derived = derived_key(secret, Purpose.SUBJECT_KEYS)
    # The derived key stays among those that open, so that a key of its own can be configured at any time.
    wrapping = [*configuration.vault.wrapping_keys(), derived]
    kek = Sealer(wrapping[0], retired=wrapping[1:], entropy=entropy)
    keys = await _keys(configuration, read_only)
    shared = configuration.gateway.database_url is not None
    tags = derived_key(secret, Purpose.SUBJECT_TAGS)
    vault = Vault(keys, kek, installation, tags, shared=shared, entropy=entropy)
    if read_only:
        return vault
    try:
        count = await vault.rewrap()
        await vault.ready()
    except BaseException:
        await vault.close()
        raise
    if count:
        log.warning("%d subject keys are wrapped by the key %s now", count, kek.key_id)
    return vault


async def _keys(configuration: Configuration, read_only: bool) -> SubjectKeys:
    if configuration.gateway.database_url is None:
        place = configuration.subject_keys
        if not place.parent.is_dir():
            what = f"the folder {place.parent} does not exist; make it, for the gateway's user alone"
            raise ConfigurationError(configuration.places.say(("vault", "keys"), what))
        return SQLiteSubjectKeys.open(place, read_only=read_only)
    # The driver is an extra; that it is there was seen when the store was opened.
    from gateway.store.postgres_subject_keys import PostgresSubjectKeys

    url = configuration.vault.database_url or configuration.gateway.database_url
    return await PostgresSubjectKeys.open(url.get_secret_value())
