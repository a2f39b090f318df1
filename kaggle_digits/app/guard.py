"""What every answer of the app carries, and which requests get none."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # a newer version's page must not meet an older one's script
}
READING = {"GET", "HEAD"}


class Guard:
    """Puts HEADERS on every answer; refuses what another site's page sends."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before ``app``."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["method"] not in READING and _foreign(Headers(scope=scope)):
            detail = "refused: the request comes from a page of another site"
            await JSONResponse({"detail": detail}, 403)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sends this."""
    origin = headers.get("origin")
    if origin is None:  # no browser, or nothing but a link
        return False
    # A browser that knows both sides says so; behind a proxy Host may be another name.
    if headers.get("sec-fetch-site") == "same-origin":
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
