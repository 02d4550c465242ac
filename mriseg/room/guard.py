"""Who may ask the reading room anything: this machine's own page, with the token in its address."""

from __future__ import annotations

import secrets
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """ASGI wrapper that refuses every request but those of the room's own page.

    The token is the first part of the path, so that addresses relative to the page carry it; a host of another name (a
    foreign name that resolves to this machine) and another origin are refused before anything is read.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self.app, self.token = app, token
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 or 421, or hand the request on without the token in its path."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        refused = self._refusal(scope)
        if refused:
            await PlainTextResponse(refused[1], status_code=refused[0], headers=HEADERS)(scope, receive, send)
            return
        inner: MutableMapping[str, Any] = dict(scope)
        inner["path"] = scope["path"][len(self.token) + 1 :]
        inner["raw_path"] = inner["path"].encode()

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(inner, receive, with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.hosts:
            return 421, "The reading room answers on this machine's own address only."
        if origin is not None and origin not in {f"http://{h}" for h in self.hosts}:
            return 403, "Another page asked; the reading room answers its own page only."
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return 403, "Another page asked; the reading room answers its own page only."
        if not secrets.compare_digest(scope["path"].split("/")[1].encode(), self.token.encode()):
            return 403, "The token is missing or wrong. Open the address that `mriseg review` printed."
        return None
