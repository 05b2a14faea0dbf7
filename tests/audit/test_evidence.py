"""A bundle verifies by its own program alone; whatever is changed in it is found; it says what it does not prove."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.audit.bundle_verifier import Bundle, open_bundle, verify_bundle
from gateway.audit.checkpoint import cosign_checkpoint
from gateway.audit.evidence import Disclosure, LogPart, Scope, bundle
from gateway.audit.note import Kind
from gateway.audit.reading import Search as All
from gateway.audit.reading import Wanted, chain_of, search
from gateway.audit.record import Leaf, commitment
from tests.audit.logs import NOON, a_log, a_signer

SIGNER = a_signer()
WITNESS = a_signer("witness.example/w", Kind.COSIGNATURE)
SALT, REQUEST = b"s" * 16, b'POST /pay HTTP/1.1\n\n{"card":"<6222>"}'
DIGEST = hashlib.sha256(b"as handed to the socket").hexdigest()
Files = dict[str, bytes]


def records(chain: str = "pay_1") -> list[bytes]:
    """An intent that commits to its body, an outcome, a change."""
    made: list[bytes] = []
    previous = ""
    asked = {"hash": commitment(SALT, DIGEST), "body": commitment(SALT, hashlib.sha256(REQUEST).hexdigest())}
    kinds: dict[str, dict[str, object]] = {
        "intent": {"request": asked, "verb": "create_payment"},
        "outcome": {"observed": "genuine"},
        "change": {},
    }
    for number, (kind, more) in enumerate(kinds.items(), 1):
        leaf = Leaf({"id": f"rec_{chain}_{number}", "kind": kind, "chain": chain, "at": f"2026-03-0{number}", **more})
        content, previous = leaf(number, previous, number)
        made.append(content)
    return made


def a_part(cosigned: bool = False) -> LogPart:
    content = [
        Leaf({"id": f"rec_{n}", "kind": "act", "chain": f"rec_{n}", "at": "2026"})(1, "", n)[0] for n in range(1000)
    ]
    for place, record in zip((300, 400, 990), records(), strict=True):
        content[place] = record
    files = a_log(content, SIGNER)
    if cosigned:
        files["checkpoint"] = cosign_checkpoint(files["checkpoint"], WITNESS, NOON)
    return LogPart(files.get, files["checkpoint"], SIGNER.key)


def pack(part: LogPart, scope: Scope, found: list[Wanted], *disclosures: Disclosure) -> bytes:
    keys = {"riverbank/k1.pem": "-----BEGIN PUBLIC KEY-----\n"}
    return bundle(
        scope,
        [part],
        [(0, one) for one in found],
        disclosures=disclosures,
        partner_keys=keys,
        made_at=NOON,
        made_by="auditor/1",
    )


def of_operation(part: LogPart) -> bytes:
    disclosure = Disclosure("rec_pay_1_1", SALT, REQUEST, DIGEST)
    return pack(part, Scope("operation", "pay_1"), chain_of(part.read, 1000, "pay_1"), disclosure)


def of_range(part: LogPart) -> bytes:
    found = [one for one in search(part.read, 1000, All()) if 250 <= one.index < 260]
    return pack(part, Scope("range", first=250, end=260), found)


def unpacked(packed: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def judged(files: Files, *keys: str, **how: object) -> list[str]:
    checked = Bundle(files)
    verify_bundle(checked, keys or (str(SIGNER.key),), **how)  # type: ignore[arg-type] # named as the function names them
    return checked.findings


def run(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The bundle's own program, without anything of ours on its path."""
    command = [sys.executable, "-I", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("made", [of_operation, of_range])
def test_what_nobody_touched_verifies(made: Callable[[LogPart], bytes]) -> None:
    assert judged(unpacked(made(a_part()))) == []


def test_a_bundle_verifies_itself_from_its_folder_and_from_its_zip(tmp_path: Path) -> None:
    packed = of_operation(a_part(cosigned=True))
    (tmp_path / "evidence.zip").write_bytes(packed)
    for name, content in unpacked(packed).items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    given = ("--key", str(SIGNER.key), "--witness", str(WITNESS.key))

    folder = run("folder/verify.py", *given, folder=tmp_path)
    archive = run("folder/verify.py", "evidence.zip", *given, folder=tmp_path)

    assert (folder.returncode, archive.returncode) == (0, 0), folder.stderr + archive.stderr
    assert folder.stdout == archive.stdout
    assert "cosigned by witness.example/w at 1772366400" in folder.stdout
    assert folder.stdout.endswith("3 records verify.\n")


def test_without_a_key_and_a_witness_it_says_what_that_is_worth(tmp_path: Path) -> None:
    (tmp_path / "evidence.zip").write_bytes(of_operation(a_part()))
    (tmp_path / "verify.py").write_bytes(unpacked(of_operation(a_part()))["verify.py"])

    done = run("verify.py", "evidence.zip", folder=tmp_path)

    assert done.returncode == 0
    assert "WAS TAKEN FROM THE BUNDLE ITSELF" in done.stdout
    assert "NO WITNESS" in done.stdout
    assert "claimed, not proven here: that what a record says is what happened" in done.stdout


def test_one_operations_bundle_is_small() -> None:
    assert len(of_operation(a_part(cosigned=True))) < 50_000


def test_the_same_evidence_is_the_same_file() -> None:
    part = a_part()

    assert of_operation(part) == of_operation(part)


def test_the_report_has_no_script_and_takes_nothing_as_markup() -> None:
    page = unpacked(of_operation(a_part()))["report.html"].decode()

    assert "<script" not in page and "http:" not in page and "https:" not in page
    assert "&lt;6222&gt;" in page and "<6222>" not in page
    assert "default-src 'none'" in page


def flip(name: str, place: int = 20) -> Callable[[Files], None]:
    def tamper(files: Files) -> None:
        files[name] = files[name][:place] + bytes([files[name][place] ^ 1]) + files[name][place + 1 :]

    return tamper


def remanifest(change: Callable[[Files], None]) -> Callable[[Files], None]:
    """Change files, and the manifest with them, as somebody would who wants it to pass."""

    def tamper(files: Files) -> None:
        change(files)
        manifest = json.loads(files.pop("manifest.json"))
        manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        files["manifest.json"] = json.dumps(manifest).encode()

    return tamper


def edit(change: Callable[[dict[str, object]], object]) -> Callable[[Files], None]:
    def tamper(files: Files) -> None:
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()

    return tamper


def drop_last(manifest: dict[str, object]) -> None:
    manifest["records"] = manifest["records"][:-1]  # type: ignore[index] # a manifest's records are a list


def drop_middle(manifest: dict[str, object]) -> None:
    del manifest["records"][1]  # type: ignore[attr-defined] # a manifest's records are a list


def twice(manifest: dict[str, object]) -> None:
    manifest["records"].append(manifest["records"][-1])  # type: ignore[attr-defined,index] # a manifest's records are a list


LEAF, PROOF = "records/0-300.json", "proofs/0-300.tlog-proof"
TAMPERED = [
    (flip(LEAF), "it was changed"),
    (flip(PROOF, 80), "it was changed"),
    (flip("report.html"), "it was changed"),
    (flip("verify.py"), "it was changed"),
    (lambda files: files.pop(LEAF), "is missing from the bundle"),
    (lambda files: files.update(extra=b"x"), "it is not named in the manifest"),
    (remanifest(flip(LEAF, 12)), "the proof does not lead to the signed root"),
    (remanifest(flip(PROOF, 80)), "the proof does not lead to the signed root"),
    (remanifest(flip("logs/0/checkpoint", 25)), "is not over this checkpoint"),
    (remanifest(flip("bodies/rec_pay_1_1.txt")), "is not the one that rec_pay_1_1 commits to"),
    (remanifest(lambda files: files.update({LEAF: files["records/0-400.json"]})), "does not lead to the signed root"),
    (edit(drop_middle), "number 2 is missing"),
    (edit(twice), "number 4 is missing, or stands in another place"),
    (edit(lambda manifest: manifest.update(scope={"kind": "operation", "operation": "pay_2"})), "of another operation"),
    (edit(lambda manifest: manifest.update(format="lendgate-evidence/9")), "is not known to this program"),
    (edit(lambda manifest: manifest.update(records=[])), "there is none"),
    (edit(lambda manifest: manifest.update(records=7)), "malformed"),
    (lambda files: files.update({"manifest.json": b"[]"}), "malformed"),
]


@pytest.mark.parametrize(("tamper", "says"), TAMPERED)
def test_what_was_changed_is_found(tamper: Callable[[Files], object], says: str) -> None:
    files = unpacked(of_operation(a_part()))
    tamper(files)

    findings = judged(files)

    assert findings
    assert says in " ".join(findings)


def test_a_range_with_a_hole_is_found() -> None:
    files = unpacked(of_range(a_part()))
    edit(drop_middle)(files)

    assert "they are not the entries 250 to 259" in " ".join(judged(files))


def test_the_end_of_an_operation_is_claimed_and_not_proven() -> None:
    files = unpacked(of_operation(a_part()))
    edit(drop_last)(files)

    assert judged(files) == []
    assert any("no record of the operation followed" in claim for claim in json.loads(files["manifest.json"])["claims"])


def test_another_logs_key_and_a_missing_cosignature_are_found() -> None:
    files = unpacked(of_operation(a_part()))

    assert "did not sign it" in " ".join(judged(files, str(a_signer().key)))
    assert "none of the given keys is of its log" in " ".join(judged(files, str(a_signer("other.example/l").key)))
    assert "0 of the given witnesses cosigned" in " ".join(judged(files, witnesses=[str(WITNESS.key)], quorum=1))


def test_a_content_that_is_gone_is_said_to_be_gone() -> None:
    part = a_part()
    erased = Disclosure("rec_pay_1_1", unavailable="erased")

    files = unpacked(pack(part, Scope("operation", "pay_1"), chain_of(part.read, 1000, "pay_1"), erased))

    assert judged(files) == []
    assert json.loads(files["manifest.json"])["unavailable"] == {"rec_pay_1_1": "erased"}
    assert b"Its content is not here: erased." in files["report.html"]


def test_a_zip_that_holds_a_name_twice_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "evidence.zip"
    with zipfile.ZipFile(place, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("manifest.json", "{}")
        archive.writestr("manifest.json", "{}")

    with pytest.raises(Exception, match="holds a name twice"):
        open_bundle(place)
