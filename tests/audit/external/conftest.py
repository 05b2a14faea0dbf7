"""Verifiers that others wrote, where this machine has them.

They are used if they are there. `pytest -m external` also tries to get them: the Python ones into an environment of
their own, the Go libraries through Go's own client. What cannot be had is named, and its tests are skipped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PACKAGES = ("aics-tlog==0.2.1", "tlog-scales==0.0.3")
WITNESS = "aics-witness==0.1.0"
OLDEST = (3, 12)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lendgate" / "auditors"
CHECKER = Path(__file__).with_name("checker")
INSTALL_SECONDS = 120
PROBE = f"import sys, aics_tlog, tlog_scales; sys.exit(sys.version_info < {OLDEST})"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "external: needs a verifier that is not ours; `-m external` tries to get it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.external)


@pytest.fixture(scope="session")
def may_install(pytestconfig: pytest.Config) -> bool:
    chosen = str(pytestconfig.getoption("-m"))
    return "external" in chosen and "not external" not in chosen


@pytest.fixture(scope="session")
def auditor_python(may_install: bool) -> Path:
    """An interpreter that has the verifiers written in Python."""
    with alone("python"):
        ours = CACHE / "python" / "bin" / "python"
        for python in (ours, *interpreters()):
            if succeeds([python, "-c", PROBE]):
                return python
        if not may_install:
            pytest.skip(f"not here: {', '.join(PACKAGES)} (`pytest -m external` tries to get them)")
        base = next(
            (p for p in interpreters() if succeeds([p, "-c", PROBE.replace(", aics_tlog, tlog_scales", "")])), None
        )
        if base is None:
            pytest.skip(f"{', '.join(PACKAGES)} need a Python of at least {'.'.join(map(str, OLDEST))}; there is none")
        attempt([base, "-m", "venv", ours.parents[1]], "an environment")
        attempt([ours, "-m", "pip", "install", "-q", "--retries", "0", "--timeout", "10", *PACKAGES], str(PACKAGES))
        return ours


@pytest.fixture(scope="session")
def other_witness(auditor_python: Path, may_install: bool) -> Path:
    """The program of a witness that is not ours."""
    program = auditor_python.with_name("aics-witness")
    with alone("python"):
        if not program.exists():
            if not may_install:
                pytest.skip(f"not here: {WITNESS} (`pytest -m external` tries to get it)")
            command = [auditor_python, "-m", "pip", "install", "-q", "--retries", "0", "--timeout", "10", WITNESS]
            attempt(command, WITNESS)
    return program


@pytest.fixture(scope="session")
def go_checker(may_install: bool) -> Path:
    """The program in `checker`, built from golang.org/x/mod."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("golang.org/x/mod/sumdb needs Go; there is none")
    with alone("go"):
        build, program = CACHE / "go", CACHE / "go" / "check"
        build.mkdir(parents=True, exist_ok=True)
        for source in CHECKER.iterdir():
            shutil.copy(source, build)
        environment = {"GOTOOLCHAIN": "local"} | ({} if may_install else {"GOPROXY": "off"})
        attempt([go, "-C", build, "build", "-o", program, "."], "golang.org/x/mod/sumdb", environment)
        return program


def interpreters() -> Iterator[Path]:
    """Pythons that may be new enough."""
    yield Path(sys.executable)
    for minor in range(20, OLDEST[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield Path(found)
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from sorted(versions.glob("3.*/bin/python3"), reverse=True)


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One process at a time gets or builds a verifier."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with CACHE.joinpath(f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def succeeds(command: Sequence[str | Path]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def attempt(command: Sequence[str | Path], what: str, environment: dict[str, str] | None = None) -> None:
    """Run a step without which the verifier is missing."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, env=os.environ | (environment or {})
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"{what} cannot be had here: {error}")
    if done.returncode:
        why = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"{what} cannot be had here: {' '.join(why)[:300]} (`pytest -m external` tries to get it)")
