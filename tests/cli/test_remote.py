"""kd remote: options and output, from the push to a scored submission."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kaggle_digits.cli.main import app
from kaggle_digits.kaggle_notebooks import push_record
from tests.support.commands import assert_error, kd
from tests.support.competition_files import data_folder
from tests.support.fixtures import home, kaggle
from tests.support.kaggle_server import KEY, FakeKaggle, Fault
from tests.support.kaggle_session import RUN, session
from tests.support.kernels import Session, replay

__all__ = ["home", "kaggle", "session"]


class Folder:
    """A working folder with data; the fake Kaggle replays a real session."""

    def __init__(self, path: Path, kaggle: FakeKaggle, session: Session) -> None:
        self.path, self.kaggle = path, kaggle
        data_folder(path / "data")
        kaggle.runner = replay(session)

    def kd(self, *words: str, code: int = 0) -> tuple[str, str]:
        for versions in self.kaggle.notebooks.values():
            assert versions[-1].done.wait(60)
        result = CliRunner().invoke(app, words)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        assert KEY not in result.output
        return result.stdout, result.stderr

    def push(self, *words: str, code: int = 0) -> tuple[str, str]:
        return self.kd("remote", "push", "linear", "--no-gpu", "--folds", "2", *words, code=code)


@pytest.fixture
def folder(
    tmp_path: Path, kaggle: FakeKaggle, session: Session, monkeypatch: pytest.MonkeyPatch
) -> Folder:
    monkeypatch.setenv("KD_KAGGLE_TIMEOUT", "10")
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path, kaggle, session)


def test_push_status_pull_submit(folder: Folder) -> None:
    out, err = folder.push("--name", RUN)
    assert "using the API key of someone" in err
    assert "notebook: someone/kd-far, version 1 (private)" in out
    assert "https://www.kaggle.com/code/someone/kd-far" in out
    out, err = folder.kd("remote", "status", "--wait")
    assert "far (someone/kd-far): complete: ready to be pulled" in out
    assert "next: kd remote pull far" in err
    out, err = folder.kd("remote", "pull")
    assert "on 40 rows (95 % interval)" in out
    assert "submissions/far.csv: written and checked" in out
    assert "next: kd evaluate far" in err

    # Every command works with the run.
    assert "far" in folder.kd("runs")[0]
    assert "linear" in folder.kd("runs", RUN)[0]
    folder.kd("evaluate", RUN)
    folder.kd("predict", RUN, "--tta", "5", "-o", "submissions/views.csv")
    folder.kd("train", "--model", "linear", "--folds", "2", "--name", "near")
    folder.kd("compare", RUN, "near")
    folder.kd("ensemble", RUN, "near")
    folder.kd("train", "--resume", "--name", RUN)
    out, _ = folder.kd("submit", RUN, "--yes", "--wait")
    assert "public score: 0.98765" in out
    assert folder.kaggle.submissions[0].file_name == "far.csv"


def test_json(folder: Folder) -> None:
    pushed = json.loads(folder.push("--name", RUN, "--json")[0])
    assert (pushed["run"], pushed["ref"], pushed["state"]) == (RUN, "someone/kd-far", "pushed")
    assert json.loads(folder.kd("remote", "status", RUN, "--json")[0])["state"] == "complete"
    pulled = json.loads(folder.kd("remote", "pull", RUN, "--json")[0])
    assert (pulled["run"], pulled["submission"], pulled["n_val"]) == (
        RUN,
        "submissions/far.csv",
        40,
    )


def test_dry_run_and_output_need_no_credential(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    out, _ = folder.push("--dry-run")
    assert "nothing was sent" in out
    out, _ = folder.push("-o", "kernel.py")
    assert "kernel.py: written; nothing was sent" in out
    text = Path("kernel.py").read_text(encoding="utf-8")
    assert text.startswith("# Made by kaggle-digits")
    assert folder.kaggle.calls == []
    assert not Path("runs").exists()
    out, err = folder.push(code=1)
    assert out == ""
    assert "no Kaggle credential found" in err


def test_recipe_file_is_sent_but_own_code_is_not(folder: Folder) -> None:
    Path("mine.json").write_text('{"model": "linear", "epochs": 1}', encoding="utf-8")
    folder.kd("remote", "push", "mine.json", "--no-gpu", "--name", "mine")
    script = folder.kaggle.notebooks["someone/kd-mine"][0].request["text"]
    assert '"recipe": "mine.json"' in script
    Path("own.json").write_text('{"model": "of_my_own:small"}', encoding="utf-8")
    Path("of_my_own.py").write_text("def small():\n    pass\n", encoding="utf-8")
    _, err = folder.kd("remote", "push", "own.json", "--trust", code=2)
    assert "code of your own, which is not sent" in err


def test_without_a_push(folder: Folder) -> None:
    assert "kd remote push fast" in folder.kd("remote", "status", code=1)[1]
    assert "was not pushed" in folder.kd("remote", "pull", "other", code=1)[1]


def test_second_pull_and_push_are_refused(folder: Folder) -> None:
    folder.push("--name", RUN)
    folder.kd("remote", "pull")
    assert "no push in runs waits to be pulled" in folder.kd("remote", "pull", code=1)[1]
    assert "already exists" in folder.kd("remote", "pull", RUN, code=1)[1]
    assert "already exists" in folder.push("--name", RUN, code=1)[1]


def test_failed_session(folder: Folder) -> None:
    folder.kaggle.runner = lambda request: Session({}, "epoch 1\nno memory\n", 1)
    folder.kaggle.failure = "Your notebook tried to allocate more memory than is available"
    folder.push("--name", RUN)
    out, err = folder.kd("remote", "status", code=1)
    assert "failed: Your notebook tried to allocate" in out
    assert err.splitlines()[-1].endswith("kd remote pull far")
    out, err = folder.kd("remote", "pull", code=1)
    assert out == ""
    assert "epoch 1 | no memory" in err.splitlines()[-1]
    assert push_record.find(Path("runs"), RUN).state == "failed"
    assert not Path("runs", RUN).exists()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_failures_are_one_line(folder: Folder, status: int) -> None:
    folder.kaggle.fail("SaveKernel", Fault("status", status), times=9)
    out, err = folder.push("--name", RUN, code=1)
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")


def test_a_gpu_and_none_are_refused() -> None:
    result = kd("remote", "push", "linear", "--no-gpu", "--accelerator", "NvidiaTeslaP100")
    assert_error(result, 2, "--accelerator names a GPU, and --no-gpu uses none; leave out one")


@pytest.mark.parametrize("name", ["push", "status", "pull"])
def test_help_names_the_command(name: str) -> None:
    result = CliRunner().invoke(app, ["remote", name, "--help"])
    assert result.exit_code == 0
    assert f"kd remote {name}" in result.stdout


def test_without_a_command_help_is_shown() -> None:
    result = CliRunner().invoke(app, ["remote"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in ("push", "status", "pull"))


def test_debug_after_the_command(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KD_DEBUG", "")
    result = CliRunner().invoke(app, ["remote", "status", "--debug"])
    assert type(result.exception).__name__ == "RunError"
