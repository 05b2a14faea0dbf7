"""The transparency log of one gateway: its key, its directory, and the worker that publishes it.

Rules
- The signing key is configured, or comes from the installation secret; the log's origin is configured, or drawn from
  the same secret, so that no two installations share one by accident.
- The log is opened before anything is served: a directory that contradicts the store stops the start, because only a
  person can say which of the two was put back.
- At the end what is left is published, the record of the stop included.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.note import InvalidNote, Kind, Signer, VerifierKey
from gateway.audit.policy import POLICY, policy
from gateway.audit.sequencer import Sequencer
from gateway.crypto.pem import read_private_key
from gateway.model.clock import SystemClock
from gateway.model.problems import ConfigurationError
from gateway.service.auditing import PublishedLog
from gateway.service.closed_log import succession
from gateway.service.config import Configuration
from gateway.service.derived import Purpose, derived_key
from gateway.service.witnesses import Known, Witnesses, post
from gateway.service.workers import Worker
from gateway.store.interface import Store

__all__ = ["Publisher", "log_signer", "log_witnesses"]


def log_signer(configuration: Configuration) -> Signer:
    """Who signs the checkpoints. Raises `ConfigurationError` for a key that is not Ed25519 and for an unfit origin."""
    section, say = configuration.audit, configuration.places.say
    if section.signing_key is None:
        key = Ed25519PrivateKey.from_private_bytes(derived_key(configuration.gateway.secret(), Purpose.LOG_KEY))
    else:
        place = say(("audit", "signing_key"), "").removesuffix(": ")
        read = read_private_key(section.signing_key.get_secret_value(), place)
        if not isinstance(read, Ed25519PrivateKey):
            raise ConfigurationError(f"{place}: checkpoints are signed by an Ed25519 key; give one")
        key = read
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    try:
        return Signer(VerifierKey(log_origin(configuration), Kind.ED25519, public), key.sign)
    except InvalidNote as wrong:
        raise ConfigurationError(say(("audit", "origin"), str(wrong))) from None


def log_origin(configuration: Configuration) -> str:
    """The log's name in its checkpoints."""
    drawn = derived_key(configuration.gateway.secret(), Purpose.LOG_ORIGIN).hex()[:16]
    name, after = configuration.audit.origin or f"lendgate/{drawn}", succession(configuration.log_directory)
    return f"{name}/{after}" if after else name


class Publisher:
    """Keeps the log in `directory` up with the store. Made by `open`."""

    def __init__(
        self, sequencer: Sequencer, key: VerifierKey, directory: Path, witnesses: Witnesses | None = None
    ) -> None:
        self.key = key
        self.directory = directory
        self._sequencer = sequencer
        self._witnesses = witnesses
        self._stopping = asyncio.Event()

    @classmethod
    async def open(cls, configuration: Configuration, store: Store) -> Publisher:
        """Become the log's writer and bring it up to date. Raises `StorageError`, `ConfigurationError`."""
        signer = log_signer(configuration)
        directory = Directory(configuration.log_directory)
        # Rounds are paced by real time, whatever clock the operations live by.
        sequencer = Sequencer(directory, HeadFile(directory), store, signer, SystemClock())
        try:
            await sequencer.open()
            witnesses = _witnesses(configuration, sequencer, signer.key)
            text = policy(signer.key, [one.key for one in witnesses.known], witnesses.quorum)
            await asyncio.to_thread(directory.replace, POLICY, text.encode())
        except BaseException:
            await sequencer.close()
            raise
        return cls(sequencer, signer.key, configuration.log_directory, witnesses if witnesses.known else None)

    def published(self) -> PublishedLog:
        """What it publishes, for whoever reads it."""
        return PublishedLog(FileReader(self.directory), self.key, self._sequencer.base)

    def worker(self) -> Worker:
        """What keeps it going."""
        return Worker("log", self._run, self._stopping.set)

    async def close(self) -> None:
        """Publish what is left, and let another process write."""
        try:
            await self._sequencer.advance()
        finally:
            await self._sequencer.close()

    async def _run(self) -> None:
        rounds = asyncio.create_task(self._sequencer.run(), name="log rounds")
        working = {rounds}
        if self._witnesses is not None:
            working.add(asyncio.create_task(self._witnesses.run(), name="log witnesses"))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        for task in working:
            if not task.cancelled():
                task.result()  # it ends by an error only


def _witnesses(configuration: Configuration, sequencer: Sequencer, key: VerifierKey) -> Witnesses:
    """Those that the configuration names. Raises `ConfigurationError` for a key that is none, or no witness's."""
    keys, quorum = log_witnesses(configuration)
    known = [Known(one.url, key) for one, key in zip(configuration.audit.witness, keys, strict=True)]
    read = FileReader(configuration.log_directory)
    return Witnesses(key, read, known, quorum, sequencer.cosigned, SystemClock(), post)


def log_witnesses(configuration: Configuration) -> tuple[list[VerifierKey], int]:
    """The configured witnesses' keys, and how many of them have to cosign. Raises `ConfigurationError`."""
    section = configuration.audit
    keys = [_witness_key(configuration, place) for place in range(len(section.witness))]
    quorum = len(keys) if section.witness_quorum is None else section.witness_quorum
    if quorum > len(keys):
        what = f"{quorum} witnesses have to cosign, and {len(keys)} are configured"
        raise ConfigurationError(configuration.places.say(("audit", "witness_quorum"), what))
    return keys, quorum


def _witness_key(configuration: Configuration, place: int) -> VerifierKey:
    say = configuration.places.say
    try:
        key = VerifierKey.parse(configuration.audit.witness[place].vkey)
    except InvalidNote as wrong:
        raise ConfigurationError(say(("audit", "witness", place, "vkey"), str(wrong))) from None
    if key.kind is not Kind.COSIGNATURE:
        what = "this is a log's key; a witness's is made by `lendgate-witness init`"
        raise ConfigurationError(say(("audit", "witness", place, "vkey"), what))
    return key
