"""What became of a submission: settled against Kaggle's list, followed to its score."""

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
    """Ask Kaggle what became of every entry whose end is not known, and log it.

    Returns:
        The entries that changed, as they are now.

    Raises:
        KaggleError: Kaggle could not be asked.
    """
    still_open = [e for e in read_log(submissions_dir) if e.status in (SENDING, PENDING)]
    if not still_open:
        return []
    listed = kaggle.list_submissions()
    changed: list[LogEntry] = []

    def change(entries: list[LogEntry]) -> list[LogEntry]:
        kept = []
        for entry in entries:
            found = find_listed(entry, listed)
            if entry not in still_open:
                kept.append(entry)
            elif found is not None:
                kept.append(_as_found(entry, found))
                if kept[-1] != entry:
                    changed.append(kept[-1])
            # A little in the future: the clock of another machine, or set back meanwhile.
            elif entry.status == PENDING or abs(entry.age) < kaggle.policy.unlisted_timeout:
                kept.append(entry)
            # else it was never sent: the process was killed before, or the call was lost
        return kept

    update_log(submissions_dir, change)
    return changed


def wait_for_score(
    entry: LogEntry, *, kaggle: CompetitionClient, submissions_dir: Path
) -> LogEntry:
    """Ask for the entry's status until Kaggle has scored it, and log it.

    Returns:
        The entry, ``complete``, with its public score.

    Raises:
        KaggleError: Kaggle rejected it (with the reason), could not be asked any more, or took
            longer than ``policy.score_timeout``.
    """
    if entry.ref is None:
        raise KaggleError(
            f"it is not known yet whether {entry.file} arrived; ask again with: kd submit"
        )
    deadline = time.monotonic() + kaggle.policy.score_timeout
    while True:
        try:
            found = kaggle.get_submission(entry.ref)
        except KaggleApiError as error:
            raise KaggleError(
                f"{entry.file} is submitted (ref {entry.ref}), but its score could not be asked "
                f"for: {error}; later: kd submit {entry.file} --wait"
            ) from error
        newer = _as_found(entry, found)
        if newer != entry:
            replace_entry(submissions_dir, entry, newer)
            entry = newer
        if entry.status == ERROR:
            reason = found.error or "no reason given"
            raise KaggleError(
                f"Kaggle rejected {entry.file} (ref {entry.ref}): {reason}; see {SUBMISSIONS_PAGE}"
            )
        if entry.status == COMPLETE:
            return entry
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{entry.file} is submitted (ref {entry.ref}) but not scored after "
                f"{kaggle.policy.score_timeout:.0f} s; see {SUBMISSIONS_PAGE}, or ask again with: "
                f"kd submit {entry.file} --wait"
            )
        time.sleep(kaggle.policy.poll_interval)


def find_listed(entry: LogEntry, listed: list[RemoteSubmission]) -> RemoteSubmission | None:
    """The submission at Kaggle that ``entry`` is about, by its ref or its tag."""
    for one in listed:
        if entry.ref == one.ref or (entry.tag and one.description.rstrip().endswith(entry.tag)):
            return one
    return None


def _as_found(entry: LogEntry, found: RemoteSubmission) -> LogEntry:
    status = {"COMPLETE": COMPLETE, "ERROR": ERROR}.get(found.status, PENDING)
    return replace(entry, ref=found.ref, status=status, public_score=found.public_score)
