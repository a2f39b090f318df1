"""kd remote status: how a pushed notebook stands at Kaggle."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.notebooks import CANCELLED, COMPLETE, FAILED, QUEUED, RUNNING


@dataclass(frozen=True)
class PushStatus:
    """How a push stands.

    Attributes:
        push: its record.
        state: queued, running, complete, failed or cancelled.
        failure: Kaggle's words.
        stale: whether this is still said of an earlier version.
    """

    push: push_record.PushRecord
    state: str
    failure: str
    stale: bool

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.state in (COMPLETE, FAILED, CANCELLED) and not self.stale


def get_status(push: push_record.PushRecord, kernels: NotebookClient) -> PushStatus:
    """Ask Kaggle how ``push`` stands."""
    found = kernels.state(push.ref)
    stale = False
    if found.state not in (QUEUED, RUNNING) and push.version is not None:
        shown = kernels.version(push.ref)
        stale = shown is not None and shown < push.version
    return PushStatus(push, found.state, found.failure, stale)


def wait(
    push: push_record.PushRecord, kernels: NotebookClient, news: Callable[[PushStatus], None]
) -> PushStatus:
    """Ask until the session has ended; ``news`` is told of each change.

    Raises:
        KaggleError: it takes longer than the session may, and as long again in the queue.
    """
    deadline = time.monotonic() + 2 * 3600 * (push.hours + 1)
    last = None
    while True:
        now = get_status(push, kernels)
        if now != last:
            news(now)
            last = now
        if now.ended:
            return now
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{push.ref} has not ended in all this time; look at {push.url}, or ask again: "
                f"kd remote status {push.run}"
            )
        time.sleep(4 * kernels.policy.poll_interval)  # hours are waited for


def earlier_version_error(push: push_record.PushRecord) -> KaggleError:
    """What is said while Kaggle still speaks of the version before this push."""
    return KaggleError(
        f"Kaggle still shows the earlier version of {push.ref}; wait a little: "
        f"kd remote status {push.run} --wait, then pull again"
    )
