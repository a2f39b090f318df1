"""What became of a submission: settled against Kaggle's list, followed to its score."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.client import Kaggle, RemoteSubmission
from kaggle_digits.kaggle_api.errors import SUBMISSIONS_PAGE, AnswerError
from kaggle_digits.kaggle_api.submission_log import (
    COMPLETE,
    ERROR,
    PENDING,
    SENDING,
    Entry,
    change_log,
    read_log,
    replace_entry,
)


def settle(submissions_dir: Path, kaggle: Kaggle) -> list[Entry]:
    """Ask Kaggle what became of every entry whose end is not known, and log it.

    Returns:
        The entries that changed, as they are now.

    Raises:
        KaggleError: Kaggle could not be asked.
    """
    still_open = [e for e in read_log(submissions_dir) if e.status in (SENDING, PENDING)]
    if not still_open:
        return []
    listed = kaggle.submissions()
    changed: list[Entry] = []

    def change(entries: list[Entry]) -> list[Entry]:
        kept = []
        for entry in entries:
            found = match(entry, listed)
            if entry not in still_open:
                kept.append(entry)
            elif found is not None:
                kept.append(_as_found(entry, found))
                if kept[-1] != entry:
                    changed.append(kept[-1])
            # A little in the future: the clock of another machine, or set back meanwhile.
            elif entry.status == PENDING or abs(entry.age) < kaggle.patience.grace:
                kept.append(entry)
            # else it was never sent: the process was killed before, or the call was lost
        return kept

    change_log(submissions_dir, change)
    return changed


def wait(entry: Entry, *, kaggle: Kaggle, submissions_dir: Path) -> Entry:
    """Ask for the entry's status until Kaggle has scored it, and log it.

    Returns:
        The entry, ``complete``, with its public score.

    Raises:
        KaggleError: Kaggle rejected it (with the reason), could not be asked any more, or took
            longer than ``patience.score``.
    """
    if entry.ref is None:
        raise KaggleError(
            f"it is not known yet whether {entry.file} arrived; ask again with: kd submit"
        )
    deadline = time.monotonic() + kaggle.patience.score
    while True:
        try:
            found = kaggle.submission(entry.ref)
        except AnswerError as error:
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
                f"{kaggle.patience.score:.0f} s; see {SUBMISSIONS_PAGE}, or ask again with: "
                f"kd submit {entry.file} --wait"
            )
        time.sleep(kaggle.patience.poll)


def match(entry: Entry, listed: list[RemoteSubmission]) -> RemoteSubmission | None:
    """The submission at Kaggle that ``entry`` is about, by its ref or its tag."""
    for one in listed:
        if entry.ref == one.ref or (entry.tag and one.description.rstrip().endswith(entry.tag)):
            return one
    return None


def _as_found(entry: Entry, found: RemoteSubmission) -> Entry:
    status = {"COMPLETE": COMPLETE, "ERROR": ERROR}.get(found.status, PENDING)
    return replace(entry, ref=found.ref, status=status, public_score=found.public_score)
