"""Submit a validated file exactly once and log it.

An entry ``sending`` is logged before Kaggle is asked to submit, and the description ends in a
unique tag. If the process is killed in between, the next kd submit looks for the tag in Kaggle's
list and so finds out whether the submission arrived.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import replace
from pathlib import Path

from kaggle_digits.core.errors import KaggleError, StorageError, SubmissionError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.errors import KaggleApiError, one_line
from kaggle_digits.kaggle_api.status import find_listed, reconcile
from kaggle_digits.kaggle_api.submission_log import (
    ERROR,
    PENDING,
    SENDING,
    LogEntry,
    read_log,
    replace_entry,
    update_log,
    utc_now,
)
from kaggle_digits.kaggle_api.validate import ValidatedSubmission


def submit(
    submission: ValidatedSubmission,
    *,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None = None,
    force: bool = False,
) -> LogEntry:
    """Submit a file and log it; the same bytes are submitted only once, unless ``force``.

    Args:
        submission: the result of ``validate_submission``.
        kaggle: the competition.
        submissions_dir: the folder of log.csv.
        message: the description; by default the run and its validation accuracy.
        force: submit bytes that were submitted before.

    Returns:
        Its log entry, ``pending``.

    Raises:
        SubmissionError: these bytes were submitted before, or the file has changed since it was
            validated.
        KaggleError: Kaggle rejected it, or it is not known whether it arrived; then the log keeps
            an entry ``sending`` that ``reconcile`` resolves.
        StorageError: the log cannot be written; nothing was submitted.
    """
    reconcile(submissions_dir, kaggle)
    content = submission.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != submission.sha256:
        raise SubmissionError(f"{submission.path} changed while it was checked; run it again")
    entry = _log_sending(submission, kaggle, submissions_dir, message, force=force)
    try:
        token = kaggle.upload(submission.path.name, content)
        entry = _renew(entry, submissions_dir)
    except BaseException:
        replace_entry(submissions_dir, entry, None)  # nothing was submitted
        raise
    try:
        ref = kaggle.create_submission(token, entry.message)
    except KaggleApiError as error:
        if error.not_applied:
            replace_entry(submissions_dir, entry, None)
            raise
        ref = _find_unconfirmed(error, entry, kaggle)
    pending = replace(entry, ref=ref, status=PENDING)
    try:
        replace_entry(submissions_dir, entry, pending)
    except (StorageError, SubmissionError) as error:
        raise type(error)(
            f"{entry.file} was submitted (ref {ref}), but this cannot be logged: {error} (the next "
            "kd submit logs it)"
        ) from error
    return pending


def find_duplicate(submission: ValidatedSubmission, submissions_dir: Path) -> LogEntry | None:
    """Return the last entry with the same bytes that Kaggle has not rejected."""
    return _last_entry(submission, read_log(submissions_dir))


def default_description(submission: ValidatedSubmission) -> str:
    """Describe a submission by its run and the accuracy on validation rows."""
    origin = submission.origin
    if origin is None:
        return submission.path.name
    if origin.accuracy is None:
        return f"{submission.run}: trained on all rows, none held out"
    rows = f"{origin.n_val:,} rows"
    return f"{submission.run}: validation accuracy {100 * origin.accuracy:.2f} % on {rows}"


def _last_entry(submission: ValidatedSubmission, entries: list[LogEntry]) -> LogEntry | None:
    same = [e for e in entries if e.sha256 == submission.sha256 and e.status != ERROR]
    return same[-1] if same else None


def _log_sending(
    submission: ValidatedSubmission,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None,
    *,
    force: bool,
) -> LogEntry:
    """Log the entry ``sending``, unless the same bytes are logged already."""
    tag = f"[kd {submission.sha256[:8]}{secrets.token_hex(4)}]"
    entry = LogEntry(
        time=utc_now(),
        file=submission.path.name,
        sha256=submission.sha256,
        run=submission.run,
        oof_accuracy=submission.origin.accuracy if submission.origin else None,
        n_val=submission.origin.n_val if submission.origin else None,
        ref=None,
        status=SENDING,
        public_score=None,
        message=f"{one_line(message or default_description(submission))} {tag}",
    )

    def add(entries: list[LogEntry]) -> list[LogEntry]:
        duplicate = _last_entry(submission, entries)
        if duplicate is not None and not force:
            raise SubmissionError(
                _duplicate_message(submission.path, duplicate, kaggle.policy.unlisted_timeout)
            )
        return [*entries, entry]

    update_log(submissions_dir, add)
    return entry


def _renew(entry: LogEntry, submissions_dir: Path) -> LogEntry:
    """Set the entry's time to now, unless another process has removed it as abandoned."""
    renewed = replace(entry, time=utc_now())

    def renew(entries: list[LogEntry]) -> list[LogEntry]:
        if entry not in entries:
            raise SubmissionError(
                f"another kd has removed the log entry of {entry.file}; nothing was submitted, "
                "run it again"
            )
        return [renewed if one == entry else one for one in entries]

    update_log(submissions_dir, renew)
    return renewed


def _duplicate_message(path: Path, entry: LogEntry, unlisted_timeout: float) -> str:
    if entry.status == SENDING:
        seconds = max(1, round(unlisted_timeout - entry.age))
        return (
            f"{path} is being submitted, or was and Kaggle does not list it yet; run it again in "
            f"{seconds} s: it first checks whether it arrived"
        )
    score = "not scored yet" if entry.public_score is None else f"score {entry.public_score:.5f}"
    return (
        f"the same bytes as {path} were submitted on {entry.time[:10]} (ref {entry.ref}, {score}); "
        "submit them again with --force"
    )


def _find_unconfirmed(error: KaggleApiError, entry: LogEntry, kaggle: CompetitionClient) -> int:
    """Return the ref of a submission whose confirmation was lost.

    Raises:
        KaggleError: Kaggle does not list it.
    """
    pause = kaggle.policy.backoff
    for _ in range(kaggle.policy.max_attempts):
        try:
            submission = find_listed(entry, kaggle.list_submissions())
        except KaggleError:
            break  # the next kd submit reconciles it
        if submission is not None:
            return submission.ref
        time.sleep(pause)
        pause *= 2
    raise KaggleError(
        f"it is not known whether {entry.file} was submitted ({str(error).split(';', 1)[0]}); run "
        f"the same command in {kaggle.policy.unlisted_timeout:.0f} s: it first checks whether it "
        "arrived"
    ) from error
