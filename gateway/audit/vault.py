"""The vault: what was sent and received, and what is known about a person, under keys that can be destroyed.

How to read it
- `records.body` in the store is a sealed value: the record's salt (16 bytes) and the exact message behind it. Its
  context is `record.sealing_context(kind, id)`. The leaf holds the value's SHA-256 (`sealed.hash`) and the commitment
  to its key (`sealed.key`).
- In front of a sealed value stands the id of its data key (`envelope.key_id_of`). The wrapped keys are in the store of
  subject keys, apart from everything else (`store.subject_keys`).
- `await vault.fetch(values)` gets the keys of many values at once; `vault.open(value, context)` opens one of them, or
  raises `Erased`: its key was destroyed, so nobody can open it any more. `Erased` is a `ConfigurationError`, so whoever
  takes the `open` of a `Sealer` takes this one.

Rules
- One data key for each person (client and subject), or for each chain of records that names no person. All that is
  about one operation is sealed by the key that `bind` found for its chain, and what nothing was bound for by a new one.
- Keys are durable before anything is sealed by them. Spare ones are made in blocks beforehand: an operation without a
  subject costs no commit of its own.
- What the installation's own key sealed (version 0x01) still opens: tokens of the gateway itself, and older records.
- Several processes may share the keys. What one destroys is gone in the others after `SHARED_SECONDS`.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar

from gateway.crypto.envelope import KEY_BYTES, DataKey, KeyEncryption, key_id_of
from gateway.crypto.seal import Sealer
from gateway.model.ids import entropy
from gateway.model.problems import ConfigurationError, NotProven, Overloaded, Retry
from gateway.store.subject_keys import StoredKey, SubjectKeys

__all__ = ["SHARED_SECONDS", "Erased", "Vault"]

log = logging.getLogger(__name__)

BLOCK: Final = 512
"""Spare keys that are made at once."""

LOW: Final = 256
"""So few spare keys left: more are made meanwhile."""

MOST_HELD: Final = 50_000
"""Keys and chains that are remembered."""

SHARED_SECONDS: Final = 5.0
"""How long a process that shares the keys with others believes what it knows of them."""

REWRAPPED: Final = 500

T = TypeVar("T")


class Erased(ConfigurationError):
    """The key of this value was destroyed, or is not here: nobody can open it."""


class _Recent(Generic[T]):
    """The `MOST_HELD` values that were used last, each for at most `seconds`."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._held: dict[str, tuple[float, T]] = {}

    def get(self, name: str) -> T | None:
        found = self._held.get(name)
        if found is None or (self._seconds is not None and time.monotonic() - found[0] > self._seconds):
            return None
        return found[1]

    def put(self, name: str, value: T) -> None:
        self._held.pop(name, None)
        self._held[name] = time.monotonic(), value
        while len(self._held) > MOST_HELD:
            del self._held[next(iter(self._held))]

    def drop(self, gone: Callable[[T], bool]) -> None:
        for name in [name for name, (_, value) in self._held.items() if gone(value)]:
            del self._held[name]


class Vault:
    """Seals and opens. `kek` wraps the keys; `installation` opens what the installation's own key sealed.

    `shared`: other processes may destroy keys too. `tag_key` is what subjects are tagged with.
    """

    def __init__(
        self,
        keys: SubjectKeys,
        kek: KeyEncryption,
        installation: Sealer,
        tag_key: bytes,
        *,
        shared: bool = False,
        entropy: Callable[[int], bytes] = entropy,
    ) -> None:
        self.keys = keys
        self.shared = shared
        self._kek = kek
        self._installation = installation
        self._tag_key = tag_key
        self._entropy = entropy
        seconds = SHARED_SECONDS if shared else None
        self._held: _Recent[DataKey] = _Recent(seconds)
        self._gone: _Recent[bool] = _Recent(seconds)
        self._named: _Recent[DataKey] = _Recent(seconds)
        self._chains: _Recent[DataKey] = _Recent(None)  # an operation that runs keeps its key
        self._spare: list[DataKey] = []
        self._making: asyncio.Task[None] | None = None

    def tag(self, client: str, subject: str) -> str:
        """By what a person is found without being named: HMAC-SHA256, in hexadecimal."""
        return hmac.digest(self._tag_key, f"subject\x00{client}\x00{subject}".encode(), "sha256").hex()

    # Sealing

    async def ready(self) -> None:
        """Make the first spare keys. Raises `StorageError`."""
        if not self._spare:
            await asyncio.shield(self._make())

    async def bind(self, chain: str, client: str, subject: str | None = None) -> None:
        """Find the key for everything about `chain`: that of the person, or one of its own."""
        if self._chains.get(chain) is None:
            key = await self._take() if subject is None else await self._of(self.tag(client, subject))
            self._chains.put(chain, key)

    def follow(self, chain: str, other: str) -> bool:
        """Let `chain` use the key of `other`; whether that has one."""
        key = self._chains.get(other)
        if key is not None:
            self._chains.put(chain, key)
        return key is not None

    def seal(self, chain: str, plaintext: bytes, context: bytes) -> bytes:
        """Seal under the key of `chain`, or a new one. Raises `Overloaded` where no spare key is left: try later."""
        key = self._chains.get(chain)
        if key is None:
            if not self._spare:
                self._make()
                raise Overloaded("keys are being made", retry=Retry.SAME_KEY, retry_after_seconds=1)
            key = self._spared()
            self._chains.put(chain, key)
        return key.seal(plaintext, context)

    # Opening

    async def fetch(self, values: Iterable[bytes]) -> None:
        """Get the keys of `values`, so that `open` can open them. Raises `StorageError`."""
        ids = {id_ for value in values if (id_ := key_id_of(value)) is not None}
        wanted = [id_ for id_ in ids if self._held.get(id_) is None and self._gone.get(id_) is None]
        if not wanted:
            return
        found = await self.keys.keys(wanted)
        for stored in found:
            self._held.put(stored.id, self._unwrapped(stored))
        for id_ in set(wanted) - {stored.id for stored in found}:
            self._gone.put(id_, True)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plaintext. Raises `Erased`, `NotProven` if it was changed or moved, `LookupError` before `fetch`."""
        id_ = key_id_of(sealed)
        if id_ is None:
            return self._installation.open(sealed, context)
        key = self._held.get(id_)
        if key is not None:
            return key.open(sealed, context)
        if self._gone.get(id_) is None:
            raise LookupError(f"the key {id_} was not fetched")
        raise Erased("its key was destroyed, or is not held here")

    async def opened(self, sealed: bytes, context: bytes) -> bytes:
        """Fetch and open in one."""
        await self.fetch([sealed])
        return self.open(sealed, context)

    def resume(self, chain: str, sealed: bytes) -> bool:
        """Let `chain` go on with the key that sealed a fetched value; whether that still exists."""
        key = self._held.get(key_id_of(sealed) or "")
        if key is not None and self._chains.get(chain) is None:
            self._chains.put(chain, key)
        return key is not None

    # Keys

    async def destroy(self, ids: Iterable[str]) -> int:
        """Destroy keys for ever: what they sealed is `Erased`. How many there were. Raises `StorageError`."""
        gone = set(ids)
        count = await self.keys.destroy(sorted(gone))
        for held in (self._held, self._named, self._chains):
            held.drop(lambda key: key.id in gone)
        for id_ in gone:
            self._gone.put(id_, True)
        return count

    async def forget_name(self, tag: str) -> str | None:
        """The key that seals for `tag` seals nothing new from now on; its id."""
        id_ = await self.keys.named(tag)
        await self.keys.forget_name(tag)
        self._named.drop(lambda key: key.id == id_)
        return id_

    async def rewrap(self) -> int:
        """Wrap by the newest key what older ones wrapped; how many there were. Raises `StorageError`."""
        count = 0
        while old := await self.keys.wrapped_by_others(self._kek.key_id, REWRAPPED):
            await self.keys.rewrap([self._wrapped(stored.id, self._secret(stored)) for stored in old])
            count += len(old)
        return count

    async def close(self) -> None:
        """Destroy the spare keys, which sealed nothing, and close the store of keys."""
        if self._making is not None:
            await asyncio.wait([self._making])
        if self._spare:
            await self.keys.destroy([key.id for key in self._spare])
            self._spare.clear()
        await self.keys.close()

    async def _of(self, tag: str) -> DataKey:
        known = self._named.get(tag)
        if known is not None:
            return known
        id_, spare = await self.keys.named(tag), None
        if id_ is None:
            spare = await self._take()
            id_ = await self.keys.name(tag, spare.id)
        if spare is not None and spare.id == id_:
            key = spare
        else:
            if spare is not None:
                self._spare.append(spare)
            (stored,) = await self.keys.keys([id_])
            key = self._unwrapped(stored)
        self._held.put(key.id, key)
        self._named.put(tag, key)
        return key

    async def _take(self) -> DataKey:
        while not self._spare:
            await asyncio.shield(self._make())
        return self._spared()

    def _spared(self) -> DataKey:
        if len(self._spare) <= LOW:
            self._make()
        key = self._spare.pop()
        self._held.put(key.id, key)
        return key

    def _make(self) -> asyncio.Task[None]:
        """The one making of spare keys, begun if none is under way."""
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._more())
            self._making.add_done_callback(_told)
        return self._making

    async def _more(self) -> None:
        secrets = {self._entropy(8).hex(): self._entropy(KEY_BYTES) for _ in range(BLOCK)}
        await self.keys.add([self._wrapped(id_, secret) for id_, secret in secrets.items()])
        self._spare += [DataKey(id_, secret, self._entropy) for id_, secret in secrets.items()]

    def _wrapped(self, id_: str, secret: bytes) -> StoredKey:
        return StoredKey(id_, self._kek.seal(secret, _place(id_)), self._kek.key_id)

    def _secret(self, stored: StoredKey) -> bytes:
        try:
            return self._kek.open(stored.wrapped, _place(stored.id))
        except NotProven:
            raise ConfigurationError(f"the subject key {stored.id} was changed where it rests") from None

    def _unwrapped(self, stored: StoredKey) -> DataKey:
        return DataKey(stored.id, self._secret(stored), self._entropy)


def _place(id_: str) -> bytes:
    return f"subject key {id_}".encode()


def _told(making: asyncio.Task[None]) -> None:
    if not making.cancelled() and making.exception() is not None:
        log.error("no spare keys can be made: %s", making.exception())
