"""The real kagglesdk client against a fake Kaggle server that works or fails."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_api.client import CompetitionClient, RemoteFile, SubmissionLimits
from kaggle_digits.kaggle_api.errors import KaggleApiError
from kaggle_digits.kaggle_api.http import RetryPolicy
from tests.support.fixtures import RecordingProgress
from tests.support.kaggle_server import KEY, REFRESH, TOKEN, FakeKaggle, Fault

BIG = bytes(range(256)) * 8192  # 2 MB: eight pieces


def failure(action: object) -> str:
    with pytest.raises(KaggleError) as caught:
        action()  # type: ignore[operator]
    message = str(caught.value)
    assert "\n" not in message
    assert KEY not in message
    assert TOKEN not in message
    return message


def test_lists_and_downloads(
    kaggle: FakeKaggle,
    policy: RetryPolicy,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    progress = RecordingProgress()
    client = CompetitionClient(policy=policy, progress=progress)
    files = client.list_files()
    assert [file.name for file in files] == ["train.csv", "test.csv", "sample_submission.csv"]
    path = client.download_file(files[0], tmp_path)
    assert path.read_bytes() == kaggle.files["train.csv"]
    assert progress.updates[-1] == ("train.csv", files[0].size, files[0].size)
    assert client.username() == "someone"
    assert capsys.readouterr().out == ""
    # The credential is sent to Kaggle's own host only.
    assert {call.authorization for call in kaggle.calls if call.method == "blob"} == {None}


def test_token_is_used(
    kaggle: FakeKaggle, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    client = CompetitionClient(policy=policy)
    assert client.list_files()
    assert client.credential.kind == "API token"
    assert client.username() == "someone"
    assert kaggle.count("IntrospectToken") == 1


def test_invalid_token_is_named_although_a_valid_key_exists(
    kaggle: FakeKaggle, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "wrong")
    message = failure(CompetitionClient(policy=policy).list_files)
    assert "does not accept the API token in the variable KAGGLE_API_TOKEN" in message
    assert "https://www.kaggle.com/settings" in message


def test_login_is_exchanged_for_an_access_token(
    kaggle: FakeKaggle, policy: RetryPolicy, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    path = home / ".kaggle" / "credentials.json"
    path.parent.mkdir()
    for refresh_token in (REFRESH, "expired"):
        path.write_text(json.dumps({"refresh_token": refresh_token, "username": "someone"}))
        client = CompetitionClient(policy=policy)
        assert str(client.credential) == "login of someone in ~/.kaggle/credentials.json"
        if refresh_token == REFRESH:
            assert client.list_files()
            assert client.username() == "someone"
        else:
            assert "does not accept the login of someone" in failure(client.list_files)
            assert path.exists()


def status(code: int, message: str = "a message of Kaggle", **headers: str) -> Fault:
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Fault("status", code, message, pairs)


PERMANENT = [
    (status(401), "does not accept the API key of someone"),
    (status(403), "https://www.kaggle.com/competitions/digit-recognizer/rules"),
    (status(404), "found nothing"),
    (status(400), "a message of Kaggle"),
    (status(429, Retry_After="3600"), "wait 3600 seconds"),
    (Fault("loop"), "too many redirects"),
]
TRANSIENT = [
    (status(429), "rate limit"),
    (status(429, Retry_After="0.05"), "rate limit"),
    (status(408), "internal error"),
    (status(500), "internal error"),
    (Fault("html", 502), "internal error"),
    (Fault("html", 200), "is not from Kaggle"),
    (Fault("truncated"), "is not from Kaggle"),
    (Fault("shape"), "is not from Kaggle"),
    (Fault("long"), "broke"),
    (Fault("drop", at=20), "broke"),
    (Fault("lost"), "broke"),
    (Fault("silent"), "did not answer in time"),
    (Fault("trickle"), "did not answer in time"),
]


def fault_id(fault: object) -> str | None:
    return f"{fault.kind}-{fault.status}" if isinstance(fault, Fault) else None


@pytest.mark.parametrize(("fault", "expected"), PERMANENT, ids=fault_id)
def test_permanent_errors_are_not_retried(
    kaggle: FakeKaggle, policy: RetryPolicy, fault: Fault, expected: str
) -> None:
    kaggle.fail("ListDataFiles", fault, times=1)
    assert expected in failure(CompetitionClient(policy=policy).list_files)
    assert kaggle.count("ListDataFiles") == 1


@pytest.mark.parametrize(("fault", "expected"), TRANSIENT, ids=fault_id)
def test_transient_errors_are_retried(
    kaggle: FakeKaggle, policy: RetryPolicy, fault: Fault, expected: str
) -> None:
    progress = RecordingProgress()
    client = CompetitionClient(policy=policy, progress=progress)
    kaggle.fail("ListDataFiles", fault)
    assert len(client.list_files()) == 3
    assert expected in progress.notes[0]
    assert "(2 of 3)" in progress.notes[0]

    kaggle.fail("ListDataFiles", fault, times=policy.max_attempts)
    began = time.monotonic()
    assert expected in failure(client.list_files)
    assert time.monotonic() - began < policy.max_attempts * policy.call_timeout + 1
    assert kaggle.count("ListDataFiles") == 2 + policy.max_attempts


def test_retry_after_as_a_date(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    due = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    kaggle.fail("ListDataFiles", status(429, Retry_After=due))
    assert "wait 3" in failure(CompetitionClient(policy=policy).list_files)


def test_retry_after_is_honoured(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    client = CompetitionClient(policy=policy)
    client.list_files()
    kaggle.fail("ListDataFiles", status(429, Retry_After="0.3"))
    began = time.monotonic()
    client.list_files()
    assert time.monotonic() - began > 0.3


def test_connection_refused(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    client = CompetitionClient(policy=policy)
    kaggle.stop()
    assert "HTTP_PROXY" in failure(client.list_files)


def test_download_resumes_after_a_broken_connection(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path
) -> None:
    kaggle.files["train.csv"] = BIG
    kaggle.fail("blob", Fault("drop", at=len(BIG) // 2))
    client = CompetitionClient(policy=policy)
    path = client.download_file(RemoteFile("train.csv", len(BIG)), tmp_path)
    assert path.read_bytes() == BIG
    assert any(call.range and call.range != "bytes=0-" for call in kaggle.calls)
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["train.csv"]


def test_download_resumes_in_a_later_process(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path
) -> None:
    kaggle.files["train.csv"] = BIG
    file = RemoteFile("train.csv", len(BIG))
    kaggle.fail("blob", Fault("drop", at=len(BIG) // 2), *[Fault("drop")] * 9)
    assert "broke" in failure(
        lambda: CompetitionClient(policy=policy).download_file(file, tmp_path)
    )
    assert not (tmp_path / "train.csv").exists()
    assert (tmp_path / "train.csv.part").stat().st_size > 0
    kaggle.clear_faults()
    kaggle.calls.clear()
    path = CompetitionClient(policy=policy).download_file(file, tmp_path)
    assert path.read_bytes() == BIG
    assert kaggle.calls[-1].range is not None


def test_download_of_another_version_starts_again(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path
) -> None:
    kaggle.files["train.csv"] = BIG
    file = RemoteFile("train.csv", len(BIG))
    kaggle.fail("blob", Fault("drop", at=len(BIG) // 2), *[Fault("drop")] * 9)
    failure(lambda: CompetitionClient(policy=policy).download_file(file, tmp_path))
    kaggle.clear_faults()
    kaggle.files["train.csv"] = BIG[::-1]
    assert CompetitionClient(policy=policy).download_file(file, tmp_path).read_bytes() == BIG[::-1]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("short"), "instead of"),
        (Fault("html", 200), "is not from Kaggle"),
        (Fault("silent"), "did not answer in time"),
        (Fault("status", 403), "rules"),
        (Fault("status", 404), "found nothing"),
        (Fault("status", 503), "internal error"),
    ],
    ids=fault_id,
)
def test_invalid_download_never_becomes_the_file(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path, fault: Fault, expected: str
) -> None:
    client = CompetitionClient(policy=policy)
    file = client.list_files()[0]
    kaggle.fail("blob", fault, times=9)
    assert expected in failure(lambda: client.download_file(file, tmp_path))
    assert not (tmp_path / "train.csv").exists()


def test_download_with_connection_refused(
    kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path
) -> None:
    client = CompetitionClient(policy=policy)
    file = client.list_files()[0]
    kaggle.stop()
    assert "HTTP_PROXY" in failure(lambda: client.download_file(file, tmp_path))
    assert list(tmp_path.glob("*.csv*")) == []


def test_all_pages_of_the_submissions_are_listed(
    kaggle: FakeKaggle, policy: RetryPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kaggle_digits.kaggle_api.client.PAGE_SIZE", 2)
    client = CompetitionClient(policy=policy)
    refs = [client.create_submission(client.upload("a.csv", b"1"), f"{n}") for n in range(5)]
    listed = client.list_submissions()
    assert [one.ref for one in listed] == refs[::-1]
    assert (listed[0].file, listed[0].time) == ("a.csv", "2026-11-20T10:00:00+00:00")
    assert kaggle.count("ListSubmissions") == 3


def test_upload_submit_and_score(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    client = CompetitionClient(policy=policy)
    ref = client.create_submission(client.upload("a.csv", b"content"), "words [kd 12]")
    assert kaggle.submissions[0].content == b"content"
    assert kaggle.submissions[0].file_name == "a.csv"
    assert client.get_submission(ref).status == "PENDING"
    scored = client.get_submission(ref)
    assert (scored.status, scored.public_score) == ("COMPLETE", 0.98765)
    assert client.list_submissions()[0].description == "words [kd 12]"
    assert client.submission_limits() == SubmissionLimits(today=1, remaining=10)


@pytest.mark.parametrize("fault", [Fault("status", 500), Fault("silent"), Fault("html", 502)])
def test_upload_is_retried(kaggle: FakeKaggle, policy: RetryPolicy, fault: Fault) -> None:
    kaggle.fail("upload", fault)
    assert CompetitionClient(policy=policy).upload("a.csv", b"x") == "tok2"


def test_failed_upload_is_reported(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    client = CompetitionClient(policy=policy)
    kaggle.fail("upload", Fault("status", 403))
    assert "upload of a.csv failed (403)" in failure(lambda: client.upload("a.csv", b"x"))
    kaggle.fail("StartSubmissionUpload", Fault("refused"), times=9)
    assert "connection refused" in failure(lambda: client.upload("a.csv", b"x"))


@pytest.mark.parametrize(
    ("fault", "not_applied"),
    [
        (Fault("status", 500), False),
        (Fault("silent"), False),
        (Fault("lost"), False),
        (Fault("html", 200), False),
        (Fault("no-ref"), False),
        (Fault("status", 400, "You have used your daily limit of 10"), True),
        (status(429, Retry_After="3600"), True),
        (Fault("status", 403), True),
    ],
    ids=fault_id,
)
def test_create_submission_is_not_repeated_if_it_may_have_been_applied(
    kaggle: FakeKaggle, policy: RetryPolicy, fault: Fault, not_applied: bool
) -> None:
    client = CompetitionClient(policy=policy)
    token = client.upload("a.csv", b"x")
    kaggle.fail("CreateSubmission", fault)
    with pytest.raises(KaggleApiError) as caught:
        client.create_submission(token, "words")
    assert caught.value.not_applied is not_applied
    assert kaggle.count("CreateSubmission") == 1


def test_create_submission_is_retried_after_too_many_requests(
    kaggle: FakeKaggle, policy: RetryPolicy
) -> None:
    client = CompetitionClient(policy=policy)
    token = client.upload("a.csv", b"x")
    kaggle.fail("CreateSubmission", status(429, Retry_After="0.05"), status(429))
    client.create_submission(token, "words")
    assert len(kaggle.submissions) == 1


def test_slow_download_is_aborted(kaggle: FakeKaggle, policy: RetryPolicy, tmp_path: Path) -> None:
    client = CompetitionClient(policy=replace(policy, slow_timeout=0.3))
    file = client.list_files()[0]
    kaggle.fail("blob", Fault("trickle"), times=9)
    began = time.monotonic()
    assert "too slowly" in failure(lambda: client.download_file(file, tmp_path))
    assert time.monotonic() - began < 2


def test_daily_limit_is_explained(kaggle: FakeKaggle, policy: RetryPolicy) -> None:
    client = CompetitionClient(policy=policy)
    kaggle.fail("CreateSubmission", status(400, "Your team has used its daily limit"))
    message = failure(lambda: client.create_submission(client.upload("a.csv", b"x"), "words"))
    assert "no more submissions today" in message
    assert "00:00 UTC" in message


def test_messages_of_kaggle_are_reduced_to_one_printable_line(
    kaggle: FakeKaggle, policy: RetryPolicy
) -> None:
    kaggle.fail("ListDataFiles", status(400, "a\n\x1b[31mred" + "x" * 900))
    message = failure(CompetitionClient(policy=policy).list_files)
    assert message.isprintable()
    assert len(message) < 400
