"""Find out what became of submissions: compare the log with Kaggle's list, wait for the score."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteSubmission
from kaggle_digits.kaggle_api.errors import SUBMISSIONS_PAGE, KaggleApiError
from kaggle_digits.kaggle_api.submission_log import (
    COMPLETE,
    ERROR,
    PENDING,
    SENDING,
    LogEntry,
    read_log,
    replace_entry,
    update_log,
)


def reconcile(submissions_dir: Path, kaggle: CompetitionClient) -> list[LogEntry]:
    """Update the unfinished entries of the log from Kaggle's list of submissions.

    An entry ``sending`` that Kaggle does not list after ``policy.unlisted_timeout`` is removed:
    its process was killed before the call, or the call was lost.

    Returns:
        The entries that changed, as they are now.

    Raises:
        KaggleError: Kaggle could not be asked.
    """
    unfinished = [e for e in read_log(submissions_dir) if e.status in (SENDING, PENDING)]
    if not unfinished:
        return []
    listed = kaggle.list_submissions()
    changed: list[LogEntry] = []

    def change(entries: list[LogEntry]) -> list[LogEntry]:
        result = []
        for entry in entries:
            submission = find_listed(entry, listed) if entry in unfinished else None
            if submission is not None:
                updated = _update(entry, submission)
                result.append(updated)
                if updated != entry:
                    changed.append(updated)
            # The absolute value, because the clock may have been set back since.
            elif (
                entry not in unfinished
                or entry.status == PENDING
                or abs(entry.age) < kaggle.policy.unlisted_timeout
            ):
                result.append(entry)
        return result

    update_log(submissions_dir, change)
    return changed


def wait_for_score(
    entry: LogEntry, *, kaggle: CompetitionClient, submissions_dir: Path
) -> LogEntry:
    """Poll the entry's status until Kaggle has scored it, and log every change.

    Returns:
        The entry, ``complete``, with its public score.

    Raises:
        KaggleError: Kaggle rejected it (with the reason), could not be reached any more, or took
            longer than ``policy.score_timeout``.
    """
    if entry.ref is None:
        raise KaggleError(
            f"it is not known yet whether Kaggle received {entry.file}; check again with: kd submit"
        )
    deadline = time.monotonic() + kaggle.policy.score_timeout
    while True:
        try:
            submission = kaggle.get_submission(entry.ref)
        except KaggleApiError as error:
            raise KaggleError(
                f"{entry.file} is submitted (ref {entry.ref}), but its score could not be read: "
                f"{error}; later: kd submit {entry.file} --wait"
            ) from error
        updated = _update(entry, submission)
        if updated != entry:
            replace_entry(submissions_dir, entry, updated)
            entry = updated
        if entry.status == ERROR:
            reason = submission.error or "no reason given"
            raise KaggleError(
                f"Kaggle rejected {entry.file} (ref {entry.ref}): {reason}; see {SUBMISSIONS_PAGE}"
            )
        if entry.status == COMPLETE:
            return entry
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{entry.file} is submitted (ref {entry.ref}) but not scored after "
                f"{kaggle.policy.score_timeout:.0f} s; see {SUBMISSIONS_PAGE}, or wait again with: "
                f"kd submit {entry.file} --wait"
            )
        time.sleep(kaggle.policy.poll_interval)


def find_listed(entry: LogEntry, listed: list[RemoteSubmission]) -> RemoteSubmission | None:
    """Return the submission in Kaggle's list with the entry's ref or tag."""
    for submission in listed:
        has_tag = entry.tag and submission.description.rstrip().endswith(entry.tag)
        if entry.ref == submission.ref or has_tag:
            return submission
    return None


def _update(entry: LogEntry, submission: RemoteSubmission) -> LogEntry:
    status = {"COMPLETE": COMPLETE, "ERROR": ERROR}.get(submission.status, PENDING)
    return replace(entry, ref=submission.ref, status=status, public_score=submission.public_score)
