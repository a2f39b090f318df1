from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError, SubmissionError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.status import reconcile, wait_for_score
from kaggle_digits.kaggle_api.submission_log import LogEntry, read_log, update_log
from kaggle_digits.kaggle_api.submit import find_duplicate, submit
from kaggle_digits.kaggle_api.validate import ValidatedSubmission, newest_unsent
from tests.support.kaggle_server import FIRST_REF, FakeKaggle, Fault


def test_reconcile_finds_a_submission_whose_process_was_killed(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client = CompetitionClient(policy=policy)
    entry = submit(checked, kaggle=client, submissions_dir=submissions_dir)
    before = replace(entry, ref=None, status="sending")
    update_log(submissions_dir, lambda _: [before])
    kaggle.submissions[0].polls = 5
    changed = reconcile(submissions_dir, client)
    assert [(e.ref, e.status, e.public_score) for e in changed] == [
        (FIRST_REF, "complete", 0.98765)
    ]
    assert read_log(submissions_dir) == changed
    with pytest.raises(SubmissionError, match="were submitted on"):
        submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert find_duplicate(checked, submissions_dir) == changed[0]


@pytest.mark.parametrize(("seconds", "remains"), [(5, True), (3600, False)])
def test_entry_from_a_clock_slightly_ahead_is_kept(
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    seconds: int,
    remains: bool,
) -> None:
    """A process on another machine may be sending it now."""
    client = CompetitionClient(policy=replace(policy, unlisted_timeout=60.0))
    entry = submit(checked, kaggle=client, submissions_dir=submissions_dir)
    ahead = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    update_log(submissions_dir, lambda _: [replace(entry, ref=None, status="sending", time=ahead)])
    kaggle.submissions.clear()
    reconcile(submissions_dir, client)
    assert bool(read_log(submissions_dir)) == remains


def submitted(
    policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> tuple[CompetitionClient, LogEntry]:
    client = CompetitionClient(policy=policy)
    return client, submit(checked, kaggle=client, submissions_dir=submissions_dir)


def test_rejected_submission(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    kaggle.outcome, kaggle.error = "ERROR", "Evaluation failed: 3 rows too few"
    client, entry = submitted(policy, checked, submissions_dir)
    with pytest.raises(KaggleError, match="3 rows too few"):
        wait_for_score(entry, kaggle=client, submissions_dir=submissions_dir)
    assert read_log(submissions_dir)[0].status == "error"
    # A rejected file may be sent again; it is not the newest unsent one any more.
    with pytest.raises(SubmissionError, match="every submission"):
        newest_unsent(submissions_dir)


def test_wait_for_score_times_out(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    kaggle.polls = 10**9
    client, entry = submitted(replace(policy, score_timeout=0.1), checked, submissions_dir)
    with pytest.raises(KaggleError, match=r"not scored after.*--wait"):
        wait_for_score(entry, kaggle=client, submissions_dir=submissions_dir)
    assert read_log(submissions_dir)[0].status == "pending"


def test_errors_while_waiting_are_retried(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client, entry = submitted(policy, checked, submissions_dir)
    kaggle.fail("GetSubmission", Fault("status", 500), Fault("html"))
    assert (
        wait_for_score(entry, kaggle=client, submissions_dir=submissions_dir).public_score
        == 0.98765
    )
    kaggle.fail("GetSubmission", Fault("status", 500), times=9)
    with pytest.raises(KaggleError, match=rf"is submitted \(ref {FIRST_REF}\)"):
        wait_for_score(entry, kaggle=client, submissions_dir=submissions_dir)
