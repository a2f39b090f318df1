"""Add security headers to every response and reject requests that other sites cause."""

import re
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # after an update, do not mix new pages with cached scripts
}
SAFE_METHODS = {"GET", "HEAD"}
LOOPBACK_OF_WILDCARD = {"0.0.0.0": "127.0.0.1", "::": "::1"}
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
UNKNOWN_HOST = (
    "refused: the app is not served under this host name; open the address that kd app printed, "
    "or, if you use a proxy or forwarder, start it with: kd app --host {host} --allow-host {name}"
)
CROSS_ORIGIN = (
    "refused: the request was sent by a page of another site; if that is the address of your proxy "
    "or forwarder, start the app with: kd app --host {host} --allow-host {name}"
)


class SecurityMiddleware:
    """Adds SECURITY_HEADERS; rejects unknown host names and cross-origin requests with 403.

    After a page of another site was loaded, its host name may be pointed at this machine (DNS
    rebinding); the browser then treats the app as part of that site. Therefore only host names of
    this app are accepted. Numeric addresses cannot be rebound.
    """

    def __init__(
        self, app: ASGIApp, host: str = "127.0.0.1", allow_hosts: Sequence[str] = ()
    ) -> None:
        """Wrap ``app``, which is served at ``host`` and, by proxies, under ``allow_hosts``."""
        self._app, self._host = app, host
        # A name may be pasted as the address in the browser, or be *.name for all its subdomains.
        names = [name.lower().partition("://")[2] or name.lower() for name in allow_hosts]
        names = [name.partition("/")[0] for name in names]
        self._allowed = {_host_name(name) or name for name in names}
        self._any_address = host in LOOPBACK_OF_WILDCARD
        self._names = LOCAL_NAMES | {host.lower()} | self._allowed
        if self._any_address:
            name = socket.gethostname().lower()
            self._names |= {name, f"{name.partition('.')[0]}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(SECURITY_HEADERS)
            await send(message)

        headers, app = Headers(scope=scope), self._app
        host = headers.get("host", "")
        if not self.is_allowed_host(host):
            app = JSONResponse({"detail": self._refusal(host)}, 403)
        elif scope["method"] not in SAFE_METHODS and self._is_cross_origin(headers):
            origin = headers["origin"].partition("://")[2]
            app = JSONResponse({"detail": self._refusal(origin, CROSS_ORIGIN)}, 403)
        await app(scope, receive, send_with_headers)

    def is_allowed_host(self, host: str) -> bool:
        """Return whether a Host header names this app; the port does not matter."""
        name = _host_name(host)
        if name is None or name in self._names or self._is_listed(name):
            return name is not None
        try:
            return self._any_address and bool(ip_address(name))
        except ValueError:  # another name than a numeric address
            return False

    def _is_cross_origin(self, headers: Headers) -> bool:
        """Return whether a browser reports that a page of another site sends this request."""
        origin = headers.get("origin")
        if origin is None:  # not a browser, or a plain link
            return False
        # Behind a proxy the Host header may differ from the origin; the browser's verdict counts.
        if headers.get("sec-fetch-site") == "same-origin":
            return False
        host = origin.lower().partition("://")[2]
        return host != headers.get("host", "").lower() and not self._is_listed(
            _host_name(host) or ""
        )

    def _is_listed(self, name: str) -> bool:
        return name in self._allowed or any(
            each.startswith("*.") and name.endswith(each[1:]) for each in self._allowed
        )

    def _refusal(self, host: str, text: str = UNKNOWN_HOST) -> str:
        """Return the error that names the options with which ``host`` is accepted, too."""
        name = _host_name(host) or ""
        shown = name if re.fullmatch(r"[a-z0-9._-]{1,253}", name) else "NAME"
        return text.format(host=self._host, name=" --allow-host ".join([*self._allowed, shown]))


def _host_name(host: str) -> str | None:
    """Return the name in a Host header or at the end of an origin, without the port."""
    try:
        parts = urlsplit(f"//{host}")
        name = (parts.hostname or "").removesuffix(".")
        _ = parts.port  # raises ValueError if it is not a port
    except ValueError:
        return None
    return name if name and parts.netloc == host and "@" not in host else None
