"""Submit a validated file exactly once, log it, and find out what became of it.

An entry ``sending`` is logged before Kaggle is asked to submit, and the description ends in a
unique tag. If the process is killed in between, the next kd submit looks for the tag in Kaggle's
list and so finds out whether the submission arrived.
"""

import hashlib
import secrets
import time
from dataclasses import replace
from pathlib import Path

from kaggle_digits.core.errors import KaggleError, StorageError, SubmissionError
from kaggle_digits.kaggle_api import submission_log as log
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteSubmission
from kaggle_digits.kaggle_api.errors import SUBMISSIONS_PAGE, KaggleApiError, one_line
from kaggle_digits.kaggle_api.submission_log import LogEntry
from kaggle_digits.kaggle_api.validate import ValidatedSubmission


def submit(
    submission: ValidatedSubmission,
    *,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None = None,
    force: bool = False,
) -> LogEntry:
    """Submit a file and return its log entry, ``pending``.

    The same bytes are submitted only once, unless ``force``. The description is ``message`` or,
    by default, the run and its validation accuracy; ``submissions_dir`` has the log.

    Raises:
        SubmissionError: these bytes were submitted before, or the file has changed since.
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
        log.replace_entry(submissions_dir, entry, None)  # nothing was submitted
        raise
    try:
        ref = kaggle.create_submission(token, entry.message)
    except KaggleApiError as error:
        if error.not_applied:
            log.replace_entry(submissions_dir, entry, None)
            raise
        ref = _find_unconfirmed(error, entry, kaggle)
    pending = replace(entry, ref=ref, status=log.PENDING)
    try:
        log.replace_entry(submissions_dir, entry, pending)
    except (StorageError, SubmissionError) as error:
        raise type(error)(
            f"{entry.file} was submitted (ref {ref}), but this cannot be logged: {error} (the next "
            "kd submit logs it)"
        ) from error
    return pending


def _log_sending(
    submission: ValidatedSubmission,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None,
    *,
    force: bool,
) -> LogEntry:
    """Log the entry ``sending``, unless the same bytes are logged already."""
    path, origin = submission.path, submission.origin
    tag = f"[kd {submission.sha256[:8]}{secrets.token_hex(4)}]"
    entry = LogEntry(
        time=log.utc_now(),
        file=path.name,
        sha256=submission.sha256,
        run=submission.run,
        oof_accuracy=origin.accuracy if origin else None,
        n_val=origin.n_val if origin else None,
        ref=None,
        status=log.SENDING,
        public_score=None,
        message=f"{one_line(message or default_description(submission))} {tag}",
    )

    def add(entries: list[LogEntry]) -> list[LogEntry]:
        duplicate = find_duplicate(submission, entries)
        if duplicate is None or force:
            return [*entries, entry]
        if duplicate.status == log.SENDING:
            seconds = max(1, round(kaggle.policy.unlisted_timeout - duplicate.age))
            raise SubmissionError(
                f"{path} is being submitted, or was and Kaggle does not list it yet; run it again "
                f"in {seconds} s: it first checks whether it arrived"
            )
        score = duplicate.public_score
        state = "not scored yet" if score is None else f"score {score:.5f}"
        raise SubmissionError(
            f"the same bytes as {path} were submitted on {duplicate.time[:10]} (ref "
            f"{duplicate.ref}, {state}); submit them again with --force"
        )

    log.update_log(submissions_dir, add)
    return entry


def _renew(entry: LogEntry, submissions_dir: Path) -> LogEntry:
    """Set the entry's time to now, unless another process has removed it as abandoned."""
    renewed = replace(entry, time=log.utc_now())

    def renew(entries: list[LogEntry]) -> list[LogEntry]:
        if entry not in entries:
            raise SubmissionError(
                f"another kd has removed the log entry of {entry.file}; nothing was submitted, "
                "run it again"
            )
        return [renewed if one == entry else one for one in entries]

    log.update_log(submissions_dir, renew)
    return renewed


def _find_unconfirmed(error: KaggleApiError, entry: LogEntry, kaggle: CompetitionClient) -> int:
    """Return the ref of a submission whose confirmation was lost; KaggleError if unlisted."""
    for attempt in range(kaggle.policy.max_attempts):
        try:
            submission = _find_listed(entry, kaggle.list_submissions())
        except KaggleError:
            break  # the next kd submit reconciles it
        if submission is not None:
            return submission.ref
        time.sleep(kaggle.policy.backoff * 2**attempt)
    raise KaggleError(
        f"it is not known whether {entry.file} was submitted ({str(error).split(';', 1)[0]}); run "
        f"the same command in {kaggle.policy.unlisted_timeout:.0f} s: it first checks whether it "
        "arrived"
    ) from error


def reconcile(submissions_dir: Path, kaggle: CompetitionClient) -> None:
    """Update the unfinished entries of the log from Kaggle's list of submissions.

    An entry ``sending`` that Kaggle does not list after ``policy.unlisted_timeout`` is removed:
    its process was killed before the call, or the call was lost.
    """
    entries = log.read_log(submissions_dir)
    unfinished = [e for e in entries if e.status in (log.SENDING, log.PENDING)]
    if not unfinished:
        return
    listed = kaggle.list_submissions()

    def update(entry: LogEntry) -> LogEntry | None:
        submission = _find_listed(entry, listed)
        if submission is not None:
            return _updated(entry, submission)
        # The absolute value, because the clock may have been set back since.
        is_recent = abs(entry.age) < kaggle.policy.unlisted_timeout
        return entry if entry.status == log.PENDING or is_recent else None

    def change(entries: list[LogEntry]) -> list[LogEntry]:
        updated = [update(entry) if entry in unfinished else entry for entry in entries]
        return [entry for entry in updated if entry is not None]

    log.update_log(submissions_dir, change)


def wait_for_score(
    entry: LogEntry, *, kaggle: CompetitionClient, submissions_dir: Path
) -> LogEntry:
    """Poll the entry until Kaggle has scored it, log every change, and return it ``complete``.

    Raises KaggleError if Kaggle rejected it (with the reason), could not be reached any more, or
    took longer than ``policy.score_timeout``.
    """
    if entry.ref is None:
        raise KaggleError(
            f"it is not known yet whether Kaggle received {entry.file}; check again with: kd submit"
        )
    submitted = f"{entry.file} is submitted (ref {entry.ref})"
    deadline = time.monotonic() + kaggle.policy.score_timeout
    while True:
        try:
            submission = kaggle.get_submission(entry.ref)
        except KaggleApiError as error:
            raise KaggleError(
                f"{submitted}, but its score could not be read: {error}; later: kd submit "
                f"{entry.file} --wait"
            ) from error
        updated = _updated(entry, submission)
        if updated != entry:
            log.replace_entry(submissions_dir, entry, updated)
            entry = updated
        if entry.status == log.COMPLETE:
            return entry
        if entry.status == log.ERROR:
            reason = submission.error or "no reason given"
            raise KaggleError(
                f"Kaggle rejected {entry.file} (ref {entry.ref}): {reason}; see {SUBMISSIONS_PAGE}"
            )
        if time.monotonic() > deadline:
            raise KaggleError(
                f"{submitted} but not scored after {kaggle.policy.score_timeout:.0f} s; see "
                f"{SUBMISSIONS_PAGE}, or wait again with: kd submit {entry.file} --wait"
            )
        time.sleep(kaggle.policy.poll_interval)


def find_duplicate(submission: ValidatedSubmission, entries: list[LogEntry]) -> LogEntry | None:
    """Return the last entry with the same bytes that Kaggle has not rejected."""
    same = [e for e in entries if e.sha256 == submission.sha256 and e.status != log.ERROR]
    return same[-1] if same else None


def default_description(submission: ValidatedSubmission) -> str:
    """Describe a submission by its run and the accuracy on validation rows."""
    origin = submission.origin
    if origin is None:
        return submission.path.name
    if origin.accuracy is None:
        return f"{submission.run}: trained on all rows, none held out"
    rows = f"{origin.n_val:,} rows"
    return f"{submission.run}: validation accuracy {100 * origin.accuracy:.2f} % on {rows}"


def _find_listed(entry: LogEntry, listed: list[RemoteSubmission]) -> RemoteSubmission | None:
    """Return the submission in Kaggle's list with the entry's ref or tag."""
    for submission in listed:
        has_tag = entry.tag and submission.description.rstrip().endswith(entry.tag)
        if entry.ref == submission.ref or has_tag:
            return submission
    return None


def _updated(entry: LogEntry, submission: RemoteSubmission) -> LogEntry:
    status = {"COMPLETE": log.COMPLETE, "ERROR": log.ERROR}.get(submission.status, log.PENDING)
    return replace(entry, ref=submission.ref, status=status, public_score=submission.public_score)
