"""The lines that a reader is given to type in, typed in: those that the demo prints at its end, and the README's first.

They are taken from where they stand and run by a shell with the real curl, against the running sandbox.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from examples.instalment_shop.demo import Demo, try_next
from examples.instalment_shop.processes import Processes
from tests.end_to_end import bodies
from tests.end_to_end.sandbox_house import SandboxHouse
from tests.sources import ROOT

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed on this machine")

LOAN = "LN-PRINTED"
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_CALL, FIRST_ANSWER = re.findall(r"```(?:json)?\n(.*?)```", README.partition("## A first call")[2], re.DOTALL)[:2]


def printed(house: SandboxHouse) -> list[str]:
    demo = cast(Demo, SimpleNamespace(loan=LOAN))
    return try_next(Processes(house.config_path.parent), demo)


def typed(line: str, house: SandboxHouse) -> str:
    """What a shell prints for the line; fails if the command does."""
    environment = {**os.environ, "NO_PROXY": "*", "URL": house.url, "KEY": house.key()}
    shell = ("/bin/sh", "-c", line)
    done = subprocess.run(shell, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def has_partners(answer: Any) -> bool:
    return {"alipay", "openbanking_uk", "wechat_freight", "zhongan"} == {one["partner"] for one in answer["partners"]}


def has_the_loan(answer: Any) -> bool:
    return [one["links_to"]["loan"] for one in answer["operations"]] == [LOAN]


def is_a_payment(answer: Any) -> bool:
    return (answer["state"], answer["next_action"]["kind"]) == ("requires_action", "qr_code")


def has_events(answer: Any) -> bool:
    return bool(answer["events"]) and answer["next_after"] == answer["events"][-1]["cursor"]


EXPECTED: dict[str, Callable[[Any], bool]] = {
    "/v1/partners": has_partners,
    "/v1/operations?link=": has_the_loan,
    "/v1/payments": is_a_payment,
    "/v1/events?after=0": has_events,
}
"""What each line of curl must bring, by what its address begins with."""


@needs_curl
def test_each_line_that_the_demo_prints_does_what_it_says(sandbox: SandboxHouse) -> None:
    if not sandbox.get("/v1/operations", params={"link": f"loan={LOAN}"})["operations"]:
        sandbox.act("/v1/payments", {**bodies.qr_payment(), "links_to": {"loan": LOAN}})
    lines = [line for line in printed(sandbox) if line.startswith("curl ")]

    answers = {line.partition(sandbox.url)[2].strip('"'): json.loads(typed(line, sandbox)) for line in lines}

    judged = {place: true for at, true in EXPECTED.items() for place in answers if place.startswith(at)}
    assert judged.keys() == answers.keys() and set(judged.values()) == set(EXPECTED.values())
    assert [place for place, true in judged.items() if not true(answers[place])] == []


def test_the_other_lines_lead_somewhere_too(sandbox: SandboxHouse) -> None:
    verify, browser = (line for line in printed(sandbox) if not line.startswith("curl "))

    assert "Everything verifies." in typed(verify, sandbox)
    page = sandbox.client.get(browser.removeprefix("open ").removesuffix(" in a browser"))
    assert (page.status_code, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")


def test_no_printed_line_is_read_otherwise_by_another_shell(sandbox: SandboxHouse) -> None:
    for line in [*printed(sandbox)[:-1], FIRST_CALL]:
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", line)
        assert re.findall(r"[?*\[\]&;|<>()]", bare) == [], line


@needs_curl
def test_the_first_call_of_the_readme_is_answered_as_it_says(sandbox: SandboxHouse) -> None:
    documented = json.loads(re.sub(r", …\}", "}", FIRST_ANSWER))

    answer = json.loads(typed(FIRST_CALL, sandbox))

    assert missing(documented, answer) == []


@needs_curl
def test_the_first_call_repeated_is_what_the_readme_says(sandbox: SandboxHouse) -> None:
    first = json.loads(typed(FIRST_CALL, sandbox))

    again = typed(FIRST_CALL.replace("curl ", "curl -i ", 1), sandbox)
    other = json.loads(typed(FIRST_CALL.replace("12.30", "12.31"), sandbox))

    headers, _, body = again.replace("\r", "").partition("\n\n")
    assert "idempotent-replayed: true" in headers.lower()
    assert json.loads(body)["id"] == first["id"]
    assert (other["status"], other["outcome"]) == (422, "not_sent")


def missing(documented: Any, answer: Any, at: str = "") -> list[str]:
    """Where the answer is not what is documented; a text that ends in `…` says how it begins."""
    if isinstance(documented, dict):
        return [
            wrong
            for name, value in documented.items()
            for wrong in (missing(value, answer[name], f"{at}.{name}") if name in answer else [f"{at}.{name}"])
        ]
    if isinstance(documented, str) and documented.endswith("…"):
        # Ids grow with time: of them, the kind is what a reader can count on.
        start = documented[:-1].rpartition("_")[0] or documented[:-1]
        return [] if str(answer).startswith(start) else [at]
    return [] if documented == answer else [at]
