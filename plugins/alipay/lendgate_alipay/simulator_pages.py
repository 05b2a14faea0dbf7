"""The few pages that a person sees at the simulated wallet: plain HTML, no script."""

from __future__ import annotations

import html
from urllib.parse import urlencode, urlsplit

from aiohttp import web

__all__ = ["asked_page", "done_page", "error_page"]


def asked_page(biz_no: str, return_url: str) -> web.Response:
    """Asks the person to be recognised, or not."""
    buttons = "".join(
        f'<form method="post" action="/_sandbox/certification"><input type="hidden" name="biz_no" value="{biz_no}">'
        f'<input type="hidden" name="return_url" value="{html.escape(return_url)}">'
        f'<button name="passed" value="{passed}">{label}</button></form>'
        for passed, label in (("true", "My face is recognised"), ("false", "My face is not recognised"))
    )
    text = f"<!doctype html><title>Sandbox: certification</title><h1>Certification {biz_no}</h1>{buttons}"
    return web.Response(text=text, content_type="text/html")


def done_page(return_url: str, biz_no: str, *, passed: bool) -> web.Response:
    """Sends the browser back. The names of what it carries are assumed: the page flow does not publish them."""
    told = urlencode({"bizNo": biz_no, "passed": str(passed).lower()})
    joint = "&" if urlsplit(return_url).query else "?"
    return web.Response(status=303, headers={"Location": f"{return_url}{joint}{told}"})


def error_page(sub_code: str) -> web.Response:
    """Page calls answer mistakes with a page in GBK, not with JSON."""
    text = f"<!doctype html><title>错误</title><h1>调试错误</h1><p>{html.escape(sub_code)}</p>"
    return web.Response(body=text.encode("gbk"), content_type="text/html", charset="gbk")
