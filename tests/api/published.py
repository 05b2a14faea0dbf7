"""A transparency log over a house's store, published when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.note import VerifierKey
from gateway.audit.sequencer import Sequencer
from gateway.model.clock import SystemClock
from gateway.service.auditing import PublishedLog
from tests.api.house import House
from tests.audit.logs import a_signer

__all__ = ["Log", "publishing"]


@dataclass
class Log:
    """The log of one house."""

    folder: Path
    key: VerifierKey
    sequencer: Sequencer

    async def publish(self) -> None:
        """Take what the store has."""
        await self.sequencer.advance()


@asynccontextmanager
async def publishing(house: House, folder: Path) -> AsyncIterator[Log]:
    """Its log, which the gateway knows as its own."""
    directory, signer = Directory(folder), a_signer()
    sequencer = Sequencer(directory, HeadFile(directory), house.gateway.store, signer, SystemClock())
    await sequencer.open()
    house.gateway.auditing.log = PublishedLog(FileReader(folder), signer.key, sequencer.base)
    try:
        yield Log(folder, signer.key, sequencer)
    finally:
        await sequencer.close()
