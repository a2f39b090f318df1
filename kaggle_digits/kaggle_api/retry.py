"""How long Kaggle is waited for, and how often it is asked again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.errors import KaggleApiError
from kaggle_digits.kaggle_api.http import suppress_stdout, time_limits

T = TypeVar("T")
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class RetryPolicy:
    """Seconds and counts; what is not given follows from ``DEFAULT_TIMEOUT``.

    Attributes:
        connect_timeout: until a connection stands.
        read_timeout: of silence within an answer.
        call_timeout: for one whole call, whatever trickles in.
        slow_timeout: of a download that only trickles, before it is given up.
        max_attempts: how often a call is made in all.
        backoff: before the second try; doubled before each further one.
        max_retry_after: that Retry-After may ask for before we give up instead.
        poll_interval: between two looks at a submission's status.
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
        """All waits in proportion to ``timeout``, the seconds of silence that are borne.

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
    call: Callable[[], T], policy: RetryPolicy, note: Callable[[str], None], *, tries: int = 0
) -> T:
    """Make ``call`` until it succeeds, waiting longer each time, as long as that may help.

    Raises:
        KaggleApiError: the last one.
    """
    tries = tries or policy.max_attempts
    for attempt in range(1, tries + 1):
        try:
            return call()
        except KaggleApiError as error:
            pause = policy.backoff * 2 ** (attempt - 1)
            pause = pause if error.retry_after is None else error.retry_after
            if not error.retryable or attempt == tries or pause > policy.max_retry_after:
                raise
            reason = str(error).split(";", 1)[0]
            note(
                f"{reason}; trying again in {pause:.{int(pause < 1)}f} s ({attempt + 1} of {tries})"
            )
            time.sleep(pause)
    raise AssertionError("a call is made at least once")


def call_with_timeout(call: Callable[[], T], policy: RetryPolicy) -> T:
    """Make ``call`` with a limit on its whole time, its own chatter kept from stdout.

    The kaggle client sets no time-outs, and a time-out of a socket bounds neither a name that is
    never resolved nor an answer that trickles; so the call runs in a thread that can be left.

    Raises:
        TimeoutError: it was not done within ``policy.call_timeout`` seconds.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with suppress_stdout(), time_limits(policy.connect_timeout, policy.read_timeout):
                result.append(call())
        except BaseException as error:  # SystemExit too: the client exits where it finds nothing
            failure.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(policy.call_timeout)
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError
    return result[0]
