"""Evidence: records, their proofs and what they commit to, in one file that anybody can verify offline.

    manifest.json                 what the bundle holds, what it proves and what is only claimed; SHA-256 of each file
    logs/<n>/checkpoint, key      the signed head that every proof leads to, the log's verifier key, its policy
    records/<log>-<index>.json    each leaf, exactly as it is hashed
    proofs/<log>-<index>.tlog-proof
    bodies/<record>.json, .txt    what was sent and received, with the salt that opens the record's commitment to it
    partner-keys/…                public keys and certificates of the institutions, as they were configured
    report.html, README.txt       for people
    verify.py                     verifies all of it with Python and `cryptography`

Rules
- A body is disclosed by the salt and the text that its record commits to, never by a key: a key would open more than
  what was asked for.
- What a body's commitment cannot show, such as that the gateway wrote it down truly, is named as claimed.
- The bytes depend on what is handed in alone: the same evidence is the same file.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from gateway.audit import bundle_verifier
from gateway.audit.evidence_report import report
from gateway.audit.note import VerifierKey
from gateway.audit.proof import prove
from gateway.audit.reading import Wanted
from gateway.audit.record import instant
from gateway.audit.tiles import Read

__all__ = ["FORMAT", "Disclosure", "LogPart", "Scope", "bundle"]

FORMAT: Final = "lendgate-evidence/1"

PROVES: Final = (
    "Each record's bytes are in the log whose checkpoint is enclosed, at the stated place.",
    "The records of an operation are numbered without a gap, and each names the hash of the one before it.",
    "The records of a range are all that the log has at those places.",
    "A body that is enclosed is the one that its record was bound to when it was written.",
)
CLAIMS: Final = (
    "that what a record says is what happened: the gateway wrote it",
    "that the clock of the gateway was right; a witness's time bounds it from one side",
    "that no record of the operation followed: `lendgate audit verify-log --operation` over the whole log shows it",
    "that the enclosed keys of institutions are theirs: compare them with those that the institution publishes",
)
EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""Of every file in the zip: what is the same is the same, whenever it was packed."""


@dataclass(frozen=True, slots=True)
class LogPart:
    """One log of which records are enclosed: how to read it, its checkpoint as published, its key and its policy."""

    read: Read
    checkpoint: bytes
    key: VerifierKey
    policy: bytes | None = None  # who witnesses it, as it says itself


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a record commits to: the salt, the exact message (None: not asked for), and a request's own digest.

    `unavailable` says why there is none: erased, or its key is not held.
    """

    record: str
    salt: bytes = b""
    body: bytes | None = None
    digest: str | None = None
    unavailable: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What was asked for: one operation, or the entries `first` … `end` - 1 of the log `log`."""

    kind: Literal["operation", "range"]
    operation: str | None = None
    log: int = 0
    first: int = 0
    end: int = 0
    asked: Mapping[str, str] = field(default_factory=dict)  # in the words of whoever asked

    def shown(self) -> dict[str, Any]:
        """For the manifest."""
        if self.kind == "operation":
            return {"kind": self.kind, "operation": self.operation, **self.asked}
        return {"kind": self.kind, "log": self.log, "first": self.first, "end": self.end, **self.asked}


def bundle(
    scope: Scope,
    logs: Sequence[LogPart],
    records: Sequence[tuple[int, Wanted]],
    *,
    disclosures: Sequence[Disclosure] = (),
    partner_keys: Mapping[str, str] | None = None,
    made_at: datetime,
    made_by: str,
) -> bytes:
    """The zip. `records` come with the place of their log; `partner_keys` maps a file's name to PEM.

    Raises `MissingTile`, and `IndexError` for a record that its checkpoint does not cover yet.
    """
    files: dict[str, bytes] = {}
    for place, log in enumerate(logs):
        files[f"logs/{place}/checkpoint"] = log.checkpoint
        files[f"logs/{place}/key"] = f"{log.key}\n".encode()
        if log.policy is not None:
            files[f"logs/{place}/policy.txt"] = log.policy
    for place, one in records:
        name = f"{place}-{one.index}"
        files[f"records/{name}.json"] = one.leaf
        files[f"proofs/{name}.tlog-proof"] = prove(logs[place].read, one.index, logs[place].checkpoint).format()
    for disclosure in disclosures:
        files |= _disclosed(disclosure)
    for name, pem in (partner_keys or {}).items():
        files[f"partner-keys/{name}"] = pem.encode()
    manifest = {
        "format": FORMAT,
        "made_at": instant(made_at),
        "made_by": made_by,
        "scope": scope.shown(),
        "logs": [_log(place, log) for place, log in enumerate(logs)],
        "records": [_record(place, one) for place, one in records],
        "disclosed": [f"bodies/{one.record}.json" for one in disclosures if one.unavailable is None],
        "unavailable": {one.record: one.unavailable for one in disclosures if one.unavailable is not None},
        "proves": list(PROVES),
        "claims": list(CLAIMS),
    }
    files["report.html"] = report(manifest, records, disclosures).encode()
    files["README.txt"] = _readme(manifest).encode()
    files["verify.py"] = Path(bundle_verifier.__file__).read_bytes()
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    files["manifest.json"] = json.dumps(manifest | {"files": hashes}, ensure_ascii=False, indent=1).encode()
    return _zip(files)


def _log(place: int, log: LogPart) -> dict[str, str]:
    return {"origin": log.key.name, "checkpoint": f"logs/{place}/checkpoint", "key": f"logs/{place}/key"}


def _record(place: int, one: Wanted) -> dict[str, Any]:
    name = f"{place}-{one.index}"
    return {
        "log": place,
        "index": one.index,
        "id": one.id,
        "number": one.number,
        "leaf": f"records/{name}.json",
        "proof": f"proofs/{name}.tlog-proof",
    }


def _disclosed(disclosure: Disclosure) -> dict[str, bytes]:
    if disclosure.unavailable is not None:
        return {}
    opened: dict[str, Any] = {"record": disclosure.record, "salt": disclosure.salt.hex()}
    files: dict[str, bytes] = {}
    if disclosure.digest is not None:
        opened["digest"] = disclosure.digest
    if disclosure.body is not None:
        opened["body"] = f"bodies/{disclosure.record}.txt"
        files[opened["body"]] = disclosure.body
    return {f"bodies/{disclosure.record}.json": json.dumps(opened, indent=1).encode(), **files}


def _readme(manifest: Mapping[str, Any]) -> str:
    origins = ", ".join(log["origin"] for log in manifest["logs"])
    proves, claims = ("\n".join(f"- {line}" for line in manifest[name]) for name in ("proves", "claims"))
    return (
        f"Evidence from the log {origins}, made at {manifest['made_at']}.\n\n"
        "Open report.html to read it. To verify it you need Python 3.9 or newer and `pip install cryptography`:\n\n"
        "    python verify.py --key 'THE LOG'S VERIFIER KEY'\n\n"
        "Take the key from the contract or from whoever audits the gateway, not from this bundle. With --witness and\n"
        "the key of a witness it is verified too that somebody else saw this log grow. Each proof is a C2SP\n"
        "tlog-proof and each checkpoint a C2SP signed note, so other people's tools verify them as well.\n\n"
        f"What verifies is proven:\n{proves}\n\nWhat is only claimed:\n{claims}\n"
    )


def _zip(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files, key=lambda name: (name != "README.txt", name)):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), files[name], zipfile.ZIP_DEFLATED)
    return packed.getvalue()
