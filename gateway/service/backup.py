"""Backups: a folder with the store as it was at one instant and a manifest, and the way back from it.

Rules
- A backup never holds the installation secret, private keys or the configuration itself: the manifest has their digest.
- It appears whole, under its own name, or not at all.
- Whatever is restored starts in quarantine: the mark says so, durably, before the store is in its place.
- A restore deletes nothing: what stood there is put aside.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from gateway.audit.checkpoint import CHECKPOINT
from gateway.model.problems import ConfigurationError, StorageError
from gateway.service.config import Configuration
from gateway.service.high_water import Mark, read_mark, write_mark
from gateway.store import sqlite_backup
from gateway.store.durable import sync
from gateway.store.quarantine import Standing
from gateway.store.sqlite_file import FileLock

__all__ = ["Manifest", "back_up", "read_manifest", "restore"]

MANIFEST: Final = "backup.json"
FILE: Final = "lendgate.db"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of: the store, its last record, the digest of the configuration, and the log's checkpoint."""

    made_at: str
    store: str
    number: int
    file: str
    sha256: str
    configuration: str
    checkpoint: str | None


def back_up(configuration: Configuration, target: Path, now: datetime) -> Manifest:
    """Back up into the new folder `target`. Raises `ConfigurationError`, `StorageError`."""
    if target.exists():
        raise ConfigurationError(f"{target} is there already: name a new folder for each backup")
    beside = target.with_name(f"{target.name}.partial")
    try:
        beside.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigurationError(f"{beside} is left of a backup that broke off: remove it first") from None
    checkpoint = configuration.log_directory / CHECKPOINT
    before = checkpoint.read_text() if checkpoint.exists() else None  # never ahead of the copy
    if configuration.gateway.database_url is None:
        if not configuration.database.exists():
            beside.rmdir()
            raise ConfigurationError(f"there is no store at {configuration.database} yet; has the gateway run?")
        file = beside / FILE
        standing = sqlite_backup.copy(configuration.database, file)
    else:
        file, standing = _dump(configuration.gateway.database_url.get_secret_value(), beside)
    digest = configuration.places.digest
    manifest = Manifest(now.isoformat(), standing.identity, standing.number, file.name, _sha256(file), digest, before)
    (beside / MANIFEST).write_bytes(json.dumps(asdict(manifest), indent=2).encode() + b"\n")
    sync(beside / MANIFEST)
    sync(file)
    sync(beside)
    os.rename(beside, target)
    sync(target.parent)
    return manifest


def read_manifest(source: Path) -> Manifest:
    """The manifest, once the backup's file is what it was. Raises `ConfigurationError`, `StorageError`."""
    try:
        manifest = Manifest(**json.loads((source / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(f"{source} is no backup: a backup is a folder with {MANIFEST} in it") from None
    if _sha256(source / manifest.file) != manifest.sha256:
        raise StorageError(f"{source / manifest.file} is not what was backed up: its SHA-256 differs. Take another one")
    return manifest


def restore(configuration: Configuration, source: Path, now: datetime, *, replace: bool = False) -> list[str]:
    """Put the backup in `source` in the store's place; gives what was done, in sentences.

    Raises `ConfigurationError` if a gateway runs, or if a newer or another store stands there and `replace` is not
    set; `StorageError` if the backup or the disk is damaged.
    """
    manifest = read_manifest(source)
    url = configuration.gateway.database_url
    if (url is None) != (manifest.file == FILE):
        raise ConfigurationError(f"{source} is a backup of the other kind of store than the configuration names")
    if url is not None:
        return _restore_dump(configuration, url.get_secret_value(), source, manifest, replace)
    lock = FileLock(configuration.database)  # refuses over a running gateway
    try:
        return _restore_file(configuration, source, manifest, now, replace)
    finally:
        lock.release()


def _restore_file(
    configuration: Configuration, source: Path, manifest: Manifest, now: datetime, replace: bool
) -> list[str]:
    database, done = configuration.database, []
    sqlite_backup.examine(source / manifest.file)
    if database.exists():
        _refuse_newer(_examined(database), manifest, replace)
    arriving = database.with_name(f"{database.name}.arriving")
    shutil.copyfile(source / manifest.file, arriving)
    arriving.chmod(0o600)
    sync(arriving)
    _announce(configuration, source, manifest)
    if database.exists():
        aside = f"{database.name}.replaced-{now:%Y%m%dT%H%M%S}"
        for end in ("-wal", "-shm", ""):
            part = database.with_name(database.name + end)
            if part.exists():
                os.rename(part, part.with_name(aside + end))
        done.append(f"The store that stood there is kept as {database.with_name(aside)}.")
    os.rename(arriving, database)
    sync(database.parent)
    return [*done, f"The store of {manifest.made_at} is back, up to record {manifest.number}."]


def _examined(database: Path) -> Standing | None:
    """The store that stands there, or None for one that is damaged: then there is nothing to compare with."""
    try:
        return sqlite_backup.examine(database)
    except StorageError:
        return None


def _refuse_newer(standing: Standing | None, manifest: Manifest, replace: bool) -> None:
    if replace or standing is None or (standing.identity == manifest.store and standing.number <= manifest.number):
        return
    what = "another store" if standing.identity != manifest.store else "a newer store"
    raise ConfigurationError(
        f"{what} stands there, with {standing.number} records; the backup has {manifest.number}. With --replace it is"
        " put aside, and what it knows beyond the backup is lost to the gateway"
    )


def _announce(configuration: Configuration, source: Path, manifest: Manifest) -> None:
    """Let the next start begin a quarantine, and know how far the lost store had come."""
    try:
        mark = read_mark(configuration.mark)
    except ConfigurationError:
        mark = None
    known = mark or Mark(manifest.store, manifest.number)
    write_mark(configuration.mark, Mark(known.store, known.number, restored=source.name))


def _dump(url: str, folder: Path) -> tuple[Path, Standing]:
    from gateway.store import postgres_backup

    standing, _ = asyncio.run(postgres_backup.standing(url))
    if standing is None:
        folder.rmdir()
        raise ConfigurationError("the database holds no store yet; has the gateway run?")
    file = folder / postgres_backup.DUMP
    _run(postgres_backup.dump_command(url, str(file)), postgres_backup.environment(url), folder)
    return file, standing  # read before the dump began: it holds at least that


def _restore_dump(configuration: Configuration, url: str, source: Path, manifest: Manifest, replace: bool) -> list[str]:
    from gateway.store import postgres_backup

    standing, sessions = asyncio.run(postgres_backup.standing(url))
    if sessions:
        raise ConfigurationError(f"gateways run on the database ({sessions} sessions): stop all of them first")
    if standing is not None:
        _refuse_newer(standing, manifest, replace)
    _announce(configuration, source, manifest)
    command = postgres_backup.restore_command(url, str(source / manifest.file))
    _run(command, postgres_backup.environment(url), None)
    return [f"The store of {manifest.made_at} is back, up to record {manifest.number} at least."]


def _run(command: list[str], environment: Mapping[str, str], unfinished: Path | None) -> None:
    program = command[0]
    if shutil.which(program) is None:
        if unfinished is not None:
            unfinished.rmdir()
        raise ConfigurationError(f"{program} is not installed here; where it is, run:\n  {shlex.join(command)}")
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        if unfinished is not None:
            shutil.rmtree(unfinished)
        raise StorageError(f"{program} failed: {ended.stderr.strip()[:500]}")


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as wrong:
        raise StorageError(f"{path} cannot be read: {wrong.strerror}") from None
