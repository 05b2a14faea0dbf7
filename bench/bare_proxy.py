"""The yardstick: aiohttp takes a request, aiohttp passes it on, and nothing else happens. Prints its port."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from bench.loop import new_loop

SESSION = web.AppKey("session", aiohttp.ClientSession)


async def main(partner: str) -> None:
    """Serve until the process is ended."""

    async def session(app: web.Application) -> AsyncIterator[None]:
        app[SESSION] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        yield
        await app[SESSION].close()

    async def pay(request: web.Request) -> web.Response:
        headers = {"Content-Type": "application/json"}
        async with request.app[SESSION].post(partner, data=await request.read(), headers=headers) as reply:
            return web.Response(body=await reply.read(), status=201, content_type="application/json")

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.router.add_post("/v1/payments", pay)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("partner", help="URL that every request is passed on to")
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main(arguments.parse_args().partner))
