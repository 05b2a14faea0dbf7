"""The gateway asks witnesses beside its work, verifies what they answer, and publishes what enough of them cosigned."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.audit.checkpoint import open_checkpoint
from gateway.audit.directory import Directory, FileReader
from gateway.audit.head import HeadFile
from gateway.audit.note import Kind, Signer
from gateway.audit.policy import COSIGNED, policy
from gateway.audit.sequencer import Sequencer
from gateway.audit.witness import Witness
from gateway.audit.witness_folder import WitnessFolder
from gateway.cli.witness import serve_on
from gateway.service.witnesses import Known, Post, Witnesses, post
from gateway.testing.clock import ManualClock
from tests.audit.logs import Records, a_log, a_signer, leaves

SIGNER = a_signer()


@contextmanager
def served(folder: Path, name: str) -> Iterator[tuple[Signer, str]]:
    """A witness's key, and where it answers."""
    signer = a_signer(name, Kind.COSIGNATURE)
    server = serve_on(Witness(signer, [SIGNER.key], WitnessFolder(folder)), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield signer, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Site:
    """A log that grows, and who asks its witnesses."""

    def __init__(self, root: Path, known: list[Known], quorum: int, send: Post = post) -> None:
        self.records, self.directory = Records(), Directory(root)
        self.sequencer = Sequencer(self.directory, HeadFile(self.directory), self.records, SIGNER, ManualClock())
        self.read = FileReader(root)
        publish = self.sequencer.cosigned
        self.witnesses = Witnesses(SIGNER.key, self.read, known, quorum, publish, ManualClock(), send)

    async def grow(self, number: int) -> None:
        self.records.add(leaves(number, len(self.records.rows)))
        await self.sequencer.advance()


async def test_a_checkpoint_is_published_with_the_cosignatures_of_enough_witnesses(tmp_path: Path) -> None:
    with served(tmp_path / "w1", "w1.example") as (one, first), served(tmp_path / "w2", "w2.example") as (two, second):
        site = Site(tmp_path / "log", [Known(first, one.key), Known(second, two.key)], 2)
        await site.sequencer.open()
        for number in (5, 300, 1):
            await site.grow(number)

            assert await site.witnesses.round()

            for path in (COSIGNED, "checkpoint"):
                opened = open_checkpoint(site.read(path) or b"", SIGNER.key, [one.key, two.key], quorum=2)
                assert opened.checkpoint.size == len(site.records.rows)
        assert not await site.witnesses.round(), "there is nothing new to cosign"
        await site.sequencer.close()


async def test_the_cosigned_checkpoint_stays_while_the_log_goes_on(tmp_path: Path) -> None:
    with served(tmp_path / "w1", "w1.example") as (one, url):
        site = Site(tmp_path / "log", [Known(url, one.key)], 1)
        await site.sequencer.open()
        await site.grow(5)
        await site.witnesses.round()
        await site.grow(5)
        await site.sequencer.close()

    assert open_checkpoint(site.read(COSIGNED) or b"", SIGNER.key, [one.key], quorum=1).checkpoint.size == 5
    assert open_checkpoint(site.read("checkpoint") or b"", SIGNER.key).checkpoint.size == 10


async def test_a_gateway_that_starts_anew_learns_what_its_witness_remembers(tmp_path: Path) -> None:
    with served(tmp_path / "w1", "w1.example") as (one, url):
        site = Site(tmp_path / "log", [Known(url, one.key)], 1)
        await site.sequencer.open()
        await site.grow(300)
        await site.witnesses.round()
        await site.grow(300)
        site.witnesses.known = [Known(url, one.key)]

        assert await site.witnesses.round()
        await site.sequencer.close()


async def test_too_few_cosignatures_publish_nothing(tmp_path: Path) -> None:
    with served(tmp_path / "w1", "w1.example") as (one, url):
        silent = Known("http://127.0.0.1:1", a_signer("w2.example", Kind.COSIGNATURE).key)
        site = Site(tmp_path / "log", [Known(url, one.key), silent], 2)
        await site.sequencer.open()
        await site.grow(5)

        assert not await site.witnesses.round()
        await site.sequencer.close()

    assert site.read(COSIGNED) is None


async def test_a_log_that_was_put_back_is_an_alarm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with served(tmp_path / "w1", "w1.example") as (one, url):
        for name, size in (("log", 300), ("older", 200)):
            site = Site(tmp_path / name, [Known(url, one.key)], 1)
            await site.sequencer.open()
            await site.grow(size)
            with caplog.at_level(logging.CRITICAL):
                published = await site.witnesses.round()
            await site.sequencer.close()

    assert not published
    assert "remembers the log at size 300, and it is published at 200: it was rolled back" in caplog.text
    assert site.witnesses.refusals == {"w1.example": 1}


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", "— w1.example AAAAAAAA\n".encode()])
async def test_an_answer_that_is_no_cosignature_of_the_witness_counts_for_nothing(
    tmp_path: Path, answer: bytes
) -> None:
    key = a_signer("w1.example", Kind.COSIGNATURE).key
    site = Site(tmp_path / "log", [Known("http://w", key)], 1, lambda url, body: (200, answer))
    await site.sequencer.open()
    await site.grow(5)

    assert not await site.witnesses.round()
    await site.sequencer.close()


async def test_a_late_cosignature_does_not_take_the_log_back(tmp_path: Path) -> None:
    site = Site(tmp_path / "log", [], 0)
    await site.sequencer.open()
    await site.grow(5)
    await site.grow(5)

    await site.sequencer.cosigned(a_log(leaves(5), SIGNER)["checkpoint"])
    await site.sequencer.close()

    assert open_checkpoint(site.read("checkpoint") or b"", SIGNER.key).checkpoint.size == 10


def test_the_policy_names_log_witnesses_and_how_many() -> None:
    keys = [a_signer(name, Kind.COSIGNATURE).key for name in ("w1.example", "w2.example")]

    assert policy(SIGNER.key, keys, 1).splitlines() == [
        f"log {SIGNER.key}",
        f"witness witness-1 {keys[0]}",
        f"witness witness-2 {keys[1]}",
        "group witnesses 1 witness-1 witness-2",
        "quorum witnesses",
    ]
    assert policy(SIGNER.key, [], 0).endswith("quorum none\n")
