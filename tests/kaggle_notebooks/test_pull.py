"""kd remote pull through the real kaggle client."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kaggle_digits.core.errors import KaggleError, RunError, SubmissionError
from kaggle_digits.data.dataset import load
from kaggle_digits.data.splits import Split
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.pull import FileInfo, Manifest, read_manifest, unpack
from kaggle_digits.runs.store import list_runs, open_run
from kaggle_digits.training.recipes import find_recipe
from kaggle_digits.training.train import resume, train
from tests.kaggle_notebooks.conftest import REQUEST, SETTINGS, Workspace
from tests.support.competition_files import competition_files, data_folder
from tests.support.kaggle_server import FakeKaggle, Fault
from tests.support.kaggle_session import RUN, changed, file_info, listing
from tests.support.kernels import Session, replay


def test_pushed_run_is_trained_and_pulled(kaggle: FakeKaggle, workspace: Workspace) -> None:
    kaggle.runner, kaggle.files = kaggle._run, competition_files(n_train=120)
    data_folder(workspace.data, n_train=120)
    record = workspace.push({**SETTINGS, "accelerator": "NvidiaTeslaT4", "seed": 3})
    result = workspace.pull()
    assert result.manifest.gpus == ["Tesla T4", "Tesla T4"]
    assert result.submission == workspace.submissions / f"{RUN}.csv"

    run, dataset = open_run(workspace.runs, RUN), load(workspace.data)
    run.check_data(dataset)
    config = run.config()
    assert config["seed"] == 3
    assert config["data"]["source"] == "kaggle"  # the same files, whose source is known here
    assert config["git_commit"] is None
    assert config["remote"]["push_id"] == record.push_id
    assert (run.member_folder(0) / "model.skops").is_file()
    assert run.oof().shape == (120, 10)
    assert run.oof().dtype == np.float32
    assert run.test().shape == (24, 10)
    assert push_record.find(workspace.runs, RUN).state == "pulled"
    assert [name for name in listing(workspace.runs) if name.startswith(".remote")] == [
        f".remote/{RUN}/push.json"
    ]


def test_training_on_kaggle_gives_the_same_bits_as_here(workspace: Workspace) -> None:
    workspace.push()
    result = workspace.pull()
    split = Split("folds", folds=2)
    recipe = find_recipe("linear")
    here = train(load(workspace.data), recipe, split, runs_dir=workspace.runs, name="here")
    np.testing.assert_array_equal(here.oof(), result.run.oof())
    np.testing.assert_array_equal(here.test(), result.run.test())


def test_all_pages_of_the_output_are_read(kaggle: FakeKaggle, workspace: Workspace) -> None:
    workspace.push()
    workspace.pull()
    assert kaggle.count("ListKernelSessionOutput") == 2


def test_without_data_no_submission_is_written(workspace: Workspace, tmp_path: Path) -> None:
    workspace.push()
    result = workspace.pull(data=tmp_path / "nowhere")
    assert result.submission is None
    assert result.no_submission_reason
    assert "get the data with: `kd.fetch()`" in result.no_submission_reason
    assert not workspace.submissions.exists()
    assert open_run(workspace.runs, RUN).finished


def test_with_other_data_no_submission_is_written(workspace: Workspace, tmp_path: Path) -> None:
    workspace.push()
    other = data_folder(tmp_path / "other", seed=1)
    assert "trained on other data" in workspace.pull(data=other).no_submission_reason


@pytest.mark.parametrize(
    ("method", "fault", "message"),
    [
        ("GetKernelSessionStatus", Fault("status", 401), "does not accept"),
        ("GetKernelSessionStatus", Fault("status", 403), "shows no notebook someone/kd-far"),
        ("GetKernelSessionStatus", Fault("status", 404), "shows no notebook someone/kd-far"),
        ("GetKernelSessionStatus", Fault("status", 500), "internal error"),
        ("GetKernelSessionStatus", Fault("html"), "is not from Kaggle"),
        ("ListKernelSessionOutput", Fault("status", 403), "shows no notebook"),
        ("ListKernelSessionOutput", Fault("truncated"), "is not from Kaggle"),
        ("blob", Fault("status", 403), "has expired"),
        ("blob", Fault("status", 503), "internal error"),
    ],
)
def test_failed_pull_leaves_nothing_and_can_be_repeated(
    kaggle: FakeKaggle, workspace: Workspace, method: str, fault: Fault, message: str
) -> None:
    workspace.push()
    kaggle.fail(method, fault, times=9)
    with pytest.raises(KaggleError, match=message):
        workspace.pull()
    workspace.assert_nothing_pulled()
    kaggle.clear_faults()
    assert workspace.pull().run.finished


def test_interrupted_download_is_resumed_without_the_credential(
    kaggle: FakeKaggle, workspace: Workspace
) -> None:
    workspace.push()
    kaggle.fail("blob", Fault("drop", at=100))  # the manifest
    kaggle.fail("blob", Fault("drop", at=2000))
    workspace.pull()
    ranges = [call.range for call in kaggle.calls if call.method == "blob"]
    assert any(one and one.startswith("bytes=") for one in ranges)
    assert all(call.authorization is None for call in kaggle.calls if call.method == "blob")


def test_download_longer_than_the_manifest_says_is_stopped(
    kaggle: FakeKaggle, workspace: Workspace, session: Session
) -> None:
    def shorten(manifest: dict[str, Any]) -> None:
        manifest["archive"]["bytes"] = 10

    kaggle.runner = replay(changed(session, manifest=shorten))
    workspace.push()
    with pytest.raises(KaggleError, match="larger than the 10 bytes"):
        workspace.pull()
    workspace.assert_nothing_pulled()


# Sessions that failed


def failing(session: Session, reason: str) -> Session:
    """Return the result of a session whose training failed."""
    manifest = json.loads(session.files["kd-manifest.json"])
    manifest |= {"state": "failed", "reason": reason, "archive": None, "files": {}}
    manifest["log_tail"] = ["epoch 1", "Out of memory"]
    result = json.dumps({key: manifest[key] for key in ("push_id", "run", "state", "reason")})
    stdout = f"epoch 1\nOut of memory\nkd-manifest: {result}\n"
    return Session({"kd-manifest.json": json.dumps(manifest).encode()}, stdout, 1)


@pytest.mark.parametrize("keeps_failed", [True, False])
def test_failed_session_gives_reason_and_last_lines(
    kaggle: FakeKaggle, workspace: Workspace, session: Session, *, keeps_failed: bool
) -> None:
    kaggle.runner = replay(failing(session, "kd train ended with 1"))
    kaggle.keeps_failed = keeps_failed
    workspace.push()
    with pytest.raises(KaggleError, match=r"failed: kd train .* epoch 1 \| Out of memory; see"):
        workspace.pull()
    workspace.assert_nothing_pulled()
    record = push_record.find(workspace.runs, RUN)
    assert (record.state, record.reason) == ("failed", "kd train ended with 1")
    workspace.push()  # without --force


def test_session_that_kaggle_stopped(kaggle: FakeKaggle, workspace: Workspace) -> None:
    kaggle.runner = lambda request: Session({}, "epoch 1\n", 1)
    kaggle.failure = "Your notebook was stopped after 12 hours"
    workspace.push()
    with pytest.raises(KaggleError, match=r"stopped after 12 hours; its last lines: epoch 1"):
        workspace.pull()


def test_session_without_output_of_kd(kaggle: FakeKaggle, workspace: Workspace) -> None:
    kaggle.runner = lambda request: Session({}, "hello\n", 0)
    workspace.push()
    with pytest.raises(KaggleError, match="no output of kd; is it another notebook"):
        workspace.pull()


def test_failed_session_with_the_output_of_an_earlier_one(
    kaggle: FakeKaggle, workspace: Workspace
) -> None:
    first = workspace.push()
    assert kaggle.notebooks[first.ref][0].done.wait(10)
    workspace.push(force=True)
    kaggle.notebooks[first.ref][1].session = kaggle.notebooks[first.ref][0].session
    kaggle.status, kaggle.failure = "ERROR", "out of time"
    with pytest.raises(KaggleError, match="failed: out of time"):
        workspace.pull()


def test_finished_members_of_a_stopped_training_are_pulled_and_resumed(
    kaggle: FakeKaggle, workspace: Workspace, session: Session
) -> None:
    def drop(files: dict[str, bytes]) -> None:
        for name in list(files):
            if name.startswith("members/1") or name in ("metrics.json", "oof.npy", "test.npy"):
                del files[name]

    def mark(manifest: dict[str, Any]) -> None:
        manifest |= {"state": "partial", "members_done": 1, "reason": "the limit is reached"}

    kaggle.runner = replay(changed(session, drop, manifest=mark, update_checksums=True))
    workspace.push()
    result = workspace.pull()
    assert result.manifest.state == "partial"
    assert not result.run.finished
    finished = resume(load(workspace.data), runs_dir=workspace.runs, name=RUN)
    assert finished.metrics()["n_val"] == 40


# Existing files and killed processes


def test_existing_run_or_submission_is_never_replaced(workspace: Workspace) -> None:
    workspace.push()
    workspace.submissions.mkdir()
    (workspace.submissions / f"{RUN}.csv").write_text("mine")
    with pytest.raises(SubmissionError, match="already exists"):
        workspace.pull()
    (workspace.submissions / f"{RUN}.csv").unlink()
    (workspace.runs / RUN).mkdir()
    (workspace.runs / RUN / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="already exists"):
        workspace.pull()
    assert (workspace.runs / RUN / "mine.txt").read_text() == "mine"


KILLED = """
import sys, time
from pathlib import Path
from kaggle_digits.kaggle_notebooks import pull, push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
folder = Path(sys.argv[1])
def hang(*args):
    (folder / "now").touch()
    time.sleep(60)
setattr(pull, sys.argv[2], hang)
pull.pull(push_record.find(folder / "runs", None), NotebookClient(), runs_dir=folder / "runs",
          submissions_dir=folder / "submissions", data_dir=folder / "data")
"""


@pytest.mark.parametrize("step", ["verify", "create_run"])
def test_killed_pull_leaves_no_partial_run(
    workspace: Workspace, kaggle: FakeKaggle, tmp_path: Path, step: str
) -> None:
    workspace.push()
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path), step])
    try:
        for _ in range(300):
            if (tmp_path / "now").exists():
                break
            time.sleep(0.1)
        assert (tmp_path / "now").exists()
    finally:
        child.kill()
        child.wait()
    assert list_runs(workspace.runs) == []
    assert not (workspace.runs / RUN).exists()
    assert not workspace.submissions.exists()
    downloads = kaggle.count("blob")
    assert workspace.pull().run.finished
    assert kaggle.count("blob") > downloads
    assert not any("downloads" in name for name in listing(workspace.runs))


@pytest.mark.parametrize("step", ["submission_files.write_run_submission", "push_record.write"])
def test_pull_killed_after_it_moved_the_run_is_completed_by_the_next(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    workspace.push()

    def kill(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"kaggle_digits.kaggle_notebooks.pull.{step}", kill)
        with pytest.raises(KeyboardInterrupt):
            workspace.pull()
    assert open_run(workspace.runs, RUN).finished
    result = workspace.pull()
    assert result.submission == workspace.submissions / f"{RUN}.csv"
    assert push_record.find(workspace.runs, RUN).state == push_record.PULLED
    with pytest.raises(RunError, match="already exists"):
        workspace.pull(RUN)


def test_pushing_another_run_does_not_touch_a_pulled_one(
    workspace: Workspace, kaggle: FakeKaggle, session: Session
) -> None:
    workspace.push()
    workspace.pull()
    workspace.push({**REQUEST, "name": "whole"}, force=True)
    assert open_run(workspace.runs, RUN).finished


# Output that differs from its manifest, or is not a valid run


def set_file(name: str, content: bytes | None = None) -> Any:
    """Return a change for ``changed``: replace a file, or delete it."""

    def change(files: dict[str, bytes]) -> None:
        if content is None:
            del files[name]
        else:
            files[name] = content

    return change


def array(rows: int, columns: int = 10, dtype: type = np.float32) -> bytes:
    """Return a .npy file of equal probabilities."""
    out = BytesIO()
    np.save(out, np.full((rows, columns), 1 / columns, dtype))
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_file("oof.npy"), "oof.npy is missing"),
        (set_file("oof.npy", array(39)), r"float32 \(39, 10\) instead of float32 \(40, 10\)"),
        (set_file("test.npy", array(24, dtype=np.float64)), "test.npy is damaged"),
        (set_file("test.npy", array(24, 11)), "test.npy is damaged"),
        (set_file("members/1/model.skops"), "member 1 has no model"),
        (set_file("members/1/member.json"), "1 of 2 finished members"),
        (set_file("members/0/test.npy", b"x"), ""),
        (set_file("config.json", b"{}"), "config.json is of another run"),
        (set_file("metrics.json", b"[]"), "metrics.json is damaged"),
        (set_file("history.csv", b"member\n"), "history.csv"),
        (set_file("../evil.py", b"x"), "leads outside"),
        (set_file("/evil.py", b"x"), "leads outside"),
        (set_file("a\\..\\evil.py", b"x"), "leads outside"),
        (set_file("members/../../evil.py", b"x"), "leads outside"),
        (set_file(".hidden", b"x"), "no file of a run"),
        (set_file("C:evil", b"x"), "leads outside"),
    ],
)
def test_invalid_run_is_rejected(
    kaggle: FakeKaggle, workspace: Workspace, session: Session, change: Any, message: str
) -> None:
    kaggle.runner = replay(changed(session, change, update_checksums=True))
    workspace.push()
    with pytest.raises(KaggleError, match=f"not valid: .*{message}"):
        workspace.pull()
    workspace.assert_nothing_pulled()


@pytest.mark.parametrize("update_archive", [False, True])
def test_archive_or_file_with_another_checksum_is_rejected(
    kaggle: FakeKaggle, workspace: Workspace, session: Session, *, update_archive: bool
) -> None:
    change = set_file("test.npy", array(24))

    def update(manifest: dict[str, Any]) -> None:
        if update_archive:
            archive = changed(session, change).files["kd-run.zip"]
            manifest["archive"] = {"name": "kd-run.zip", **file_info(archive)}

    kaggle.runner = replay(changed(session, change, manifest=update))
    workspace.push()
    with pytest.raises(KaggleError):
        workspace.pull()
    workspace.assert_nothing_pulled()


def test_links_and_zip_bombs_are_rejected(tmp_path: Path) -> None:
    def pack_and_unpack(info: zipfile.ZipInfo, content: bytes, size: int) -> None:
        path = tmp_path / "kd-run.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
            zipped.writestr(info, content)
        manifest = Manifest(
            push_id="a",
            run=RUN,
            state="finished",
            reason="",
            log_tail=(),
            files={info.filename: FileInfo(size, file_info(content)["sha256"])},
            archive=FileInfo(**file_info(path.read_bytes())),
            data={},
            members=1,
            members_done=1,
            toolkit="",
            gpus=[],
            seconds=1.0,
            versions={},
        )
        unpack(path, manifest, tmp_path / "out")

    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(KaggleError, match="contains a link"):
        pack_and_unpack(link, b"/etc/passwd", 11)
    bomb = zipfile.ZipInfo("bomb.npy")
    bomb.compress_type = zipfile.ZIP_DEFLATED
    with pytest.raises(KaggleError, match="unpacks to more than 1,000 bytes"):
        pack_and_unpack(bomb, bytes(8 << 20), 1000)
    assert not (tmp_path / "out").exists()
    with pytest.raises(KaggleError, match="more in it"):
        pack_and_unpack(bomb, b"x", 1 << 40)


@pytest.mark.parametrize(
    ("change", "key"), [({"files": []}, "files"), ({"members": "x"}, "members"), (None, "not JSON")]
)
def test_invalid_manifest_names_the_key(
    session: Session, change: dict[str, Any] | None, key: str
) -> None:
    manifest = json.loads(session.files["kd-manifest.json"])
    content = "{" if change is None else json.dumps({**manifest, **change})
    with pytest.raises(KaggleError, match=f"manifest is damaged .*{key}"):
        read_manifest(content)
