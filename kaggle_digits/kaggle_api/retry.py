"""How long Kaggle is waited for, and how often it is asked again."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kaggle_digits.core.errors import UsageError
from kaggle_digits.kaggle_api.errors import AnswerError
from kaggle_digits.kaggle_api.http import muffled, time_limits

T = TypeVar("T")
DEFAULT_TIMEOUT = 30.0


@dataclass(frozen=True)
class Patience:
    """Seconds and counts; what is not given follows from ``DEFAULT_TIMEOUT``.

    Attributes:
        connect: until a connection stands.
        read: of silence within an answer.
        call: for one whole call, whatever trickles in.
        slow: of a download that only trickles, before it is given up.
        tries: how often a call is made in all.
        first_pause: before the second try; doubled before each further one.
        longest_pause: that Retry-After may ask for before we give up instead.
        poll: between two looks at a submission's status.
        score: for a submission to be scored.
        grace: after which an unanswered submission that Kaggle does not list never arrived; more
            than ``call``, so that no call that could still submit it is under way.
    """

    connect: float = 10.0
    read: float = DEFAULT_TIMEOUT
    call: float = 3 * DEFAULT_TIMEOUT
    slow: float = 2 * DEFAULT_TIMEOUT
    tries: int = 4
    first_pause: float = 1.0
    longest_pause: float = 300.0
    poll: float = 5.0
    score: float = 900.0
    grace: float = 4 * DEFAULT_TIMEOUT

    @classmethod
    def of(cls, timeout: float) -> Patience:
        """All waits in proportion to ``timeout``, the seconds of silence that are borne.

        Raises:
            UsageError: it is not a positive number.
        """
        if not (math.isfinite(timeout) and timeout > 0):
            raise UsageError(f"--timeout {timeout:g}: seconds above 0 are expected")
        scale = timeout / DEFAULT_TIMEOUT
        return cls(
            connect=min(timeout, cls.connect),
            read=timeout,
            call=3 * timeout,
            slow=2 * timeout,
            first_pause=min(cls.first_pause, cls.first_pause * scale),
            longest_pause=cls.longest_pause * scale,
            poll=min(cls.poll, cls.poll * scale),
            score=cls.score * scale,
            grace=4 * timeout,
        )


def persist(
    call: Callable[[], T], patience: Patience, note: Callable[[str], None], *, tries: int = 0
) -> T:
    """Make ``call`` until it succeeds, waiting longer each time, as long as that may help.

    Raises:
        AnswerError: the last one.
    """
    tries = tries or patience.tries
    for attempt in range(1, tries + 1):
        try:
            return call()
        except AnswerError as error:
            pause = patience.first_pause * 2 ** (attempt - 1)
            pause = pause if error.pause is None else error.pause
            if not error.again or attempt == tries or pause > patience.longest_pause:
                raise
            reason = str(error).split(";", 1)[0]
            note(
                f"{reason}; trying again in {pause:.{int(pause < 1)}f} s ({attempt + 1} of {tries})"
            )
            time.sleep(pause)
    raise AssertionError("a call is made at least once")


def bounded(call: Callable[[], T], patience: Patience) -> T:
    """Make ``call`` with a limit on its whole time, its own chatter kept from stdout.

    The kaggle client sets no time-outs, and a time-out of a socket bounds neither a name that is
    never resolved nor an answer that trickles; so the call runs in a thread that can be left.

    Raises:
        TimeoutError: it was not done within ``patience.call`` seconds.
    """
    result: list[T] = []
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with muffled(), time_limits(patience.connect, patience.read):
                result.append(call())
        except BaseException as error:  # SystemExit too: the client exits where it finds nothing
            failure.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    worker.join(patience.call)
    if failure:
        raise failure[0]
    if not result:
        raise TimeoutError
    return result[0]
