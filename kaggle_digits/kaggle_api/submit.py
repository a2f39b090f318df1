"""Submit a validated file exactly once, log it, and find out what became of it.

An entry ``sending`` is logged before Kaggle is asked to submit, and the description ends in a
unique tag. If the process is killed in between, the next kd submit looks for the tag in Kaggle's
list and so finds out whether the submission arrived.
"""

import hashlib
import secrets
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from kaggle_digits.core.errors import KaggleError, StorageError, SubmissionError, one_line
from kaggle_digits.core.text import plural
from kaggle_digits.data.submission_csv import ONE_RUN
from kaggle_digits.kaggle_api import submission_log as log
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteSubmission
from kaggle_digits.kaggle_api.errors import SUBMISSIONS_PAGE, KaggleApiError
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

    The same predictions are submitted only once, unless ``force``. The description is ``message``
    or, by default, the run and its validation accuracy; ``submissions_dir`` has the log.

    Raises:
        SubmissionError: these predictions were submitted before, or it is not known whether they
            were, or the file has changed since, or another process is submitting.
        KaggleError: Kaggle rejected it, or it is not known whether it arrived; then the log keeps
            an entry ``sending``, and only ``force`` sends the predictions again.
        StorageError: the log cannot be written; nothing was submitted.
    """
    with log.submit_lock(submissions_dir, kaggle.policy.call_timeout):
        earlier = find_duplicate(submission, log.read_log(submissions_dir))
        reconcile(submissions_dir, kaggle, submission)
        if duplicate := find_duplicate(submission, log.read_log(submissions_dir)):
            # --force was typed because the submission seemed to be lost, and it is not.
            was_unknown = earlier is not None and earlier.status == log.SENDING
            if not force or (was_unknown and duplicate.status != log.SENDING):
                raise SubmissionError(_explain_duplicate(submission.path, duplicate))
        content = submission.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != submission.sha256:
            raise SubmissionError(f"{submission.path} changed while it was checked; run it again")
        token = kaggle.upload(submission.path.name, content)
        return _create(token, _new_entry(submission, message), kaggle, submissions_dir)


def _create(
    token: str, entry: LogEntry, kaggle: CompetitionClient, submissions_dir: Path
) -> LogEntry:
    """Log ``entry`` as ``sending``, submit the uploaded bytes, log and return it ``pending``."""
    log.update_log(submissions_dir, lambda entries: [*entries, entry])
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
            "`kd.submit()` logs it)"
        ) from error
    return pending


def _new_entry(submission: ValidatedSubmission, message: str | None) -> LogEntry:
    origin = submission.origin
    tag = f"{_tag_prefix(submission)}{secrets.token_hex(4)}]"
    return LogEntry(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        file=submission.path.name,
        sha256=submission.sha256,
        run=submission.run,
        oof_accuracy=origin.accuracy if origin else None,
        n_val=origin.n_val if origin else None,
        ref=None,
        status=log.SENDING,
        public_score=None,
        message=f"{one_line(message or default_description(submission))} {tag}",
    )


def _tag_prefix(submission: ValidatedSubmission) -> str:
    """Return the beginning of the tag of every submission of the same predictions."""
    return f"[kd {submission.labels_sha256[:8]}"


def _explain_duplicate(path: Path, duplicate: LogEntry) -> str:
    if duplicate.status == log.SENDING:
        return (
            f"{path} was sent on {duplicate.time[:10]}, but Kaggle does not list it yet, so it is "
            f"not known whether it arrived; look at {SUBMISSIONS_PAGE}, and only if it is still "
            f"missing after some minutes: `kd.submit({str(path)!r}, force=True)`"
        )
    score = duplicate.public_score
    state = "not scored yet" if score is None else f"score {score:.5f}"
    see = f"wait for the score: `kd.submit({str(path)!r}, wait=True)`, or " if score is None else ""
    return (
        f"the same predictions as {path} were submitted on {duplicate.time[:10]} (ref "
        f"{duplicate.ref}, {state}); {see}submit them again with `force=True`"
    )


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
        "the same command again in a few minutes: it first checks whether it arrived"
    ) from error


def reconcile(
    submissions_dir: Path, kaggle: CompetitionClient, submission: ValidatedSubmission | None = None
) -> None:
    """Update the unfinished entries of the log from Kaggle's list of submissions.

    An entry ``sending`` that Kaggle does not list stays: no clock and no time-out tells when it is
    certain that it never arrived. Submissions of the same predictions as ``submission`` that the
    log lacks are added, so that a lost log does not let them be sent twice.
    """
    listed = kaggle.list_submissions()

    def change(entries: list[LogEntry]) -> list[LogEntry]:
        changed = []
        for entry in entries:
            unfinished = entry.status in (log.SENDING, log.PENDING)
            found = _find_listed(entry, listed) if unfinished else None
            changed.append(_updated(entry, found) if found else entry)
        return changed + (_unlogged(submission, changed, listed) if submission else [])

    log.update_log(submissions_dir, change)


def _unlogged(
    submission: ValidatedSubmission, entries: list[LogEntry], listed: list[RemoteSubmission]
) -> list[LogEntry]:
    """Return entries for listed submissions of the same predictions that ``entries`` lack."""
    known, prefix = {entry.tag for entry in entries}, _tag_prefix(submission)
    missing = []
    for one in reversed(listed):
        tag = log.find_tag(one.description)
        if tag is not None and tag.startswith(prefix) and tag not in known:
            new = replace(_new_entry(submission, None), message=one.description.rstrip())
            new = replace(new, time=one.time or new.time, file=one.file or new.file)
            missing.append(_updated(new, one))
    return missing


def wait_for_score(
    entry: LogEntry, *, kaggle: CompetitionClient, submissions_dir: Path
) -> LogEntry:
    """Poll the entry until Kaggle has scored it, log every change, and return it ``complete``.

    Raises KaggleError if Kaggle rejected it (with the reason), could not be reached any more, or
    took longer than ``policy.score_timeout``.
    """
    if entry.ref is None:
        raise KaggleError(
            f"it is not known yet whether Kaggle received {entry.file}; check again with: "
            "`kd.submit()`"
        )
    submitted = f"{entry.file} is submitted (ref {entry.ref})"
    deadline = time.monotonic() + kaggle.policy.score_timeout
    while True:
        try:
            submission = kaggle.get_submission(entry.ref)
        except KaggleApiError as error:
            raise KaggleError(
                f"{submitted}, but its score could not be read: {error}; later: "
                f"`kd.submit({entry.file!r}, wait=True)`"
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
                f"{SUBMISSIONS_PAGE}, or wait again with: `kd.submit({entry.file!r}, wait=True)`"
            )
        time.sleep(kaggle.policy.poll_interval)


def find_duplicate(submission: ValidatedSubmission, entries: list[LogEntry]) -> LogEntry | None:
    """Return the last entry with the same predictions that Kaggle has not rejected.

    One whose fate is known is preferred to one that is ``sending``.
    """
    hashes = (submission.sha256, submission.labels_sha256)
    same = [
        entry
        for entry in entries
        if entry.status != log.ERROR
        and (entry.sha256 in hashes or (entry.tag or "").startswith(_tag_prefix(submission)))
    ]
    return max(reversed(same), key=lambda entry: entry.status != log.SENDING, default=None)


def default_description(submission: ValidatedSubmission) -> str:
    """Describe a submission by its run and the accuracy on validation rows."""
    origin = submission.origin
    if origin is None:
        return submission.path.name
    if origin.leak:
        return f"{submission.run}: no out-of-fold accuracy ({origin.leak})"
    if origin.accuracy is None and origin.method == ONE_RUN:
        return f"{submission.run}: trained on all rows, none held out"
    if origin.accuracy is None:
        return f"{origin.method} of {submission.run or 'files'}: accuracy not measured"
    rows = f"{origin.n_val:,} rows" + (f", {plural(origin.views, 'view')}" if origin.views else "")
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
