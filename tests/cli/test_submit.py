"""kd submit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli import submit
from kaggle_digits.cli.main import app
from kaggle_digits.data.submission_csv import read_origin, write_origin
from kaggle_digits.kaggle_api.submission_log import read_log
from tests.support.competition_files import data_folder, submission
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import FIRST_REF, KEY, FakeKaggle, Fault

__all__ = ["home", "kaggle"]


class Folders:
    """A data folder and a submissions folder with one submission."""

    def __init__(self, tmp_path: Path) -> None:
        self.data = data_folder(tmp_path / "data")
        self.submissions = tmp_path / "submissions"
        self.path = submission(self.submissions / "dense-1.csv")

    @property
    def options(self) -> str:
        """The options that name the folders, which commands to type repeat."""
        return f"--data-dir {self.data} --submissions-dir {self.submissions}"

    def kd(self, *args: object, code: int = 0, answer: str | None = None) -> tuple[str, str]:
        words = [str(word) for word in ("submit", *args)] + self.options.split()
        result = CliRunner().invoke(app, words, input=answer)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        assert KEY not in result.output
        return result.stdout, result.stderr


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def test_newest_file_is_submitted_and_score_shown(kaggle: FakeKaggle, folders: Folders) -> None:
    out, err = folders.kd("--wait", "--yes")
    assert f"checking {folders.path}" in err
    assert "valid: 24 rows" in err
    assert "from dense-1, validation accuracy 97.65 % on 8,400 rows" in err
    assert "using the API key of someone" in err
    assert "submissions left today: 10" in err
    assert f"ref:          {FIRST_REF}" in out
    assert "public score: 0.98765" in out
    assert read_log(folders.submissions)[0].public_score == 0.98765
    assert "next:" not in err


def test_json_is_the_log_entry(kaggle: FakeKaggle, folders: Folders) -> None:
    out, _ = folders.kd("dense-1", "--yes", "--json", "-m", "my words")
    sent = json.loads(out)
    assert (sent["ref"], sent["status"], sent["run"]) == (FIRST_REF, "pending", "dense-1")
    assert kaggle.submissions[0].description.startswith("my words [kd ")


def test_leak_is_shown_and_described_to_kaggle(kaggle: FakeKaggle, folders: Folders) -> None:
    origin = read_origin(folders.path)
    assert origin is not None
    write_origin(folders.path, replace(origin, accuracy=None, n_val=0, leak="labels leaked"))
    out, err = folders.kd("--yes", "--json")
    assert "it has no out-of-fold accuracy: labels leaked" in err
    assert json.loads(out)["leak"] == "labels leaked"
    description = kaggle.submissions[0].description
    assert description.startswith("dense-1: no out-of-fold accuracy (labels leaked) [kd ")


def test_without_terminal_yes_is_required(kaggle: FakeKaggle, folders: Folders) -> None:
    file = folders.path.rename(folders.path.with_stem("own file"))
    _, err = folders.kd(code=2)
    command = f"kd submit {folders.options} '{file}' --yes"
    assert f"no terminal to confirm on; nothing was sent: {command}" in err
    assert kaggle.calls == []


@pytest.mark.parametrize(("answer", "code", "sent"), [("y\n", 0, 1), ("n\n", 1, 0)])
def test_confirmation_is_asked_once(
    kaggle: FakeKaggle,
    folders: Folders,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: str,
    code: int,
    sent: int,
) -> None:
    monkeypatch.setattr(submit, "is_interactive", lambda: True)
    out, err = folders.kd(answer=answer, code=code)
    assert "Submit" not in out
    assert err.count("Submit ") == 1
    assert len(kaggle.submissions) == sent


def test_same_file_is_submitted_once_without_force(kaggle: FakeKaggle, folders: Folders) -> None:
    _, err = folders.kd("--yes")
    assert "next: kd submissions" in err  # it is not scored yet
    _, err = folders.kd("--yes", code=1)
    assert "submitted already" in err
    _, err = folders.kd("dense-1", "--yes", code=1)
    assert "--force" in err
    assert f"wait for the score: kd submit {folders.options} {folders.path} --wait" in err
    # With --wait, kd waits for the earlier submission.
    out, _ = folders.kd("dense-1", "--yes", "--wait")
    assert "public score: 0.98765" in out
    assert len(kaggle.submissions) == 1
    _, err = folders.kd("dense-1", "--yes", code=1)
    assert "score 0.98765); submit them again with --force" in err
    folders.kd("dense-1", "--yes", "--force")
    assert len(kaggle.submissions) == 2


def test_no_submission_left_today(kaggle: FakeKaggle, folders: Folders) -> None:
    kaggle.left = 0
    kaggle.fail("GetSubmissionLimits", Fault("status", 500), times=9)
    folders.kd("--yes")  # the limit is unknown, so Kaggle decides
    other = submission(folders.submissions / "other.csv", first=1)
    kaggle.clear_faults()
    _, err = folders.kd(other, "--yes", code=1)
    assert "no submission is left today" in err
    assert len(kaggle.submissions) == 1


def test_invalid_file_is_never_sent(kaggle: FakeKaggle, folders: Folders) -> None:
    folders.path.write_bytes(folders.path.read_bytes().replace(b"\r\n2,1\r\n", b"\r\n2,x\r\n"))
    _, err = folders.kd("dense-1", "--yes", code=1)
    assert "line 3, column Label" in err
    assert kaggle.calls == []


def test_openml_submission_is_never_sent(kaggle: FakeKaggle, folders: Folders) -> None:
    submission(folders.path, source="openml")
    _, err = folders.kd("dense-1", "--yes", code=1)
    assert "test images" in err
    assert kaggle.calls == []


@pytest.mark.parametrize(
    ("method", "fault", "message"),
    [
        ("GetSubmissionLimits", Fault("status", 403), "rules"),
        ("upload", Fault("status", 500), "upload of dense-1.csv failed (500)"),
        ("CreateSubmission", Fault("status", 400, "daily limit"), "no more submissions today"),
        ("CreateSubmission", Fault("status", 503), "not known whether"),
    ],
)
def test_failures_are_one_line(
    kaggle: FakeKaggle, folders: Folders, method: str, fault: Fault, message: str
) -> None:
    kaggle.fail(method, fault, times=9)
    out, err = folders.kd("--yes", code=1)
    assert out == ""
    assert message in err.splitlines()[-1]


def test_rejected_submission(kaggle: FakeKaggle, folders: Folders) -> None:
    kaggle.outcome, kaggle.error = "ERROR", "Submission must have 28000 rows"
    _, err = folders.kd("--yes", "--wait", code=1)
    assert "Submission must have 28000 rows" in err.splitlines()[-1]
    assert read_log(folders.submissions)[0].status == "error"
