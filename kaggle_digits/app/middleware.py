"""What every answer of the app carries, and which requests get none."""

from __future__ import annotations

import socket
from ipaddress import ip_address
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
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a server listens everywhere → here
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Guard:
    """Puts HEADERS on every answer; refuses what another site's page sends.

    A page of another site may have its own name point at this machine after it was loaded (DNS
    rebinding); the browser then takes the app for that site. So only names that are the app's own
    are answered to. An address in numbers cannot be made to point elsewhere.
    """

    def __init__(self, app: ASGIApp, host: str = "127.0.0.1") -> None:
        """Stand before ``app``, which is served at ``host``."""
        self._app = app
        self._everywhere = host in ANYWHERE
        self._names = LOCAL | {host.lower()}
        if self._everywhere:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own.partition('.')[0]}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        headers, detail = Headers(scope=scope), ""
        if not self._is_mine(headers.get("host", "")):
            detail = (
                "refused: the app is not served by that name; open it at the address that kd app "
                "printed, or start it with: kd app --host NAME"
            )
        elif scope["method"] not in READING and _foreign(headers):
            detail = "refused: the request comes from a page of another site"
        if detail:
            await JSONResponse({"detail": detail}, 403)(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _is_mine(self, host: str) -> bool:
        """Whether a Host header names this app; the port says nothing about whose it is."""
        try:
            parts = urlsplit(f"//{host}")
            name = (parts.hostname or "").removesuffix(".")
            _ = parts.port  # raises where it is none
            if parts.netloc != host or "@" in host or not name:
                return False
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            return self._everywhere and bool(ip_address(name))
        except ValueError:
            return False


def _foreign(headers: Headers) -> bool:
    """Whether a browser says that another site's page sends this."""
    origin = headers.get("origin")
    if origin is None:  # no browser, or nothing but a link
        return False
    # A browser that knows both sides says so; behind a proxy Host may be another name.
    if headers.get("sec-fetch-site") == "same-origin":
        return False
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
