from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaggle_digits.core.errors import DataError, KaggleError, StorageError, SubmissionError
from kaggle_digits.kaggle_api.client import CompetitionClient
from kaggle_digits.kaggle_api.retry import RetryPolicy
from kaggle_digits.kaggle_api.status import reconcile, wait_for_score
from kaggle_digits.kaggle_api.submission_log import LOG_NAME, LogEntry, read_log, update_log
from kaggle_digits.kaggle_api.submit import default_description, find_duplicate, submit
from kaggle_digits.kaggle_api.validate import (
    ValidatedSubmission,
    find_submission_file,
    newest_unsent,
    validate_submission,
)
from tests.support.competition_files import data_folder, submission
from tests.support.kaggle_server import FIRST_REF, FakeKaggle, Fault


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return data_folder(tmp_path / "data")


@pytest.fixture
def sent_from(tmp_path: Path) -> Path:
    return tmp_path / "submissions"


@pytest.fixture
def checked(data: Path, sent_from: Path) -> ValidatedSubmission:
    return validate_submission(submission(sent_from / "dense-1.csv"), data_dir=data)


class TestCheck:
    def test_sound(self, checked: ValidatedSubmission) -> None:
        assert (checked.rows, checked.run, checked.warnings) == (24, "dense-1", ())
        assert default_description(checked) == "dense-1: validation accuracy 97.65 % on 8,400 rows"

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("openml", "the competition's own test images"),
            ("sample", "not the competition's data"),
            ("/somewhere/else", "byte for byte"),
            ("unknown", "not known where"),
        ],
    )
    def test_runs_on_other_data_are_refused(
        self, data: Path, sent_from: Path, source: str, reason: str
    ) -> None:
        path = submission(sent_from / "a.csv", source=source)
        with pytest.raises(SubmissionError, match=reason):
            validate_submission(path, data_dir=data)

    def test_other_data_in_the_folder_is_refused(self, tmp_path: Path, sent_from: Path) -> None:
        path = submission(sent_from / "a.csv", source=None)
        with pytest.raises(SubmissionError, match="source openml"):
            validate_submission(path, data_dir=data_folder(tmp_path / "other", source="openml"))

    def test_changed_data_is_refused(self, data: Path, sent_from: Path) -> None:
        with (data / "test.csv").open("ab") as file:
            file.write(b"\r\n")
        with pytest.raises(SubmissionError, match="source unknown"):
            validate_submission(submission(sent_from / "a.csv"), data_dir=data)

    def test_no_data(self, tmp_path: Path, sent_from: Path) -> None:
        with pytest.raises(DataError, match="kd fetch"):
            validate_submission(submission(sent_from / "a.csv"), data_dir=tmp_path / "nothing")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"ImageId,Label", b"id,label"),
            (b"\r\n24,3\r\n", b"\r\n"),
            (b"\r\n2,1\r\n", b"\r\n2,10\r\n"),
            (b"\r\n2,1\r\n", b"\r\n2,\r\n"),
            (b"\r\n2,1\r\n3,2\r\n", b"\r\n3,2\r\n2,1\r\n"),
        ],
    )
    def test_wrong_files(self, data: Path, sent_from: Path, old: bytes, new: bytes) -> None:
        path = submission(sent_from / "a.csv", source=None)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new))
        with pytest.raises(SubmissionError, match="not a valid submission"):
            validate_submission(path, data_dir=data)

    def test_unknown_origin_and_one_label_are_warned_of(self, data: Path, sent_from: Path) -> None:
        path = submission(sent_from / "a.csv", source=None)
        path.write_bytes((data / "sample_submission.csv").read_bytes())
        first, second = validate_submission(path, data_dir=data).warnings
        assert "not known which run" in first
        assert "100 % of its rows say 0" in second

    def test_needs_neither_network_nor_tensorflow(self, data: Path, sent_from: Path) -> None:
        path = submission(sent_from / "a.csv")
        code = (
            "import sys; from pathlib import Path\n"
            "from kaggle_digits.kaggle_api.validate import validate_submission\n"
            "validate_submission(Path(sys.argv[1]), data_dir=sys.argv[2])\n"
            "heavy = {'tensorflow', 'keras', 'kaggle', 'requests', 'sklearn'} & set(sys.modules)\n"
            "assert not heavy, heavy"
        )
        subprocess.run([sys.executable, "-c", code, str(path), str(data)], check=True)


class TestResolve:
    def test_newest_unsent(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        newer = submission(sent_from / "cnn-1.csv", first=1)
        os.utime(checked.path, (1, 1))
        (sent_from / "log.csv").unlink(missing_ok=True)
        assert newest_unsent(sent_from) == newer
        data = data_folder(sent_from.parent / "data")
        submit(
            validate_submission(newer, data_dir=data),
            kaggle=CompetitionClient(policy=policy),
            submissions_dir=sent_from,
        )
        assert newest_unsent(sent_from) == checked.path
        submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=sent_from)
        with pytest.raises(SubmissionError, match="every submission"):
            newest_unsent(sent_from)

    def test_by_name(self, checked: ValidatedSubmission, sent_from: Path) -> None:
        assert find_submission_file("dense-1", sent_from) == checked.path
        assert find_submission_file("dense-1.csv", sent_from) == checked.path
        assert find_submission_file(str(checked.path), sent_from) == checked.path
        with pytest.raises(SubmissionError, match="there are: dense-1"):
            find_submission_file("cnn", sent_from)
        for name in ("", ".", "..", "../.."):
            with pytest.raises(SubmissionError):
                find_submission_file(name, sent_from)

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(SubmissionError, match="kd train --model dense"):
            newest_unsent(tmp_path)


class TestSubmit:
    def test_whole_way(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        client = CompetitionClient(policy=policy)
        entry = submit(checked, kaggle=client, submissions_dir=sent_from)
        assert (entry.ref, entry.status, entry.run) == (FIRST_REF, "pending", "dense-1")
        assert read_log(sent_from) == [entry]
        stored = kaggle.submissions[0]
        assert stored.content == checked.path.read_bytes()
        assert stored.description == entry.message
        assert stored.description.startswith("dense-1: validation accuracy 97.65 % on 8,400 rows")
        assert entry.tag is not None
        done = wait_for_score(entry, kaggle=client, submissions_dir=sent_from)
        assert (done.status, done.public_score) == ("complete", 0.98765)
        assert read_log(sent_from) == [done]
        header = (sent_from / LOG_NAME).read_text().splitlines()[0]
        assert header == ("time,file,sha256,run,oof_accuracy,n_val,ref,status,public_score,message")

    def test_own_words(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        submit(
            checked,
            kaggle=CompetitionClient(policy=policy),
            submissions_dir=sent_from,
            message='two\nlines, a comma, "quotes"',
        )
        assert kaggle.submissions[0].description.startswith('two lines, a comma, "quotes" [kd ')
        assert read_log(sent_from)[0].message == kaggle.submissions[0].description

    def test_same_bytes_once(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        client = CompetitionClient(policy=policy)
        submit(checked, kaggle=client, submissions_dir=sent_from)
        copy = replace(checked, path=sent_from / "copy.csv")
        copy.path.write_bytes(checked.path.read_bytes())
        with pytest.raises(SubmissionError, match="--force"):
            submit(copy, kaggle=client, submissions_dir=sent_from)
        assert len(kaggle.submissions) == 1
        submit(copy, kaggle=client, submissions_dir=sent_from, force=True)
        assert len(kaggle.submissions) == 2
        assert len(read_log(sent_from)) == 2

    def test_changed_after_the_check(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        checked.path.write_bytes(b"other")
        with pytest.raises(SubmissionError, match="changed"):
            submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=sent_from)
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
    def test_what_was_surely_not_sent_is_not_logged(
        self,
        *,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        method: str,
        fault: Fault,
    ) -> None:
        kaggle.fail(method, fault, times=9)
        client = CompetitionClient(policy=policy)
        with pytest.raises(KaggleError):
            submit(checked, kaggle=client, submissions_dir=sent_from)
        assert read_log(sent_from) == []
        assert kaggle.submissions == []
        kaggle.heal()
        submit(checked, kaggle=client, submissions_dir=sent_from)
        assert len(kaggle.submissions) == 1

    @pytest.mark.parametrize("kind", ["lost", "truncated", "drop", "trickle"])
    def test_confirmation_lost_but_submitted(
        self,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        kind: str,
    ) -> None:
        kaggle.fail("CreateSubmission", Fault(kind))
        entry = submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=sent_from)
        assert entry.ref == FIRST_REF
        assert len(kaggle.submissions) == 1
        assert kaggle.count("CreateSubmission") == 1

    @pytest.mark.parametrize(
        "fault", [Fault("silent"), Fault("status", 503), Fault("html"), Fault("no-ref")]
    )
    def test_unanswered_and_not_listed(
        self,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        fault: Fault,
    ) -> None:
        patient = replace(policy, unlisted_timeout=60.0)
        kaggle.fail("CreateSubmission", fault)
        with pytest.raises(KaggleError, match="not known whether"):
            submit(checked, kaggle=CompetitionClient(policy=patient), submissions_dir=sent_from)
        assert [entry.status for entry in read_log(sent_from)] == ["sending"]
        assert newest_unsent(sent_from) == checked.path
        # Too early to say that it never arrived: not sent again.
        with pytest.raises(SubmissionError, match="looks first"):
            submit(checked, kaggle=CompetitionClient(policy=patient), submissions_dir=sent_from)
        assert kaggle.submissions == []
        # Later it is certain.
        impatient = replace(policy, unlisted_timeout=0.0)
        submit(checked, kaggle=CompetitionClient(policy=impatient), submissions_dir=sent_from)
        assert len(kaggle.submissions) == 1
        assert [entry.status for entry in read_log(sent_from)] == ["pending"]

    def test_killed_after_sending(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        client = CompetitionClient(policy=policy)
        entry = submit(checked, kaggle=client, submissions_dir=sent_from)
        before = replace(entry, ref=None, status="sending")
        update_log(sent_from, lambda _: [before])
        kaggle.submissions[0].polls = 5
        changed = reconcile(sent_from, client)
        assert [(e.ref, e.status, e.public_score) for e in changed] == [
            (FIRST_REF, "complete", 0.98765)
        ]
        assert read_log(sent_from) == changed
        with pytest.raises(SubmissionError, match="were sent on"):
            submit(checked, kaggle=client, submissions_dir=sent_from)
        assert find_duplicate(checked, sent_from) == changed[0]

    @pytest.mark.parametrize("method", ["StartSubmissionUpload", "upload", "CreateSubmission"])
    def test_kill_9(
        self,
        *,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
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
        data = sent_from.parent / "data"
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(checked.path), str(data), str(sent_from)]
        )
        deadline = time.monotonic() + 20
        while kaggle.count(method) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert [entry.status for entry in read_log(sent_from)] == ["sending"]
        kaggle.heal()
        client = CompetitionClient(policy=replace(policy, unlisted_timeout=0.0))
        submit(checked, kaggle=client, submissions_dir=sent_from)
        assert len(kaggle.submissions) == 1
        assert [entry.status for entry in read_log(sent_from)] == ["pending"]

    def test_log_not_writable_means_nothing_sent(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        (sent_from / LOG_NAME).mkdir()
        with pytest.raises(SubmissionError, match="damaged"):
            submit(checked, kaggle=CompetitionClient(policy=policy), submissions_dir=sent_from)
        assert kaggle.submissions == []

    def test_what_was_sent_is_logged_though_its_line_was_taken_out(
        self,
        *,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = CompetitionClient(policy=policy)
        create = client.create_submission

        def slow(token: str, description: str) -> int:
            ref = create(token, description)
            update_log(sent_from, lambda _: [])
            return ref

        monkeypatch.setattr(client, "create_submission", slow)
        entry = submit(checked, kaggle=client, submissions_dir=sent_from)
        assert read_log(sent_from) == [entry]

    @pytest.mark.parametrize(("seconds", "kept"), [(5, True), (3600, False)])
    def test_clocks_that_disagree(
        self,
        *,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        seconds: int,
        kept: bool,
    ) -> None:
        """A line of another machine's, a little ahead, is one that is being sent."""
        client = CompetitionClient(policy=replace(policy, unlisted_timeout=60.0))
        entry = submit(checked, kaggle=client, submissions_dir=sent_from)
        ahead = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
        update_log(sent_from, lambda _: [replace(entry, ref=None, status="sending", time=ahead)])
        kaggle.submissions.clear()
        reconcile(sent_from, client)
        assert bool(read_log(sent_from)) == kept

    def test_sent_but_not_to_be_logged_is_said(
        self,
        kaggle: FakeKaggle,
        policy: RetryPolicy,
        checked: ValidatedSubmission,
        sent_from: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        client = CompetitionClient(policy=policy)

        def full(*words: object) -> None:
            raise StorageError("no space left; free some")

        with monkeypatch.context() as patch:
            patch.setattr("kaggle_digits.kaggle_api.submit.replace_entry", full)
            with pytest.raises(StorageError, match=rf"was submitted \(ref {FIRST_REF}\), but"):
                submit(checked, kaggle=client, submissions_dir=sent_from)
        with pytest.raises(SubmissionError, match=f"ref {FIRST_REF}"):
            submit(checked, kaggle=client, submissions_dir=sent_from)
        assert len(kaggle.submissions) == 1

    def test_many_at_once(
        self, kaggle: FakeKaggle, policy: RetryPolicy, data: Path, sent_from: Path
    ) -> None:
        """Four of the same bytes and three others, at once: four submissions, four lines."""
        paths = [submission(sent_from / f"same-{n}.csv") for n in range(4)]
        paths += [submission(sent_from / f"other-{n}.csv", first=n) for n in range(1, 4)]
        patient = replace(policy, unlisted_timeout=60.0, call_timeout=10.0, read_timeout=10.0)
        refused: list[str] = []

        def send(path: Path) -> None:
            try:
                submit(
                    validate_submission(path, data_dir=data),
                    kaggle=CompetitionClient(policy=patient),
                    submissions_dir=sent_from,
                )
            except SubmissionError as error:
                refused.append(str(error))

        threads = [threading.Thread(target=send, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(kaggle.submissions) == 4
        assert len(refused) == 3
        entries = read_log(sent_from)
        assert len({entry.sha256 for entry in entries}) == len(entries) == 4
        assert {entry.ref for entry in entries} == {one.ref for one in kaggle.submissions}


class TestWait:
    def sent(
        self, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> tuple[CompetitionClient, LogEntry]:
        client = CompetitionClient(policy=policy)
        return client, submit(checked, kaggle=client, submissions_dir=sent_from)

    def test_rejected(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        kaggle.outcome, kaggle.error = "ERROR", "Evaluation failed: 3 rows too few"
        client, entry = self.sent(policy, checked, sent_from)
        with pytest.raises(KaggleError, match="3 rows too few"):
            wait_for_score(entry, kaggle=client, submissions_dir=sent_from)
        assert read_log(sent_from)[0].status == "error"
        # A rejected file may be sent again; it is not the newest unsent one any more.
        with pytest.raises(SubmissionError, match="every submission"):
            newest_unsent(sent_from)

    def test_never_scored(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        kaggle.polls = 10**9
        client, entry = self.sent(replace(policy, score_timeout=0.1), checked, sent_from)
        with pytest.raises(KaggleError, match=r"not scored after.*--wait"):
            wait_for_score(entry, kaggle=client, submissions_dir=sent_from)
        assert read_log(sent_from)[0].status == "pending"

    def test_faults_while_waiting(
        self, kaggle: FakeKaggle, policy: RetryPolicy, checked: ValidatedSubmission, sent_from: Path
    ) -> None:
        client, entry = self.sent(policy, checked, sent_from)
        kaggle.fail("GetSubmission", Fault("status", 500), Fault("html"))
        assert (
            wait_for_score(entry, kaggle=client, submissions_dir=sent_from).public_score == 0.98765
        )
        kaggle.fail("GetSubmission", Fault("status", 500), times=9)
        with pytest.raises(KaggleError, match=rf"is submitted \(ref {FIRST_REF}\)"):
            wait_for_score(entry, kaggle=client, submissions_dir=sent_from)


@pytest.mark.parametrize(
    "text", ["nonsense", "time,file\n1,2\n", "\0\0", "time,file,sha256,run,ref\n", "{}"]
)
def test_damaged_log_is_said(sent_from: Path, text: str) -> None:
    sent_from.mkdir()
    (sent_from / LOG_NAME).write_text(text + "\nx,y\n")
    with pytest.raises(SubmissionError, match=r"log\.csv is damaged"):
        read_log(sent_from)


def test_log_survives_a_spreadsheet(sent_from: Path) -> None:
    sent_from.mkdir()
    entry = LogEntry(
        time="2026-11-20T10:00:00+00:00",
        file="a.csv",
        sha256="ab",
        run="dense-1",
        oof_accuracy=None,
        n_val=None,
        ref=1,
        status="complete",
        public_score=0.9,
        message="=words; [kd 12ab]",
    )
    update_log(sent_from, lambda _: [entry])
    text = (sent_from / LOG_NAME).read_text()
    (sent_from / LOG_NAME).write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert read_log(sent_from) == [entry]
    assert json.dumps(text)
