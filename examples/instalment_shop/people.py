"""The people and accidents around the purchase, played at the simulated institutions' own pages and desks.

The shop knows nothing of this: in real life a shopper scans, a treasurer approves at the bank, and networks fail.
"""

from __future__ import annotations

import re
import ssl
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp

__all__ = ["Sandbox"]


class Sandbox:
    """All simulated institutions, by name."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        # The institutions' certificates come from their own development authorities; a browser would ask once.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=False)

    async def __aenter__(self) -> Sandbox:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self.urls))

    async def tell(self, institution: str, path: str, **body: Any) -> Any:
        """Do at an institution what people do there."""
        url = f"{self.urls[institution]}/_sandbox/{path}"
        async with self._session.post(url, json=body) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise RuntimeError(f"{institution} would not {path}: {text}")
            return await answer.json(content_type=None)

    async def read(self, institution: str, path: str) -> Any:
        """`ledger`, `requests` or `state` of an institution."""
        async with self._session.get(f"{self.urls[institution]}/_sandbox/{path}") as answer:
            return await answer.json(content_type=None)

    async def fail(self, institution: str, point: str, operation: str, times: int = 1) -> None:
        """Arm a fault."""
        await self.tell(institution, "faults", point=point, operation=operation, times=times)

    async def approve_at_the_bank(self, link: str) -> None:
        """Open the bank's consent page as a browser does, press Approve, and follow the way back to the gateway."""
        async with self._session.get(link) as page:
            html = await page.text()
            if page.status >= 400:
                raise RuntimeError(f"the bank's page says: {html[:500]}")
            base = page.url
        action = re.search(r'<form[^>]*action="([^"]*)"', html)
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', html))
        button = re.search(r'<button[^>]*name="([^"]+)"[^>]*value="(approve|Approve|true)"', html)
        if button is None:
            raise RuntimeError("the bank's page has no button to approve with")
        target = base.join(type(base)(action[1])) if action and action[1] else base
        form = {**fields, button[1]: button[2]}
        async with self._session.post(target, data=form, allow_redirects=False) as answer:
            back = answer.headers["Location"]
        await self.come_back(back)

    async def come_back(self, location: str) -> None:
        """What a browser does at the gateway's return page: its script posts the fragment, which no server sees."""
        parts = urlsplit(location)
        plain = parts._replace(query="", fragment="").geturl()
        carried = {"query": f"?{parts.query}", "fragment": f"#{parts.fragment}"}
        async with self._session.post(plain, data=carried, allow_redirects=False) as answer:
            if answer.status >= 400:
                raise RuntimeError(f"the gateway did not take the return: {await answer.text()}")
