"""The vault: a person's key seals all that is about the person, and nothing opens once it is destroyed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.journal import Journal
from gateway.audit.record import sealing_context
from gateway.audit.vault import BLOCK, Erased, Vault
from gateway.audit.verify import verify
from gateway.crypto.envelope import key_commitment, key_id_of
from gateway.crypto.seal import Sealer
from gateway.model.ids import Identifiers
from gateway.model.problems import ConfigurationError, Overloaded
from gateway.store.interface import Recorded
from gateway.store.sqlite import SQLiteStore
from gateway.store.sqlite_subject_keys import SQLiteSubjectKeys
from gateway.testing.clock import ManualClock
from tests.audit.history import an_intent

KEK, TAGS = os.urandom(32), os.urandom(32)


def a_vault(folder: Path, sealer: Sealer, kek: Sealer | None = None) -> Vault:
    return Vault(SQLiteSubjectKeys.open(folder / "subject-keys.db"), kek or Sealer(KEK), sealer, TAGS)


@pytest.fixture
async def vault(tmp_path: Path, sealer: Sealer) -> AsyncIterator[Vault]:
    opened = a_vault(tmp_path, sealer)
    yield opened
    await opened.close()


async def test_two_chains_of_a_person_have_one_key(vault: Vault) -> None:
    await asyncio.gather(vault.bind("pay_1", "shop", "zhang"), vault.bind("pay_2", "shop", "zhang"))
    await vault.bind("pay_3", "shop", "li")
    await vault.bind("pay_4", "mall", "zhang")

    ids = [key_id_of(vault.seal(f"pay_{n}", b"", b"")) for n in (1, 2, 3, 4)]

    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_a_chain_without_a_person_has_a_key_of_its_own(vault: Vault) -> None:
    await vault.bind("pay_1", "shop")
    await vault.bind("pay_2", "shop")

    assert key_id_of(vault.seal("pay_1", b"", b"")) != key_id_of(vault.seal("pay_2", b"", b""))


async def test_what_no_key_was_bound_for_gets_one_of_its_own(vault: Vault) -> None:
    with pytest.raises(Overloaded, match="being made"):
        vault.seal("read_1", b"Zhang Wei", b"")
    await vault.ready()

    first, second = vault.seal("read_1", b"Zhang Wei", b""), vault.seal("read_1", b"Li Na", b"")

    assert key_id_of(first) == key_id_of(second)
    assert await vault.opened(first, b"") == b"Zhang Wei"


async def test_what_was_sealed_opens_after_a_restart(tmp_path: Path, sealer: Sealer) -> None:
    before = a_vault(tmp_path, sealer)
    await before.bind("pay_1", "shop", "zhang")
    sealed = before.seal("pay_1", b"Zhang Wei", b"place")
    await before.close()

    after = a_vault(tmp_path, sealer)

    assert await after.opened(sealed, b"place") == b"Zhang Wei"
    await after.bind("pay_2", "shop", "zhang")
    assert key_id_of(after.seal("pay_2", b"", b"")) == key_id_of(sealed)
    await after.close()


async def test_a_destroyed_key_opens_nothing(vault: Vault) -> None:
    await vault.bind("pay_1", "shop", "zhang")
    await vault.bind("pay_2", "shop", "li")
    sealed, other = vault.seal("pay_1", b"Zhang Wei", b""), vault.seal("pay_2", b"Li Na", b"")

    assert await vault.destroy([key_id_of(sealed) or ""]) == 1

    with pytest.raises(Erased):
        await vault.opened(sealed, b"")
    assert await vault.opened(other, b"") == b"Li Na"


async def test_a_person_who_comes_back_gets_another_key(vault: Vault) -> None:
    await vault.bind("pay_1", "shop", "zhang")
    old = key_id_of(vault.seal("pay_1", b"", b""))
    await vault.destroy([old or ""])

    await vault.bind("pay_2", "shop", "zhang")

    assert key_id_of(vault.seal("pay_2", b"", b"")) != old


async def test_more_chains_than_a_block_of_keys_get_theirs_at_once(vault: Vault) -> None:
    await asyncio.gather(*(vault.bind(f"pay_{n}", "shop") for n in range(3 * BLOCK)))

    assert len({key_id_of(vault.seal(f"pay_{n}", b"", b"")) for n in range(3 * BLOCK)}) == 3 * BLOCK


async def test_spare_keys_do_not_outlive_the_vault(tmp_path: Path, sealer: Sealer) -> None:
    vault = a_vault(tmp_path, sealer)
    await vault.bind("pay_1", "shop")
    used = key_id_of(vault.seal("pay_1", b"", b""))

    await vault.close()

    left = SQLiteSubjectKeys.open(tmp_path / "subject-keys.db", read_only=True)
    assert [key.id for key in await left.wrapped_by_others("", 2 * BLOCK)] == [used]
    await left.close()


async def test_a_new_wrapping_key_takes_the_place_of_the_old_one(tmp_path: Path, sealer: Sealer) -> None:
    old, new = Sealer(KEK), os.urandom(32)
    before = a_vault(tmp_path, sealer, old)
    await before.bind("pay_1", "shop", "zhang")
    sealed = before.seal("pay_1", b"Zhang Wei", b"")
    await before.close()

    turning = a_vault(tmp_path, sealer, Sealer(new, retired=[KEK]))
    assert await turning.rewrap() == 1
    await turning.close()

    after = a_vault(tmp_path, sealer, Sealer(new))
    assert await after.opened(sealed, b"") == b"Zhang Wei"
    await after.close()
    without = a_vault(tmp_path, sealer, old)
    with pytest.raises(ConfigurationError, match="not held"):
        await without.opened(sealed, b"")
    await without.close()


async def test_a_tag_needs_the_key_and_tells_clients_apart(vault: Vault) -> None:
    tags = {vault.tag("shop", "zhang"), vault.tag("mall", "zhang"), vault.tag("shop", "li")}

    assert len(tags) == 3
    assert hashlib.sha256(b"zhang").hexdigest() not in tags


async def test_a_leaf_names_its_sealed_part_and_the_key_that_opens_it(
    vault: Vault, clock: ManualClock, sealer: Sealer
) -> None:
    journal = Journal(Identifiers(clock.now), clock, "sandbox", "proc_1", sealer.seal, vault)
    await vault.bind("pay_1", "shop", "zhang")

    draft = an_intent(journal)

    leaf = json.loads(draft.finish(1, "", 1)[0])
    assert draft.body is not None
    assert leaf["sealed"]["hash"] == hashlib.sha256(draft.body).hexdigest()
    assert leaf["sealed"]["key"] == key_commitment(draft.body)


async def test_the_records_verify_before_and_after_an_erasure(
    vault: Vault, store: SQLiteStore, clock: ManualClock, sealer: Sealer
) -> None:
    journal = Journal(Identifiers(clock.now), clock, "sandbox", "proc_1", sealer.seal, vault)
    await vault.bind("pay_1", "shop", "zhang")
    await vault.bind("pay_2", "shop", "li")
    await store.commit([Recorded(an_intent(journal, "pay_1")), Recorded(an_intent(journal, "pay_2"))])
    entries = await store.entries()
    bodies = [entry.body for entry in entries if entry.body is not None]
    await vault.fetch(bodies)
    before = verify(entries, vault.open)

    await vault.destroy([key_id_of(bodies[0]) or ""])

    after = verify(entries, vault.open)
    assert (before.passed, before.unopened) == (True, 0)
    assert (after.passed, after.unopened) == (True, 1)
    with pytest.raises(Erased):
        vault.open(bodies[0], sealing_context(entries[0].kind, entries[0].id))
