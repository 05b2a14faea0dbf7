"""Set lendgate up and run it, from a fresh clone: `python run.py demo | test | prove | bench | lock`.

  demo [--keep …]     the instalment shop against simulated institutions, on this machine alone
  test [pytest args]  lint, format, types, tests and the coverage of the money path; with arguments, those tests only
  prove [NAME…]       campaigns that kill, cut, restore and simulate, for hours (`--quick`: minutes; `--list`)
  bench [args]        what one call costs: bench/call.py
  lock [uv args]      resolve requirements.lock again from pyproject.toml (`lock --upgrade` moves every pin)

Rules
- Standard library only; Python 3.11 or newer and pip are enough. uv makes it faster and is used where it is found.
- The file must parse on the old Pythons that it turns away, down to 3.6, or they would print a riddle instead.
- Nothing is installed that requirements.lock does not pin by hash, and nothing outside `.venv` is changed.
- The exit code is that of the first step that failed.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

if sys.version_info < (3, 11):
    sys.exit("lendgate needs Python 3.11 or newer; this is {}.{}. Try: python3.11 run.py".format(*sys.version_info[:2]))

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PROGRAMS = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = PROGRAMS / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "lendgate.stamp"
LOCK = ROOT / "requirements.lock"
# Published as source only: an independent client of a partner, for tests. The locked setuptools builds it.
FROM_SOURCE = ("python-alipay-sdk",)
LOCKED = ("--require-hashes",)
WHEELS = ("--no-deps", "--only-binary", ":all:")
# The dependencies and the build back ends are installed already: nothing is fetched behind the lock's back.
BUILD_HERE = ("--no-deps", "--no-build-isolation")
# Our packages are named one by one, so a left-over folder in plugins/ without a pyproject.toml does no harm.
NO_WORKSPACE = ("--no-sources",)
QUIET_PIP = ("--quiet", "--disable-pip-version-check")
MONEY_PATH = ("wire", "operations", "store", "audit")
MONEY_PATH_COVERAGE = 95  # per cent of statements and branches


class Failed(Exception):
    """A step failed: its exit code, and what the person can do about it."""

    def __init__(self, code: int, advice: str) -> None:
        super().__init__(advice)
        self.code = code


def call(title: str, *command: object) -> int:
    """Run one step in the root folder; say what it is before and how long it took after. Returns its exit code."""
    print(f"── {title}", flush=True)
    began = time.monotonic()
    try:
        code = subprocess.call([str(part) for part in command], cwd=ROOT)
    except OSError as error:
        print(f"   {error}", flush=True)
        code = 127
    outcome = "done" if code == 0 else f"failed with exit code {code}"
    print(f"   {title}: {outcome} in {time.monotonic() - began:.1f} s", flush=True)
    return code if code >= 0 else 128 - code  # ended by a signal: what a shell would say


def become(*command: object) -> int:
    """Hand this process over to the command, so that signals and the exit code are its own."""
    words = [str(part) for part in command]
    os.chdir(ROOT)
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(words[0], words)
    return subprocess.call(words)


# -- the environment ---------------------------------------------------------------------------------------------------


def plugins() -> list[Path]:
    """The folders of the plugins that are distributions already."""
    return sorted(project.parent for project in ROOT.glob("plugins/*/pyproject.toml"))


def fingerprint() -> str:
    """What the environment was made from. The place counts too: editable installs do not survive a move."""
    parts = [ROOT / "run.py", LOCK, *(folder / "pyproject.toml" for folder in [ROOT, *plugins()])]
    digest = hashlib.sha256(f"{ROOT}\n".encode())
    for part in parts:
        digest.update(f"{part}\n".encode() + hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


def prepare() -> None:
    """Make `.venv` say what requirements.lock says. Does nothing when it was made from the same files before."""
    if PYTHON.exists() and STAMP.exists() and STAMP.read_text() == fingerprint():
        return
    STAMP.unlink(missing_ok=True)
    uv = PROGRAMS / "uv" if (PROGRAMS / "uv").exists() else shutil.which("uv")
    if uv is None:
        make_venv()
        uv = locked_uv()
    if uv is None or not install_with_uv(uv):
        install_with_pip()
    STAMP.write_text(fingerprint())


def make_venv() -> None:
    """Make `.venv` with pip in it, unless one stands there; one that uv has made has no pip."""
    has_pip = [str(PYTHON), "-c", "import pip"]
    if PYTHON.exists() and subprocess.call(has_pip, stderr=subprocess.DEVNULL) == 0:
        return
    if call("make .venv", sys.executable, "-m", "venv", "--clear", VENV):
        shutil.rmtree(VENV, ignore_errors=True)
        raise Failed(1, "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv.")


def part_of_lock(name: str, wanted: Callable[[str], bool]) -> Path:
    """Write the pins of the wanted packages, hashes included, to a file of its own in `.venv`."""
    pins = re.split(r"^(?=[\w.-]+==)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    part = VENV / f"{name}.lock"
    part.write_text("".join(pin for pin in pins if wanted(pin.partition("==")[0])), encoding="utf-8")
    return part


def locked_uv() -> Path | None:
    """Install the uv that requirements.lock pins; None where it has no wheel for this machine."""
    only_uv = part_of_lock("uv", lambda name: name == "uv")
    code = call("install uv", PYTHON, "-m", "pip", "install", *QUIET_PIP, *LOCKED, *WHEELS, "-r", only_uv)
    return None if code else PROGRAMS / "uv"


def install_with_uv(uv: Path | str) -> bool:
    """Say whether uv could make the environment and install everything."""
    if not PYTHON.exists():
        shutil.rmtree(VENV, ignore_errors=True)
        if call("make .venv (uv)", uv, "venv", "--quiet", "--python", sys.executable, VENV):
            return False
    return install("uv", uv, "pip", "install", "--quiet", *NO_WORKSPACE, "--python", PYTHON)


def install_with_pip() -> None:
    """The same with nothing but pip."""
    make_venv()
    if not install("pip", PYTHON, "-m", "pip", "install", *QUIET_PIP):
        raise Failed(
            1,
            "Not everything could be installed; the lines above say why. For a package of requirements.lock: is there a"
            " network, or a mirror named by PIP_INDEX_URL? For lendgate or a plugin: mend its pyproject.toml. To start"
            " afresh, remove .venv and run this again.",
        )


def install(name: str, *installer: object) -> bool:
    """Say whether the lock, and then lendgate with every plugin, could be installed."""
    wheels = part_of_lock("wheels", lambda package: package not in FROM_SOURCE)
    from_source = part_of_lock("from-source", lambda package: package in FROM_SOURCE)
    ours = [word for folder in [ROOT, *plugins()] for word in ("-e", folder)]
    steps = {
        "requirements.lock": (*LOCKED, *WHEELS, "-r", wheels),
        "what has no wheel": (*LOCKED, *BUILD_HERE, "-r", from_source),
        "lendgate and its plugins": (*BUILD_HERE, *ours),
    }
    return all(call(f"install {title} ({name})", *installer, *words) == 0 for title, words in steps.items())


# -- the commands ------------------------------------------------------------------------------------------------------


def demo(arguments: list[str]) -> int:
    """Run the instalment shop."""
    return become(PYTHON, "-m", "examples.instalment_shop.demo", *arguments)


def bench(arguments: list[str]) -> int:
    """Measure one call."""
    return become(PYTHON, "bench/call.py", *arguments)


def prove(arguments: list[str]) -> int:
    """Run the proofs."""
    return become(PYTHON, "bench/prove.py", *arguments)


def test(arguments: list[str]) -> int:
    """Run every check, also after one has failed, so that one run shows all there is to mend."""
    packages = [package.parent for folder in plugins() for package in folder.glob("lendgate_*/__init__.py")]
    run = (PYTHON, "-m")
    pytest = (*run, "pytest", "-n", "auto")
    if arguments:
        # A part of the tests cannot be held to the coverage of all of them.
        checks = {"pytest": (*pytest, *arguments)}
    else:
        measured = ",".join(f"gateway/{floor}/*" for floor in MONEY_PATH)
        checks = {
            "ruff check": (*run, "ruff", "check", "--output-format=concise", "."),
            "ruff format": (*run, "ruff", "format", "--check", "."),
            "mypy --strict": (*run, "mypy", "gateway", *packages),
            "pytest": (*pytest, "--cov", "--cov-report="),
            f"coverage of {measured}": (
                *run,
                *("coverage", "report", f"--include={measured}", f"--fail-under={MONEY_PATH_COVERAGE}"),
            ),
        }
    codes = {title: call(title, *command) for title, command in checks.items()}
    failed = [title for title, code in codes.items() if code]
    print(f"── failed: {', '.join(failed)}" if failed else f"── all good: {', '.join(codes)}", flush=True)
    return next((code for code in codes.values() if code), 0)


def lock(arguments: list[str]) -> int:
    """Resolve the runtime and development dependencies for every platform and pin them by hash; no host is named."""
    compile_command = (
        *(PYTHON, "-m", "uv", "pip", "compile", "--quiet", *NO_WORKSPACE),
        *("pyproject.toml", "--extra", "dev", "--output-file", LOCK.name),
        *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"),
        *("--no-emit-package", "lendgate", "--custom-compile-command", "python run.py lock"),
    )
    code = call("resolve requirements.lock", *compile_command, *arguments)
    if code == 0 and "://" in LOCK.read_text(encoding="utf-8"):
        raise Failed(1, "requirements.lock names a host; it must not: pin released versions only.")
    return code


COMMANDS = {"demo": demo, "test": test, "bench": bench, "lock": lock}
if (ROOT / "bench" / "prove.py").exists():
    COMMANDS["prove"] = prove


def main(words: list[str]) -> int:
    """Set the environment up, then run the command that the first word names."""
    if not words or words[0] not in COMMANDS:
        print((__doc__ or "").partition("\n\nRules")[0])
        return 0 if words in (["-h"], ["--help"]) else 2
    arguments = words[2:] if words[1:2] == ["--"] else words[1:]
    try:
        prepare()
        return COMMANDS[words[0]](arguments)
    except Failed as failure:
        print(f"run.py: {failure}", file=sys.stderr)
        return failure.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
