"""What `lendgate sandbox` and `lendgate serve` start, for tests: every simulated institution and a gateway before them.

Rules
- Two processes on free loopback ports, in a folder of their own: each worker of pytest-xdist has its own.
- Tests share one house, so nothing may depend on what another test left: references are fresh, counters only grow.
- What a person does (pay, approve, come back) is played at the institutions' own pages and desks.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.sources import ROOT

__all__ = ["Institutions", "SandboxHouse", "open_house", "sandbox"]

SECONDS_TO_START = 90.0


class SandboxHouse:
    """A running gateway and its institutions, and a platform (`shop`) that calls it."""

    def __init__(self, config_path: Path, stack: ExitStack) -> None:
        self.config_path = config_path
        self.config: dict[str, Any] = tomllib.loads(config_path.read_text(encoding="utf-8"))
        self.url: str = self.config["gateway"]["public_url"]
        self.client = stack.enter_context(httpx.Client(base_url=self.url, trust_env=False, timeout=60))
        browser = stack.enter_context(
            # The institutions' certificates come from their own development authorities.
            httpx.Client(verify=False, trust_env=False, timeout=60)  # noqa: S501 - no browser knows those
        )
        self.institutions = Institutions(self.config["sandbox"]["urls"], browser)

    def key(self, client: str = "shop") -> str:
        """A client's API key."""
        reference = str(self.config["clients"][client]["key"]).removeprefix("file:")
        return (self.config_path.parent / reference).read_text(encoding="utf-8").strip()

    def send(self, method: str, template: str, *, as_client: str = "shop", **arguments: Any) -> httpx.Response:
        """One call. `{parts}` of the path are filled in from the arguments of the same name."""
        path = re.sub(r"\{(\w+)\}", lambda part: _filled(part[1], arguments.pop(part[1])), template)
        headers = {"Authorization": f"Bearer {self.key(as_client)}", **arguments.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **arguments)

    def get(self, template: str, **arguments: Any) -> Any:
        """GET what must be there."""
        return _wanted(self.send("GET", template, **arguments))

    def ask(self, template: str, **arguments: Any) -> Any:
        """POST what needs no key, such as a refresh."""
        return _wanted(self.send("POST", template, **arguments))

    def act(self, template: str, body: Mapping[str, Any], **parts: str) -> Any:
        """POST what acts, under a fresh key and a fresh reference."""
        return _wanted(self.attempt(template, body, **parts))

    def attempt(self, template: str, body: Mapping[str, Any], **parts: str) -> httpx.Response:
        """The same, whatever the answer is."""
        whole = {"reference": f"E2E-{uuid.uuid4().hex[:16]}", **body}
        return self.send("POST", template, json=whole, headers={"Idempotency-Key": uuid.uuid4().hex}, **parts)

    def until(self, operation: Mapping[str, Any], *states: str, seconds: float = 30.0) -> Any:
        """Follow an operation until it is in one of `states`."""
        return eventually(
            lambda: self.get("/v1/operations/{id}", id=operation["id"]), lambda now: now["state"] in states, seconds
        )

    def genuine(self) -> dict[tuple[str, str], float]:
        """How many proven answers came, by connection and verb, as the gateway counts them itself."""
        found: dict[tuple[str, str], float] = {}
        for said, value in self._counted("lendgate_sends_total"):
            if said["observed"] == "genuine":
                found[said["connection"], said["verb"]] = value
        return found

    def succeeded(self) -> dict[str, float]:
        """How many calls were answered by a 2xx, by the name of the call, as the gateway counts them itself."""
        found: dict[str, float] = defaultdict(float)
        for said, value in self._counted("lendgate_calls_total"):
            if said["status"].startswith("2"):
                found[said["route"]] += value
        return found

    def _counted(self, counter: str) -> list[tuple[dict[str, str], float]]:
        text = self.client.get("/metrics").text
        lines = re.findall(rf"^{counter}\{{(.+)\}} (\S+)$", text, re.MULTILINE)
        return [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for labels, value in lines]

    def come_back(self, location: str) -> httpx.Response:
        """What a browser does at the gateway's return page: its script posts the fragment, which no server sees."""
        parts = urlsplit(location)
        template, connection = "/v1/returns/{connection}", parts.path.rpartition("/")[2]
        page = self.send("GET", template, connection=connection, params=parts.query)
        assert "script" in page.text
        carried = {"query": f"?{parts.query}", "fragment": f"#{parts.fragment}"}
        return self.send("POST", template, connection=connection, data=carried, follow_redirects=False)


class Institutions:
    """The simulated institutions, by name, as a person and a tester see them."""

    def __init__(self, urls: Mapping[str, str], browser: httpx.Client) -> None:
        self.urls = urls
        self.browser = browser

    def tell(self, institution: str, desk: str, **body: Any) -> Any:
        """Do at an institution what people do there."""
        return _wanted(self.browser.post(f"{self.urls[institution]}/_sandbox/{desk}", json=body))

    def read(self, institution: str, what: str) -> Any:
        """`ledger`, `requests` or `state`."""
        return _wanted(self.browser.get(f"{self.urls[institution]}/_sandbox/{what}"))

    def press(self, link: str, label: str) -> str:
        """Open a page, press the button of that label, and give back where the browser is sent."""
        page = self.browser.get(link)
        assert page.status_code == 200, page.text
        forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page.text, re.DOTALL)
        for action, inside in forms:
            pressed = re.search(rf'<button[^>]*name="(\w+)"[^>]*value="(\w+)"[^>]*>{label}</button>', inside)
            if pressed:
                hidden = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', inside))
                fields = {name: value.replace("&amp;", "&") for name, value in hidden.items()}
                answer = self.browser.post(page.url.join(action), data={**fields, pressed[1]: pressed[2]})
                return answer.headers["Location"]
        raise AssertionError(f"there is no button {label!r} on {page.text}")


def _filled(name: str, value: object) -> str:
    return quote(str(value), safe="/" if name == "path" else "")


def _wanted(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json()


def eventually(read: Callable[[], Any], true: Callable[[Any], bool], seconds: float = 30.0) -> Any:
    """Read until it is true; fails with what was read last."""
    for _ in range(int(seconds / 0.1)):
        found = read()
        if true(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"it did not come about: {found}")


@contextmanager
def open_house(folder: Path) -> Iterator[SandboxHouse]:
    """Start both processes and wait until they answer; stop them at the end, the gateway first."""
    config = folder / "lendgate.toml"
    with ExitStack() as stack:
        places = ("--directory", str(folder / "sandbox"), "--ports-from", "0", "--config-out", str(config))
        simulators = stack.enter_context(_running(folder, "sandbox", *places))
        _until(config.exists, simulators, folder / "sandbox.log")
        gateway = stack.enter_context(_running(folder, "serve", "--config", str(config)))
        house = SandboxHouse(config, stack)
        _until(lambda: _ready(house.client), gateway, folder / "serve.log")
        yield house


@contextmanager
def _running(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    with (folder / f"{arguments[0]}.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(int(SECONDS_TO_START / 0.1)):
        if ready():
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"it did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHouse]:
    """One house for all tests of a worker."""
    with open_house(tmp_path_factory.mktemp("sandbox")) as house:
        yield house
