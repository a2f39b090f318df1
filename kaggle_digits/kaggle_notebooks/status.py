"""kd remote status: the state of a pushed notebook on Kaggle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks.api import (
    CANCELLED,
    COMPLETE,
    FAILED,
    QUEUED,
    RUNNING,
    NotebookClient,
)
from kaggle_digits.kaggle_notebooks.push_record import PushRecord


@dataclass(frozen=True)
class PushStatus:
    """The state of a push on Kaggle.

    Attributes:
        push: its record.
        state: queued, running, complete, failed or cancelled.
        failure: Kaggle's message if it failed.
        stale: whether Kaggle still shows the state of an earlier version.
    """

    push: PushRecord
    state: str
    failure: str
    stale: bool

    @property
    def ended(self) -> bool:
        """Whether the session of this push has ended."""
        return self.state in (COMPLETE, FAILED, CANCELLED) and not self.stale


def get_status(push: PushRecord, client: NotebookClient) -> PushStatus:
    """Ask Kaggle for the state of ``push``."""
    state, failure = client.session_state(push.ref)
    stale = False
    if state not in (QUEUED, RUNNING) and push.version is not None:
        version = client.version(push.ref)
        stale = version is not None and version < push.version
    return PushStatus(push, state, failure, stale)


def wait(
    push: PushRecord, client: NotebookClient, on_change: Callable[[PushStatus], None]
) -> PushStatus:
    """Poll until the session has ended; call ``on_change`` with each new status.

    Raises:
        KaggleError: it takes more than twice its time limit, half of which allows for the queue.
    """
    deadline = time.monotonic() + 2 * 3600 * (push.hours + 1)
    previous = None
    while True:
        status = get_status(push, client)
        if status != previous:
            on_change(status)
            previous = status
        if status.ended:
            return status
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{push.ref} has not ended in twice its time limit; look at {push.url}, or ask "
                f"again: kd remote status {push.run}"
            )
        time.sleep(4 * client.policy.poll_interval)  # a session takes hours


def earlier_version_error(push: PushRecord) -> KaggleError:
    """Return the error for a push whose notebook Kaggle still shows in an earlier version."""
    return KaggleError(
        f"Kaggle still shows the earlier version of {push.ref}; wait a little: "
        f"kd remote status {push.run} --wait, then pull again"
    )
