"""HTTP requests with time-outs that never carry a credential to another host."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.errors import CrossHostRedirect

T = TypeVar("T")
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """Time-outs and pauses in seconds, and the number of attempts."""

    connect_timeout: float = 10.0
    read_timeout: float = DEFAULT_TIMEOUT  # between two packets of a response
    call_timeout: float = 3 * DEFAULT_TIMEOUT  # for one complete call
    slow_timeout: float = 2 * DEFAULT_TIMEOUT  # then a download below the minimum speed is aborted
    max_attempts: int = 4  # calls in all, the first included
    backoff: float = 1.0  # before the second attempt; doubled before each further one
    max_retry_after: float = 300.0  # a longer Retry-After is an error
    poll_interval: float = 5.0  # between two requests for a submission's status
    score_timeout: float = 900.0  # for a submission to be scored
    # Then an unconfirmed submission that Kaggle does not list counts as never received; longer than
    # call_timeout, so that no call is still in progress.
    unlisted_timeout: float = 4 * DEFAULT_TIMEOUT

    @classmethod
    def from_timeout(cls, timeout: float) -> RetryPolicy:
        """Scale all time-outs with ``timeout``, the read time-out: a positive number."""
        if not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"--timeout {timeout:g}: seconds above 0 are expected")
        scale = timeout / DEFAULT_TIMEOUT
        return cls(
            connect_timeout=min(timeout, cls.connect_timeout),
            read_timeout=timeout,
            call_timeout=3 * timeout,
            slow_timeout=2 * timeout,
            backoff=min(cls.backoff, cls.backoff * scale),
            max_retry_after=cls.max_retry_after * scale,
            poll_interval=min(cls.poll_interval, cls.poll_interval * scale),
            score_timeout=cls.score_timeout * scale,
            unlisted_timeout=4 * timeout,
        )


def call_with_timeout(call: Callable[[], T], seconds: float) -> T:
    """Make ``call`` in a thread that is abandoned after ``seconds`` with a TimeoutError.

    A socket's time-out limits neither name resolution nor a response that arrives byte by byte.
    An executor of concurrent.futures would wait for the abandoned thread when Python exits.
    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except Exception as error:
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return result.result(seconds)


class TimeoutAdapter(HTTPAdapter):
    """Apply time-outs to every request; raise CrossHostRedirect for a call sent to another host.

    requests removes the Authorization header if a redirect leads to another host, but kagglesdk
    also sends tokens in request bodies. So only file downloads (``stream=True``) may be redirected
    to another host, and only without a body.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__()
        self._timeout = (policy.connect_timeout, policy.read_timeout)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = self._timeout
        response = super().send(request, *args, **kwargs)
        if response.is_redirect:
            host = _other_host(request.url, response.headers["location"])
            resends_body = request.body is not None and response.status_code in (307, 308)
            if host and (resends_body or not kwargs.get("stream")):
                response.close()
                raise CrossHostRedirect(host)
        return response


def _other_host(url: str, location: str) -> str | None:
    """Return the host to which ``location`` leads; None if it is the same as that of ``url``."""
    source = urlsplit(url)
    try:
        target = urlsplit(urljoin(url, location))
        host = target.hostname or "?"
    except ValueError:
        return "?"
    same = (target.scheme, target.netloc.lower()) == (source.scheme, source.netloc.lower())
    return None if same else host


def mount_timeouts(session: requests.Session, policy: RetryPolicy) -> None:
    """Make every request of ``session`` use TimeoutAdapter."""
    for prefix in ("https://", "http://"):
        session.mount(prefix, TimeoutAdapter(policy))


def send_request(method: str, url: str, policy: RetryPolicy, **kwargs: Any) -> requests.Response:
    """Make one request without credentials, as requests.request; the status is not checked.

    Raises CrossHostRedirect if the response redirects to another host.
    """
    with requests.Session() as session:
        mount_timeouts(session, policy)
        return session.request(method, url, **kwargs)
