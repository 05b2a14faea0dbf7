"""The reference and the pages of problems: for people, without a script and without anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re

from gateway.api.problem_kinds import PROBLEM_KINDS
from gateway.api.routes import ROUTES
from tests.api.house import Caller


async def test_the_reference_names_every_call(shop: Caller) -> None:
    page = await shop.send("GET", "/docs", headers={"Authorization": None})

    assert page.status == 200
    for route in ROUTES:
        assert f'<span class="method">{route.method}</span><code>{route.path}</code>' in page.text


async def test_its_links_lead_somewhere(shop: Caller) -> None:
    page = (await shop.get("/docs")).text

    targets = set(re.findall('href="#([^"]+)"', page))

    assert targets
    assert targets <= set(re.findall(' id="([^"]+)"', page))


async def test_pages_load_nothing_and_run_nothing(shop: Caller) -> None:
    for path in ("/docs", "/problems", "/problems/declined"):
        page = await shop.get(path)
        policy = page.headers["Content-Security-Policy"]
        (style,) = re.findall("<style>(.*?)</style>", page.text, re.DOTALL)
        allowed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{allowed}'")
        assert not re.search("<script|<link|<img|style=|src=|href=.?http", page.text.partition("</style>")[2])


async def test_every_kind_of_problem_has_a_page(shop: Caller) -> None:
    listed = (await shop.get("/problems")).text

    for kind in PROBLEM_KINDS.values():
        page = await shop.get(f"/problems/{kind.name}")
        assert page.status == 200
        assert f'href="/problems/{kind.name}"' in listed


async def test_a_kind_that_does_not_exist_has_none(shop: Caller) -> None:
    answer = await shop.get("/problems/nonsense")

    assert (answer.status, answer.kind) == (404, "not_found")
