from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError, StorageError, SubmissionError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_api.submission_log import (
    LOG_NAME,
    LogEntry,
    read_log,
    replace_entry,
    update_log,
)
from kaggle_digits.kaggle_api.submit import find_duplicate, reconcile, submit, wait_for_score
from kaggle_digits.kaggle_api.validate import (
    ValidatedSubmission,
    newest_unsent,
    validate_submission,
)
from tests.support.competition_files import submission
from tests.support.kaggle_server import FIRST_REF, FakeKaggle, Fault


def test_submission_is_sent_scored_and_logged(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client = CompetitionClient(policy=policy)
    entry = submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert (entry.ref, entry.status, entry.run) == (FIRST_REF, "pending", "dense-1")
    assert read_log(submissions_dir) == [entry]
    stored = kaggle.submissions[0]
    assert stored.content == checked.path.read_bytes()
    assert stored.description == entry.message
    assert stored.description.startswith("dense-1: validation accuracy 97.65 % on 8,400 rows")
    assert entry.tag is not None
    done = wait_for_score(entry, kaggle=client, submissions_dir=submissions_dir)
    assert (done.status, done.public_score) == ("complete", 0.98765)
    assert read_log(submissions_dir) == [done]
    header = (submissions_dir / LOG_NAME).read_text().splitlines()[0]
    assert header == ("time,file,sha256,run,oof_accuracy,n_val,ref,status,public_score,message")


def test_message_option_becomes_the_description(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    submit(
        checked,
        kaggle=CompetitionClient(policy=policy),
        submissions_dir=submissions_dir,
        message='two\nlines, a comma, "quotes"',
    )
    assert kaggle.submissions[0].description.startswith('two lines, a comma, "quotes" [kd ')
    assert read_log(submissions_dir)[0].message == kaggle.submissions[0].description


def test_same_bytes_are_submitted_once(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client = CompetitionClient(policy=policy)
    submit(checked, kaggle=client, submissions_dir=submissions_dir)
    copy = replace(checked, path=submissions_dir / "copy.csv")
    copy.path.write_bytes(checked.path.read_bytes())
    with pytest.raises(SubmissionError, match="`force=True`"):
        submit(copy, kaggle=client, submissions_dir=submissions_dir)
    assert len(kaggle.submissions) == 1
    submit(copy, kaggle=client, submissions_dir=submissions_dir, force=True)
    assert len(kaggle.submissions) == 2
    assert len(read_log(submissions_dir)) == 2


def test_file_changed_after_validation_is_rejected(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    checked.path.write_bytes(b"other")
    with pytest.raises(SubmissionError, match="changed"):
        submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=submissions_dir)
    assert kaggle.submissions == []


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("StartSubmissionUpload", Fault("status", 403)),
        ("StartSubmissionUpload", Fault("refused")),
        ("upload", Fault("status", 500)),
        ("CreateSubmission", Fault("status", 400, "daily limit")),
        ("CreateSubmission", Fault("status", 401)),
    ],
)
def test_failed_submission_is_not_logged(
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    method: str,
    fault: Fault,
) -> None:
    kaggle.fail(method, fault, times=9)
    client = CompetitionClient(policy=policy)
    with pytest.raises(KaggleError):
        submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert read_log(submissions_dir) == []
    assert kaggle.submissions == []
    kaggle.clear_faults()
    submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert len(kaggle.submissions) == 1


@pytest.mark.parametrize("kind", ["lost", "truncated", "drop", "trickle"])
def test_lost_confirmation_is_found_in_the_list(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    kind: str,
) -> None:
    kaggle.fail("CreateSubmission", Fault(kind))
    entry = submit(
        checked, kaggle=CompetitionClient(policy=policy), submissions_dir=submissions_dir
    )
    assert entry.ref == FIRST_REF
    assert len(kaggle.submissions) == 1
    assert kaggle.count("CreateSubmission") == 1


@pytest.mark.parametrize(
    "fault", [Fault("silent"), Fault("status", 503), Fault("html"), Fault("no-ref")]
)
def test_unconfirmed_submission_is_sent_again_only_with_force(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    fault: Fault,
) -> None:
    client = CompetitionClient(policy=policy)
    send = partial(submit, checked, kaggle=client, submissions_dir=submissions_dir)
    kaggle.fail("CreateSubmission", fault)
    with pytest.raises(KaggleError, match="not known whether"):
        send()
    assert [entry.status for entry in read_log(submissions_dir)] == ["sending"]
    assert newest_unsent(submissions_dir) == checked.path
    with pytest.raises(SubmissionError, match=r"not known whether it arrived.*force=True"):
        send()
    assert kaggle.submissions == []
    entry = send(force=True)
    assert [one.ref for one in kaggle.submissions] == [entry.ref]
    with pytest.raises(SubmissionError, match="were submitted on"):
        send()


def test_submission_that_arrives_late_is_never_sent_twice(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    """Kaggle carries it out without an answer, and lists it long afterwards."""
    client = CompetitionClient(policy=policy)
    send = partial(submit, checked, kaggle=client, submissions_dir=submissions_dir)
    kaggle.lists = False
    kaggle.fail("CreateSubmission", Fault("status", 503, done=True))
    with pytest.raises(KaggleError, match="first checks"):
        send()
    for year in ("1970", "2026", "2200"):  # whatever the clocks say
        (lost,) = read_log(submissions_dir)
        replace_entry(submissions_dir, lost, replace(lost, time=f"{year}-01-02"))
        with pytest.raises(SubmissionError, match=f"sent on {year}-01-02"):
            send()
    kaggle.lists = True
    # The user saw no submission and typed --force, but it has arrived in the meantime.
    with pytest.raises(SubmissionError, match=rf"were submitted on .*\(ref {FIRST_REF}"):
        send(force=True)
    assert len(kaggle.submissions) == 1
    assert [entry.message for entry in read_log(submissions_dir)] == [lost.message]


def test_slow_call_is_not_repeated_by_an_impatient_process(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client = CompetitionClient(policy=replace(policy, call_timeout=20.0))
    create, refused = client.create_submission, []

    def slow(token: str, description: str) -> int:
        impatient = CompetitionClient(policy=replace(policy, call_timeout=0.01))
        for force in (False, True):
            with pytest.raises(SubmissionError, match="another kd is submitting") as caught:
                submit(checked, kaggle=impatient, submissions_dir=submissions_dir, force=force)
            refused.append(caught)
        return create(token, description)

    client.create_submission = slow  # type: ignore[method-assign]
    submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert (len(refused), len(kaggle.submissions)) == (2, 1)


@pytest.mark.parametrize("method", ["StartSubmissionUpload", "upload", "CreateSubmission"])
def test_killed_process_leaves_an_entry_only_if_kaggle_was_asked_to_submit(
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    method: str,
    home: Path,
) -> None:
    kaggle.fail(method, Fault("silent"))
    code = (
        "import sys; from pathlib import Path\n"
        "from kaggle_digits.kaggle_api.validate import validate_submission\n"
        "from kaggle_digits.kaggle_api.client import CompetitionClient\n"
        "from kaggle_digits.kaggle_api.submit import submit\n"
        "path, data, folder = map(Path, sys.argv[1:])\n"
        "checked = validate_submission(path, data_dir=data)\n"
        "submit(checked, kaggle=CompetitionClient(), submissions_dir=folder)"
    )
    data = submissions_dir.parent / "data"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(checked.path), str(data), str(submissions_dir)]
    )
    deadline = time.monotonic() + 20
    while kaggle.count(method) == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    asked = method == "CreateSubmission"
    assert [entry.status for entry in read_log(submissions_dir)] == ["sending"] * asked
    kaggle.clear_faults()
    client = CompetitionClient(policy=policy)
    if asked:
        with pytest.raises(SubmissionError, match=r"not known whether it arrived.*force=True"):
            submit(checked, kaggle=client, submissions_dir=submissions_dir)
    submit(checked, kaggle=client, submissions_dir=submissions_dir, force=asked)
    assert len(kaggle.submissions) == 1


def _delete(path: Path) -> None:
    path.unlink()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _keep_header(path: Path) -> None:
    path.write_text(path.read_text().partition("\n")[0] + "\n")


def _replace_by_another(path: Path) -> None:
    update_log(path.parent / "other", lambda _: [OTHER])
    (path.parent / "other" / LOG_NAME).replace(path)


OTHER = LogEntry(
    *("2026-11-20T10:00:00+00:00", "b.csv", "ab", "", None, None, 7, "complete", 0.9, "b [kd 12]")
)


@pytest.mark.parametrize("damage", [_delete, _empty, _keep_header, _replace_by_another])
@pytest.mark.parametrize("left", ["copy", "list"])
def test_lost_log_is_restored_and_nothing_sent_twice(
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    damage: Callable[[Path], None],
    left: str,
) -> None:
    client, entry = submitted(policy, checked, submissions_dir)
    damage(submissions_dir / LOG_NAME)
    if left == "copy":
        kaggle.lists = False
    else:
        (submissions_dir / f".{LOG_NAME}.copy").unlink()
    renamed = replace(checked, path=checked.path.rename(submissions_dir / "renamed.csv"))
    with pytest.raises(SubmissionError, match=rf"were submitted on .*\(ref {FIRST_REF}"):
        submit(renamed, kaggle=client, submissions_dir=submissions_dir)
    assert len(kaggle.submissions) == 1
    restored = next(one for one in read_log(submissions_dir) if one.ref == FIRST_REF)
    assert (restored.message, restored.sha256, restored.file) == (
        entry.message,
        entry.sha256,
        entry.file,
    )
    assert FIRST_REF in [one.ref for one in read_log(submissions_dir)]


def test_nothing_is_sent_if_kaggle_cannot_list(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    kaggle.fail("ListSubmissions", Fault("status", 500), times=9)
    with pytest.raises(KaggleError, match="listing your submissions"):
        submitted(policy, checked, submissions_dir)
    assert kaggle.submissions == []


def test_same_rows_in_another_order_are_a_duplicate(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    data: Path,
    submissions_dir: Path,
) -> None:
    header, *rows = checked.path.read_bytes().splitlines()
    other = submissions_dir / "sorted-as-text.csv"
    other.write_bytes(b"\n".join([b'"ImageId","Label"', *sorted(rows)]))
    first = validate_submission(other, data_dir=data, submissions_dir=submissions_dir)
    assert (first.run, first.warnings) == ("dense-1", ())
    submitted(policy, first, submissions_dir)
    assert kaggle.submissions[0].content == other.read_bytes()
    with pytest.raises(SubmissionError, match="the same predictions"):
        submitted(policy, checked, submissions_dir)
    assert len(kaggle.submissions) == 1
    assert header == b"ImageId,Label"


def test_nothing_is_sent_if_the_log_is_unusable(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    (submissions_dir / LOG_NAME).mkdir()
    with pytest.raises(SubmissionError, match="cannot be read"):
        submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=submissions_dir)
    assert kaggle.submissions == []


def test_submission_is_logged_even_if_its_entry_was_removed(
    *,
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = CompetitionClient(policy=policy)
    create = client.create_submission

    def slow(token: str, description: str) -> int:
        ref = create(token, description)
        update_log(submissions_dir, lambda _: [])
        return ref

    monkeypatch.setattr(client, "create_submission", slow)
    entry = submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert read_log(submissions_dir) == [entry]


def test_submission_that_cannot_be_logged_is_reported(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    checked: ValidatedSubmission,
    submissions_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = CompetitionClient(policy=policy)

    def full(*words: object) -> None:
        raise StorageError("no space left; free some")

    with monkeypatch.context() as patch:
        patch.setattr("kaggle_digits.kaggle_api.submission_log.replace_entry", full)
        with pytest.raises(StorageError, match=rf"was submitted \(ref {FIRST_REF}\), but"):
            submit(checked, kaggle=client, submissions_dir=submissions_dir)
    with pytest.raises(SubmissionError, match=f"ref {FIRST_REF}"):
        submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert len(kaggle.submissions) == 1


def test_concurrent_submits(
    kaggle: FakeKaggle, policy: RetryPolicy, data: Path, submissions_dir: Path
) -> None:
    """Submit the same bytes four times and three other files: four submissions, four entries."""
    paths = [submission(submissions_dir / f"same-{n}.csv") for n in range(4)]
    paths += [submission(submissions_dir / f"other-{n}.csv", first=n) for n in range(1, 4)]
    patient_policy = replace(policy, call_timeout=20.0, read_timeout=10.0)
    rejected: list[str] = []

    def send(path: Path) -> None:
        try:
            submit(
                validate_submission(path, data_dir=data),
                kaggle=CompetitionClient(policy=patient_policy),
                submissions_dir=submissions_dir,
            )
        except SubmissionError as error:
            rejected.append(str(error))

    threads = [threading.Thread(target=send, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kaggle.submissions) == 4
    assert len(rejected) == 3
    entries = read_log(submissions_dir)
    assert len({entry.sha256 for entry in entries}) == len(entries) == 4
    assert {entry.ref for entry in entries} == {one.ref for one in kaggle.submissions}


def test_reconcile_finds_a_submission_whose_process_was_killed(
    kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, submissions_dir: Path
) -> None:
    client = CompetitionClient(policy=policy)
    entry = submit(checked, kaggle=client, submissions_dir=submissions_dir)
    before = replace(entry, ref=None, status="sending")
    update_log(submissions_dir, lambda _: [before])
    kaggle.submissions[0].polls = 5
    reconcile(submissions_dir, client)
    entries = read_log(submissions_dir)
    assert entries == [replace(entry, status="complete", public_score=0.98765)]
    assert entries[0].ref == FIRST_REF
    with pytest.raises(SubmissionError, match="were submitted on"):
        submit(checked, kaggle=client, submissions_dir=submissions_dir)
    assert find_duplicate(checked, entries) == entries[0]


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
    with pytest.raises(KaggleError, match=r"not scored after.*wait=True"):
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
