"""What both stores of subject keys promise: keys are there until they are destroyed, and then nowhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.model.problems import ConfigurationError, StorageError
from gateway.store.postgres_subject_keys import PostgresSubjectKeys
from gateway.store.sqlite_file import create, writer
from gateway.store.sqlite_subject_keys import SQLiteSubjectKeys
from gateway.store.subject_keys import StoredKey, SubjectKeys
from tests.store.rows import NOW


def a_key(kek: str = "kek1") -> StoredKey:
    return StoredKey(os.urandom(8).hex(), os.urandom(64), kek)


@pytest.fixture(params=["sqlite", "postgres"])
async def keys(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SubjectKeys]:
    opened: SubjectKeys
    if request.param == "sqlite":
        opened = SQLiteSubjectKeys.open(tmp_path / "subject-keys.db")
    else:
        server = request.getfixturevalue("postgres_server")
        opened = await PostgresSubjectKeys.open(await server.schema())
    yield opened
    await opened.close()


async def test_a_key_is_there_until_it_is_destroyed(keys: SubjectKeys) -> None:
    one, other = a_key(), a_key()
    await keys.add([one, other])

    assert await keys.destroy([one.id, "ffffffffffffffff"]) == 1

    assert await keys.keys([one.id, other.id]) == [other]


async def test_the_first_name_wins(keys: SubjectKeys) -> None:
    one, other = a_key(), a_key()
    await keys.add([one, other])

    won = await asyncio.gather(keys.name("tag", one.id), keys.name("tag", other.id))

    assert len(set(won)) == 1
    assert await keys.named("tag") == won[0]


async def test_a_destroyed_key_names_nobody(keys: SubjectKeys) -> None:
    one, other = a_key(), a_key()
    await keys.add([one, other])
    await keys.name("tag", one.id)

    await keys.destroy([one.id])

    assert await keys.named("tag") is None
    assert await keys.name("tag", other.id) == other.id


async def test_a_forgotten_name_leaves_the_key(keys: SubjectKeys) -> None:
    one = a_key()
    await keys.add([one])
    await keys.name("tag", one.id)

    await keys.forget_name("tag")

    assert await keys.named("tag") is None
    assert await keys.keys([one.id]) == [one]


async def test_rewrapping_brings_no_destroyed_key_back(keys: SubjectKeys) -> None:
    one, other = a_key("old"), a_key("old")
    await keys.add([one, other, a_key("new")])
    found = await keys.wrapped_by_others("new", 10)
    await keys.destroy([other.id])

    await keys.rewrap([StoredKey(key.id, b"anew", "new") for key in found])

    assert {key.id for key in found} == {one.id, other.id}
    assert await keys.keys([one.id, other.id]) == [StoredKey(one.id, b"anew", "new")]
    assert await keys.wrapped_by_others("new", 10) == []


async def test_a_hold_stands_until_it_is_released(keys: SubjectKeys) -> None:
    await keys.hold("tag", NOW)
    await keys.hold("tag", NOW.replace(year=2030))

    assert await keys.held("tag") == NOW
    assert await keys.release_hold("tag")
    assert not await keys.release_hold("tag")
    assert await keys.held("tag") is None


async def test_a_destroyed_key_is_in_no_file(tmp_path: Path) -> None:
    keys = SQLiteSubjectKeys.open(tmp_path / "subject-keys.db")
    many = [a_key() for _ in range(600)]
    await keys.add(many)
    await keys.name("tag", many[300].id)

    await keys.destroy([many[300].id])

    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert many[300].wrapped not in held
    assert many[300].id.encode() not in held
    assert sum(key.wrapped in held for key in many) == 599
    await keys.close()


async def test_whoever_reads_beside_a_gateway_writes_nothing(tmp_path: Path) -> None:
    gateway = SQLiteSubjectKeys.open(tmp_path / "subject-keys.db")
    one = a_key()
    await gateway.add([one])

    reader = SQLiteSubjectKeys.open(tmp_path / "subject-keys.db", read_only=True)

    assert await reader.keys([one.id]) == [one]
    with pytest.raises(StorageError, match="reading alone"):
        await reader.add([a_key()])
    await reader.close()
    await gateway.close()


async def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "other.db")
    other = writer(tmp_path / "other.db")
    other.execute("CREATE TABLE things (id)")

    with pytest.raises(ConfigurationError, match="name another file"):
        SQLiteSubjectKeys.open(tmp_path / "other.db")

    other.close()
