#!/usr/bin/env python3
"""Verifies an evidence bundle. It stands in each bundle as `verify.py` and needs Python 3.9 and `cryptography` alone.

    python verify.py [BUNDLE.zip or folder] [--key VKEY] [--witness VKEY]… [--quorum N]

  1. the manifest names every file of the bundle, and each has its SHA-256
  2. the checkpoint is signed by the log (C2SP signed-note, tlog-checkpoint), and cosigned by enough witnesses
  3. each record is in the log: its proof leads from its bytes to the checkpoint's root (RFC 9162 section 2.1.3.2)
  4. the records of an operation are numbered 1 to n, and each names the hash of the one before;
     the records of a range stand at every index of it
  5. each disclosed body is the one that its record commits to

Rules
- The log's key comes from outside, by --key. The one in the bundle is used without it, and that is said: such a run
  shows only that the bundle agrees with itself.
- One finding is one line; the exit status is 0 only if there is none.
- Nothing is imported from the gateway, so that whoever reads these lines has read everything.
"""

from __future__ import annotations

import argparse
import base64
import json
import struct
import sys
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Bundle", "Wrong", "main", "open_bundle", "verify_bundle"]

Files = dict[str, bytes]
Heads = dict[int, tuple[int, bytes, bytes]]
"""Of each log: the size, root and note of its checkpoint."""

NOT_LISTED = ("manifest.json",)
PLAIN, COSIGNATURE = 1, 4
LARGEST_FILE = 64 << 20


class Wrong(Exception):
    """Something does not verify."""


class Key:
    """A verifier key of C2SP signed-note: name+hexid+base64(kind, Ed25519 public key)."""

    def __init__(self, text: str) -> None:
        self.name, self.id, encoded = text.strip().split("+", 2)
        material = base64.b64decode(encoded)
        self.kind, self.public = material[0], material[1:]
        expected = sha256(self.name.encode() + b"\n" + material).hexdigest()[:8]
        if self.id != expected or self.kind not in (PLAIN, COSIGNATURE) or len(self.public) != 32:
            raise Wrong(f"{text.strip()!r} is no Ed25519 verifier key")

    def verify(self, text: str, signature: bytes) -> str:
        """Raises `Wrong`; gives what the signature says beside itself: the time of a cosignature."""
        message, at = text.encode(), ""
        if self.kind == COSIGNATURE:
            time = struct.unpack(">Q", signature[:8])[0]
            message, signature, at = f"cosignature/v1\ntime {time}\n{text}".encode(), signature[8:], f" at {time}"
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            raise Wrong(f"the signature of {self.name} is not over this checkpoint") from None
        return at


class Bundle:
    """The files of a bundle and what was found about them."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.findings: list[str] = []
        self.notes: list[str] = []
        self.manifest: dict[str, Any] = {}

    def take(self, name: str) -> bytes:
        """A file. Raises `Wrong` if it is not there."""
        if name not in self.files:
            raise Wrong(f"{name} is missing from the bundle")
        return self.files[name]

    def check(self, what: str, step: Callable[..., None], *arguments: Any) -> None:
        """Run a step; what it finds is kept."""
        try:
            step(*arguments)
        except Wrong as wrong:
            self.findings.append(f"{what}: {wrong}")
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, struct.error) as wrong:
            self.findings.append(f"{what}: malformed ({type(wrong).__name__}: {wrong})")


def open_bundle(place: Path) -> Bundle:
    """The files of a zip, or of the folder that it was unpacked into."""
    if place.is_dir():
        found = (path for path in place.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return Bundle({path.relative_to(place).as_posix(): path.read_bytes() for path in found})
    with zipfile.ZipFile(place) as archive:
        names = [info for info in archive.infolist() if not info.is_dir()]
        if len({info.filename for info in names}) != len(names) or any(i.file_size > LARGEST_FILE for i in names):
            raise Wrong("the zip holds a name twice, or a file that is too large")
        return Bundle({info.filename: archive.read(info) for info in names})


def verify_bundle(bundle: Bundle, keys: Sequence[str] = (), witnesses: Sequence[str] = (), quorum: int = 0) -> None:
    """Steps 1 to 5; what is found stands in `bundle.findings`, what was established in `bundle.notes`."""
    bundle.check("manifest.json", _steps, bundle, keys, witnesses, quorum)


def _steps(bundle: Bundle, keys: Sequence[str], witnesses: Sequence[str], quorum: int) -> None:
    # 1.
    _read_manifest(bundle)
    for name in sorted(set(bundle.files) | set(bundle.manifest["files"])):
        bundle.check(name, _check_file, bundle, name)
    # 2.
    heads: Heads = {}
    for place, log in enumerate(bundle.manifest["logs"]):
        bundle.check(log["checkpoint"], _open_log, bundle, place, heads, keys, witnesses, quorum)
    # 3.
    for record in bundle.manifest["records"]:
        bundle.check(record["leaf"], _prove, bundle, record, heads)
    # 4.
    bundle.check("the records", _complete, bundle)
    # 5.
    for disclosed in bundle.manifest.get("disclosed", []):
        bundle.check(disclosed, _disclosed, bundle, disclosed)


def _read_manifest(bundle: Bundle) -> None:
    manifest = json.loads(bundle.take("manifest.json"))
    if manifest["format"] != "lendgate-evidence/1":
        raise Wrong(f"the format {manifest['format']!r} is not known to this program")
    for name in ("files", "logs", "records", "scope"):
        manifest[name]
    bundle.manifest = manifest


def _check_file(bundle: Bundle, name: str) -> None:
    if name in NOT_LISTED:
        return
    if name not in bundle.manifest["files"]:
        raise Wrong("it is not named in the manifest")
    if sha256(bundle.take(name)).hexdigest() != bundle.manifest["files"][name]:
        raise Wrong("it was changed: its SHA-256 is not the one in the manifest")


def _open_log(
    bundle: Bundle, place: int, heads: Heads, keys: Sequence[str], witnesses: Sequence[str], quorum: int
) -> None:
    """Step 2."""
    log = bundle.manifest["logs"][place]
    note = bundle.take(log["checkpoint"])
    head, _, lines = note.decode().rpartition("\n\n")
    text = head + "\n"
    origin, size, root = text.split("\n")[:3]
    signer = next((one for one in map(Key, keys) if one.name == origin), None)
    if signer is None and keys:
        raise Wrong(f"none of the given keys is of its log, {origin}")
    if signer is None:
        signer = Key(bundle.take(log["key"]).decode())
        bundle.notes.append(f"THE KEY OF {origin} WAS TAKEN FROM THE BUNDLE ITSELF; give --key from elsewhere")
    known = [Key(text) for text in witnesses]
    signed, cosigned = False, {}
    for line in lines.splitlines():
        dash, name, encoded = line.split(" ")
        raw = base64.b64decode(encoded)
        for one in (signer, *known):
            if dash == "—" and one.name == name and raw[:4].hex() == one.id:
                at = one.verify(text, raw[4:])
                if one is signer:
                    signed = True
                elif one.public != signer.public:
                    cosigned[one.public] = f"cosigned by {name}{at} (seconds since 1970)"
    if not signed:
        raise Wrong("its log did not sign it")
    if len(cosigned) < quorum:
        raise Wrong(f"{len(cosigned)} of the given witnesses cosigned it; {quorum} have to")
    bundle.notes.append(f"{origin}: {size} entries under {base64.b64decode(root).hex()}")
    bundle.notes.extend(cosigned.values())
    if not cosigned:
        bundle.notes.append(
            "NO WITNESS was given or cosigned: that the log was rewritten is NOT excluded by this alone"
        )
    heads[place] = int(size), base64.b64decode(root), note


def _prove(bundle: Bundle, record: dict[str, Any], heads: Heads) -> None:
    """Step 3."""
    if record["log"] not in heads:
        raise Wrong("the checkpoint that it is proven against does not verify")
    size, root, note = heads[record["log"]]
    leaf, proof = bundle.take(record["leaf"]), bundle.take(record["proof"])
    lines, _, checkpoint = proof.partition(b"\n\n")
    first, index, *hashes = lines.decode().split("\n")
    if first != "c2sp.org/tlog-proof@v1" or checkpoint != note:
        raise Wrong("its proof is not against the checkpoint of this bundle")
    if index != f"index {record['index']}":
        raise Wrong("its proof is for another index")
    _follow(record["index"], size, sha256(b"\x00" + leaf).digest(), [base64.b64decode(one) for one in hashes], root)
    members = json.loads(leaf)
    if (members["id"], members["place"]["number"]) != (record["id"], record["number"]):
        raise Wrong("the manifest says another record than the leaf")


def _follow(index: int, size: int, leaf: bytes, path: list[bytes], root: bytes) -> None:
    if not 0 <= index < size or any(len(one) != 32 for one in path):
        raise Wrong("the proof cannot be one of this tree")
    node, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise Wrong("the proof is too long")
        if node & 1 or node == last:
            found = sha256(b"\x01" + sibling + found).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + sibling).digest()
        node, last = node >> 1, last >> 1
    if last or found != root:
        raise Wrong("its bytes are not the entry of the log: the proof does not lead to the signed root")


def _complete(bundle: Bundle) -> None:
    """Step 4."""
    scope, records = bundle.manifest["scope"], bundle.manifest["records"]
    if not records:
        raise Wrong("there is none")
    if scope["kind"] == "range":
        places = [(one["log"], one["index"]) for one in records]
        if places != [(scope["log"], index) for index in range(scope["first"], scope["end"])]:
            raise Wrong(f"they are not the entries {scope['first']} to {scope['end'] - 1}, each once and in order")
        bundle.notes.append(f"the entries {scope['first']} to {scope['end'] - 1}, without a gap")
        return
    previous = ""
    for number, one in enumerate(records, 1):
        leaf = bundle.take(one["leaf"])
        members = json.loads(leaf)
        if members["chain"] != scope["operation"]:
            raise Wrong(f"{one['id']} is of another operation")
        if members["place"]["number"] != number:
            raise Wrong(f"number {number} is missing, or stands in another place")
        if members["place"]["previous"] != previous:
            raise Wrong(f"number {number} does not name the record before it")
        previous = sha256(b"\x00" + leaf).hexdigest()
    bundle.notes.append(f"{scope['operation']}: records 1 to {len(records)}, each linked to the one before")


def _disclosed(bundle: Bundle, name: str) -> None:
    """Step 5."""
    found = json.loads(bundle.take(name))
    leaves = {one["id"]: one["leaf"] for one in bundle.manifest["records"]}
    leaf = json.loads(bundle.take(leaves[found["record"]]))
    salt, exact = bytes.fromhex(found["salt"]), bundle.take(found["body"]) if found.get("body") else None
    request, reply = leaf.get("request") or {}, leaf.get("reply") or {}
    pairs = [("the digest of what was sent", request.get("hash"), found.get("digest"))]
    if exact is not None:
        digest = sha256(exact).hexdigest()
        pairs += [("the request", request.get("body"), digest), ("the reply", reply.get("hash"), digest)]
    checked = 0
    for what, committed, digest in pairs:
        if committed is None or digest is None:
            continue
        checked += 1
        if sha256(salt + bytes.fromhex(digest)).hexdigest() != committed:
            raise Wrong(f"{what} is not the one that {found['record']} commits to")
    if not checked:
        raise Wrong(f"{found['record']} commits to nothing of it")


def main(arguments: list[str] | None = None) -> int:
    """Print what was found; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    parser.add_argument("bundle", nargs="?", type=Path, default=here, help="the zip, or its unpacked folder")
    parser.add_argument("--key", action="append", default=[], help="the log's verifier key, from outside the bundle")
    parser.add_argument("--witness", action="append", default=[], help="a witness's verifier key; may be repeated")
    parser.add_argument("--quorum", type=int, help="how many of them must have cosigned; all, if it is left out")
    asked = parser.parse_args(arguments)
    quorum = len(asked.witness) if asked.quorum is None else asked.quorum
    try:
        bundle = open_bundle(asked.bundle)
        verify_bundle(bundle, asked.key, asked.witness, quorum)
    except (Wrong, OSError, zipfile.BadZipFile) as wrong:
        sys.stderr.write(f"{asked.bundle}: {wrong}\n")
        return 1
    for note in bundle.notes:
        sys.stdout.write(f"{note}\n")
    for finding in bundle.findings:
        sys.stderr.write(f"WRONG: {finding}\n")
    for claim in bundle.manifest.get("claims", []):
        sys.stdout.write(f"claimed, not proven here: {claim}\n")
    count = len(bundle.manifest.get("records", []))
    verdict = "FAULTS WERE FOUND" if bundle.findings else f"{count} records verify"
    sys.stdout.write(f"{verdict}.\n")
    return 1 if bundle.findings else 0


if __name__ == "__main__":
    sys.exit(main())
