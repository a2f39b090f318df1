"""Send a checked file once, and keep the log true whatever happens.

A line ``sending`` is in the log before Kaggle is asked to submit, and the description ends in a
tag of its own. A process killed in between leaves that line; the next one looks for the tag in
Kaggle's list and so learns whether the submission arrived.
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
    now,
    read_log,
    replace_entry,
    update_log,
)
from kaggle_digits.kaggle_api.validate import ValidatedSubmission


def find_duplicate(checked: ValidatedSubmission, submissions_dir: Path) -> LogEntry | None:
    """The last entry of the same bytes that Kaggle has not rejected."""
    for entry in reversed(read_log(submissions_dir)):
        if entry.sha256 == checked.sha256 and entry.status != ERROR:
            return entry
    return None


def submit(
    checked: ValidatedSubmission,
    *,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None = None,
    force: bool = False,
) -> LogEntry:
    """Send ``checked`` and log it; the same bytes are sent once only, unless ``force``.

    Args:
        checked: what ``check`` returned.
        kaggle: the competition.
        submissions_dir: where log.csv stands.
        message: the description; by default the run and its validation accuracy.
        force: send bytes that were sent before.

    Returns:
        Its entry in the log, ``pending``.

    Raises:
        SubmissionError: these bytes were sent before, or the file changed after the check.
        KaggleError: Kaggle did not take it, or it is not known whether it did; then the log
            keeps a line ``sending`` that ``settle`` looks into.
        StorageError: the log cannot be written; nothing was sent.
    """
    reconcile(submissions_dir, kaggle)
    content = checked.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != checked.sha256:
        raise SubmissionError(f"{checked.path} changed while it was checked; run it again")
    entry = _reserve(checked, kaggle, submissions_dir, message, force=force)
    asked = False
    try:
        token = kaggle.upload(checked.path.name, content)
        entry = _about_to_ask(entry, submissions_dir)
        asked = True
        ref = kaggle.create_submission(token, entry.message)
    except KaggleApiError as error:
        if asked and not error.not_applied:
            ref = _found_after(error, entry, kaggle)
        else:
            replace_entry(submissions_dir, entry, None)
            raise
    except BaseException:
        if not asked:
            replace_entry(submissions_dir, entry, None)
        raise
    sent = replace(entry, ref=ref, status=PENDING)
    try:
        replace_entry(submissions_dir, entry, sent)
    except (StorageError, SubmissionError) as error:
        raise type(error)(
            f"{entry.file} was submitted (ref {ref}), but that cannot be logged: {error} (the next "
            "kd submit logs it)"
        ) from error
    return sent


def default_description(checked: ValidatedSubmission) -> str:
    """The default description: which run, and what it is worth on rows it never saw."""
    origin = checked.origin
    if origin is None:
        return checked.path.name
    if origin.accuracy is None:
        return f"{checked.run}: trained on all rows, none held out"
    rows = f"{origin.n_val:,} rows"
    return f"{checked.run}: validation accuracy {100 * origin.accuracy:.2f} % on {rows}"


def _reserve(
    checked: ValidatedSubmission,
    kaggle: CompetitionClient,
    submissions_dir: Path,
    message: str | None,
    *,
    force: bool,
) -> LogEntry:
    tag = f"[kd {checked.sha256[:8]}{secrets.token_hex(4)}]"
    entry = LogEntry(
        time=now(),
        file=checked.path.name,
        sha256=checked.sha256,
        run=checked.run,
        oof_accuracy=checked.origin.accuracy if checked.origin else None,
        n_val=checked.origin.n_val if checked.origin else None,
        ref=None,
        status=SENDING,
        public_score=None,
        message=f"{one_line(message or default_description(checked))} {tag}",
    )

    def add(entries: list[LogEntry]) -> list[LogEntry]:
        same = [e for e in entries if e.sha256 == checked.sha256 and e.status != ERROR]
        if same and not force:
            raise SubmissionError(
                _sent_before(checked.path, same[-1], kaggle.policy.unlisted_timeout)
            )
        return [*entries, entry]

    update_log(submissions_dir, add)
    return entry


def _about_to_ask(entry: LogEntry, submissions_dir: Path) -> LogEntry:
    """Begin the grace anew, unless another process has found the entry abandoned."""
    renewed = replace(entry, time=now())

    def renew(entries: list[LogEntry]) -> list[LogEntry]:
        if entry not in entries:
            raise SubmissionError(f"another kd has taken over {entry.file}; see kd runs")
        return [renewed if one == entry else one for one in entries]

    update_log(submissions_dir, renew)
    return renewed


def _sent_before(path: Path, entry: LogEntry, grace: float) -> str:
    if entry.status == SENDING:
        wait_seconds = max(1, round(grace - entry.age))
        return (
            f"{path} is being sent, or was and Kaggle does not list it yet; run it again in "
            f"{wait_seconds} s: it looks first whether it arrived"
        )
    score = "not scored yet" if entry.public_score is None else f"score {entry.public_score:.5f}"
    return (
        f"the same bytes as {path} were sent on {entry.time[:10]} (ref {entry.ref}, {score}); "
        "send them again with --force"
    )


def _found_after(error: KaggleApiError, entry: LogEntry, kaggle: CompetitionClient) -> int:
    """The ref of a submission whose confirmation was lost; ``error`` where it is not listed."""
    pause = kaggle.policy.backoff
    for _ in range(kaggle.policy.max_attempts):
        try:
            found = find_listed(entry, kaggle.list_submissions())
        except KaggleError:
            break  # settled by the next kd submit
        if found is not None:
            return found.ref
        time.sleep(pause)
        pause *= 2
    raise KaggleError(
        f"it is not known whether {entry.file} was submitted ({str(error).split(';', 1)[0]}); run "
        f"the same command in {kaggle.policy.unlisted_timeout:.0f} s: it looks first whether it "
        "arrived"
    ) from error
