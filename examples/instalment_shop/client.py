"""The shop's side of the HTTP API: what any language would need a page for.

Rules that every client should keep
- The Idempotency-Key is made and kept before the call; a call without an answer is repeated with the same key.
- 201 and 200 carry an operation, 202 one that is still open; a problem says by `outcome` and `retry` what is safe.
"""

from __future__ import annotations

import asyncio
import uuid
from types import TracebackType
from typing import Any

import aiohttp

__all__ = ["Client", "Problem"]


class Problem(Exception):
    """A refusal (RFC 9457). `body["outcome"]` says whether money may have moved, `body["retry"]` what is safe next."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        errors = "; ".join(f"{error['path']}: {error['detail']}" for error in body.get("errors", []))
        super().__init__(f"{status} {body.get('title', '')}: {body.get('detail', '')} {errors}".strip())
        self.status = status
        self.body = body


class Client:
    """One lending platform at one gateway."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, trust_env=False)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def create(self, path: str, body: dict[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """POST what acts, repeated with the same key until there is an answer."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        for patience in (0.2, 0.5, 1.0, None):
            try:
                return await self._call("POST", path, json=body, headers=headers)
            except Problem as problem:
                if problem.body.get("retry") != "same_key" or patience is None:
                    raise
            except aiohttp.ClientError:
                if patience is None:
                    raise
            await asyncio.sleep(patience)
        raise AssertionError("unreachable")

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        return await self._call("GET", path, params=query)

    async def post(self, path: str) -> dict[str, Any]:
        """POST what only asks, such as a refresh."""
        return await self._call("POST", path, json={})

    async def until(self, operation: dict[str, Any], *states: str, seconds: float = 30) -> dict[str, Any]:
        """Follow an operation until it is in one of `states`. Raises `TimeoutError`."""
        for _ in range(int(seconds / 0.25)):
            if operation["state"] in states:
                return operation
            await asyncio.sleep(0.25)
            operation = await self.get(f"/v1/operations/{operation['id']}")
        raise TimeoutError(f"{operation['id']} is still {operation['state']} after {seconds:.0f} s")

    async def _call(self, method: str, path: str, **arguments: Any) -> dict[str, Any]:
        async with self._session.request(method, self._url + path, **arguments) as answer:
            body: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 400:
                raise Problem(answer.status, body)
            return body
