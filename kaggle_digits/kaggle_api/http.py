"""HTTP requests with time-outs and resumable downloads; no credential reaches another host."""

import math
import os
import ssl
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from kaggle_digits.core.atomic_io import read_json, wrap_os_errors, write_json
from kaggle_digits.core.errors import KaggleError, UsageError
from kaggle_digits.core.progress import Progress
from kaggle_digits.kaggle_api.errors import CrossHostRedirect, KaggleApiError, NotJsonError
from kaggle_digits.kaggle_api.network_problems import ca_variable

T = TypeVar("T")
DEFAULT_TIMEOUT = 30.0
CHUNK_SIZE = 1 << 18
MIN_BYTES_PER_SECOND = 4096  # of a download; at this speed train.csv takes five hours


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

    @classmethod
    def from_timeout(cls, timeout: float) -> Self:
        """Scale all time-outs with ``timeout``, the read time-out: a positive number."""
        if not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"`timeout={timeout:g}`: seconds above 0 are expected")
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

    The proxy and the certificates are those of the environment; it raises as ``certificates``.

    requests removes the Authorization header if a redirect leads to another host, but kagglesdk
    also sends tokens in request bodies. So only file downloads (``stream=True``) may be redirected
    to another host, and only without a body.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        super().__init__()
        self._timeout = (policy.connect_timeout, policy.read_timeout)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["timeout"] = self._timeout
        kwargs["proxies"] = requests.utils.get_environ_proxies(request.url)
        if request.url.lower().startswith("https:"):
            kwargs["verify"] = certificates()
        response = super().send(request, *args, **kwargs)
        if response.is_redirect:
            source = urlsplit(request.url)
            target = urlsplit(urljoin(request.url, response.headers["location"]))
            hosts = {(url.scheme, url.netloc.lower()) for url in (source, target)}
            resends_body = request.body is not None and response.status_code in (307, 308)
            if len(hosts) > 1 and (resends_body or not kwargs.get("stream")):
                response.close()
                raise CrossHostRedirect(target.hostname or "?")
        return response


def certificates() -> str | bool:
    """Return the user's file or folder of certificates, or True for the usual ones.

    KaggleApiError: they cannot be used.
    """
    if not (variable := ca_variable()):
        return True
    path = Path(os.environ[variable])
    try:
        if not path.is_dir():
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except OSError as error:  # also SSLError
        raise KaggleApiError(
            f"{path}, named by {variable}, is no file of certificates in PEM format "
            f"({error.strerror}); correct or unset {variable}, then run it again",
            not_applied=True,
        ) from error
    return str(path)


def mount_timeouts(session: requests.Session, policy: RetryPolicy) -> None:
    """Make every request of ``session`` use TimeoutAdapter.

    Credentials in ~/.netrc are ignored: after a redirect they would replace Kaggle's.
    """
    session.trust_env = False
    for prefix in ("https://", "http://"):
        session.mount(prefix, TimeoutAdapter(policy))


def send_request(method: str, url: str, policy: RetryPolicy, **kwargs: Any) -> requests.Response:
    """Make one request without credentials, as requests.request; the status is not checked.

    Raises CrossHostRedirect if the response redirects to another host.
    """
    with requests.Session() as session:
        mount_timeouts(session, policy)
        return session.request(method, url, **kwargs)


def save_response(
    response: Any,
    name: str,
    folder: Path,
    *,
    policy: RetryPolicy,
    progress: Progress,
    expected_size: int = 0,
    max_size: int | None = None,
) -> Path:
    """Save the body of ``response``, an open, streaming response of requests, in ``folder``.

    An interrupted download leaves ``<name>.part`` and ``<name>.part.json`` with the ETag. The next
    call resumes it with a Range request if the server still has the same version of the file.
    ``expected_size`` is the size in bytes as Kaggle lists it, 0 if unknown. Returns the complete
    file, named as in the URL if that is ``name`` or ``name`` with .zip.

    Raises:
        KaggleApiError: the body is incomplete, has the wrong size or is too slow.
        KaggleError: the file has more than ``max_size`` bytes.
        NotJsonError: the body is a web page.
        urllib3.exceptions.HTTPError: the connection broke.
    """
    if "text/html" in response.headers.get("Content-Type", ""):
        response.close()
        raise NotJsonError("a web page instead of a file")
    served_name = unquote(Path(urlsplit(response.url).path).name)
    target = folder / (served_name if served_name in (name, f"{name}.zip") else name)
    part = folder / f"{target.name}.part"
    etag_file, etag = folder / f"{target.name}.part.json", response.headers.get("ETag", "")
    response, start = _resume(response, part, etag_file, etag, policy)
    total, length = expected_size or None, response.headers.get("Content-Length", "")
    # The length of an encoded body is not the length of the file.
    if length.isdigit() and "Content-Encoding" not in response.headers:
        total = start + int(length)
    done, began = start, time.monotonic()
    with wrap_os_errors(part):
        write_json(etag_file, etag, durable=False)
        with part.open("ab" if start else "wb") as out:
            progress.update(name, done, total)
            # As the body arrives, so that a slow download is noticed early.
            read = partial(response.raw.read1, CHUNK_SIZE, decode_content=True)
            for chunk in iter(read, b""):
                if max_size is not None and max(done + len(chunk), total or 0) > max_size:
                    raise KaggleError(
                        f"{name} is larger than the {max_size:,} bytes expected; look at the "
                        "notebook's page, then push again"
                    )
                out.write(chunk)
                done += len(chunk)
                progress.update(name, done, total)
                seconds = max(time.monotonic() - began, 1e-9)
                too_slow = (done - start) / seconds < MIN_BYTES_PER_SECOND
                if seconds > policy.slow_timeout and too_slow:
                    raise KaggleApiError(
                        f"{name} arrives too slowly ({done:,} bytes in {seconds:.0f} s); on a "
                        "better connection, run the same command again to resume it"
                    )
    complete = total is None or done == total
    # Only the size of the CSV itself is listed, not that of its zip.
    wrong_size = target.suffix == ".csv" and expected_size and done != expected_size
    if not complete or wrong_size:
        if complete:  # resuming cannot repair it
            part.unlink()
            etag_file.unlink()
        raise KaggleApiError(
            f"{name} has {done:,} bytes instead of {expected_size or total:,}; run it again",
            retryable=True,
        )
    with wrap_os_errors(target):
        part.replace(target)
    etag_file.unlink(missing_ok=True)
    return target


def _resume(
    response: Any, part: Path, etag_file: Path, etag: str, policy: RetryPolicy
) -> tuple[Any, int]:
    """Return the response to read and its first byte: not 0 if ``part`` is of the same version."""
    try:
        start = part.stat().st_size if read_json(etag_file) == etag else 0
    except (OSError, ValueError):
        start = 0
    if not (start and etag and response.headers.get("Accept-Ranges") == "bytes"):
        return response, 0
    headers = {"Range": f"bytes={start}-", "If-Range": etag, "Accept-Encoding": "identity"}
    rest = send_request("GET", response.url, policy, headers=headers, stream=True)
    content_range = rest.headers.get("Content-Range", "")
    if rest.status_code == 206 and content_range.startswith(f"bytes {start}-"):
        response.close()
        return rest, start
    rest.close()
    return response, 0
