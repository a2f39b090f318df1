"""Time-outs and retries for calls to Kaggle."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.errors import KaggleApiError

T = TypeVar("T")
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """Time-outs in seconds and the number of attempts.

    Attributes:
        connect_timeout: to open a connection.
        read_timeout: between two packets of a response.
        call_timeout: for one complete call.
        slow_timeout: after which a download below the minimum speed is aborted.
        max_attempts: calls in all, the first included.
        backoff: before the second attempt; doubled before each further one.
        max_retry_after: the longest Retry-After to wait for; a longer one is an error.
        poll_interval: between two requests for a submission's status.
        score_timeout: for a submission to be scored.
        unlisted_timeout: after which an unconfirmed submission that Kaggle does not list counts as
            never received; longer than ``call_timeout``, so that no call is still in progress.
    """

    connect_timeout: float = 10.0
    read_timeout: float = DEFAULT_TIMEOUT
    call_timeout: float = 3 * DEFAULT_TIMEOUT
    slow_timeout: float = 2 * DEFAULT_TIMEOUT
    max_attempts: int = 4
    backoff: float = 1.0
    max_retry_after: float = 300.0
    poll_interval: float = 5.0
    score_timeout: float = 900.0
    unlisted_timeout: float = 4 * DEFAULT_TIMEOUT

    @classmethod
    def from_timeout(cls, timeout: float) -> RetryPolicy:
        """Scale all time-outs with ``timeout``, the read time-out in seconds.

        Raises:
            UsageError: it is not a positive number.
        """
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


def retry(
    call: Callable[[], T],
    policy: RetryPolicy,
    note: Callable[[str], None],
    *,
    attempts: int | None = None,
) -> T:
    """Make ``call`` until it succeeds or fails for good, with exponential backoff.

    This is our own loop and not urllib3's Retry, because a truncated response or a web page with
    status 200 is worth another attempt too, and because the user is told of each attempt.

    Args:
        call: the call; only a KaggleApiError with ``retryable`` is retried.
        policy: pauses and the number of attempts.
        note: is given one line for each retry.
        attempts: overrides ``policy.max_attempts``.

    Raises:
        KaggleApiError: the last attempt failed.
    """
    attempts = attempts or policy.max_attempts
    attempt = 1
    while True:
        try:
            return call()
        except KaggleApiError as error:
            pause = policy.backoff * 2 ** (attempt - 1)
            if error.retry_after is not None:
                pause = error.retry_after
            if not error.retryable or attempt == attempts or pause > policy.max_retry_after:
                raise
            attempt += 1
            reason = str(error).split(";", 1)[0]
            seconds = f"{pause:.{int(pause < 1)}f} s"
            note(f"{reason}; trying again in {seconds} ({attempt} of {attempts})")
            time.sleep(pause)


def call_with_timeout(call: Callable[[], T], seconds: float) -> T:
    """Make ``call`` in a thread that is abandoned after ``seconds``.

    A socket's time-out limits neither name resolution nor a response that arrives byte by byte.

    Raises:
        TimeoutError: the call did not return in time.
    """
    result: list[T] = []
    failure: list[Exception] = []

    def work() -> None:
        try:
            result.append(call())
        except Exception as error:
            failure.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(seconds)
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError
    return result[0]
