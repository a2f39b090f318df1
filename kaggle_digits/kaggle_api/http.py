"""HTTP requests with time-outs that never carry a credential to another host."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from kaggle_digits.kaggle_api.errors import CrossHostRedirect
from kaggle_digits.kaggle_api.retry import RetryPolicy

BODY_IS_RESENT = (307, 308)


class TimeoutAdapter(HTTPAdapter):
    """Apply time-outs to every request and check where a redirect leads.

    requests removes the Authorization header if a redirect leads to another host, but kagglesdk
    also sends tokens in request bodies. So only file downloads (``stream=True``) may be redirected
    to another host, and only without a body.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__()
        self._timeout = (policy.connect_timeout, policy.read_timeout)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send ``request``.

        Raises:
            CrossHostRedirect: the response redirects a call to another host.
        """
        kwargs["timeout"] = self._timeout
        response = super().send(request, *args, **kwargs)
        if response.is_redirect:
            resends_body = request.body is not None and response.status_code in BODY_IS_RESENT
            source = urlsplit(request.url)
            try:
                target = urlsplit(urljoin(request.url, response.headers["location"]))
                same_host = (target.scheme, target.netloc.lower()) == (
                    source.scheme,
                    source.netloc.lower(),
                )
                host = target.hostname or "?"
            except ValueError:
                same_host, host = False, "?"
            if not same_host and (resends_body or not kwargs.get("stream")):
                response.close()
                raise CrossHostRedirect(host)
        return response


def mount_timeouts(session: requests.Session, policy: RetryPolicy) -> None:
    """Make every request of ``session`` use TimeoutAdapter."""
    for prefix in ("https://", "http://"):
        session.mount(prefix, TimeoutAdapter(policy))


def send_request(method: str, url: str, policy: RetryPolicy, **kwargs: Any) -> requests.Response:
    """Make one request without credentials; ``kwargs`` as for requests.request.

    Raises:
        requests.RequestException: it failed. The status of the response is not checked.
        CrossHostRedirect: the response redirects to another host.
    """
    with requests.Session() as session:
        mount_timeouts(session, policy)
        return session.request(method, url, **kwargs)
