"""kd remote push through the real kaggle client."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits._version import __version__
from kaggle_digits.core.errors import KaggleError, RunError, UsageError
from kaggle_digits.kaggle_notebooks import push as push_module
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.entry_point import unpack
from kaggle_digits.kaggle_notebooks.push import PACKAGE, is_packed, make_script, pack_source
from tests.kaggle_notebooks.conftest import REQUEST, SETTINGS, Workspace
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle, Fault
from tests.support.kaggle_session import RUN, job


def test_request_for_a_gpu_session(kaggle: FakeKaggle, workspace: Workspace) -> None:
    record = workspace.push({**SETTINGS, "accelerator": "NvidiaTeslaT4", "seed": 3})
    request = kaggle.notebooks["someone/kd-far"][0].request
    assert {key: value for key, value in request.items() if key != "text"} == {
        "slug": "someone/kd-far",
        "newTitle": "kd far",
        "language": "python",
        "kernelType": "script",
        "competitionDataSources": ["digit-recognizer"],
        "isPrivate": True,
        "enableGpu": True,
        "enableInternet": True,
        "machineShape": "NvidiaTeslaT4",
        "sessionTimeoutSeconds": 32400,
    }
    assert (record.ref, record.version, record.state) == ("someone/kd-far", 1, "pushed")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": "no-such"}, "no recipe called"),
        ({"folds": 1}, "folds"),
        ({"epochs": 0}, "epochs"),
        ({"hours": 13}, "between 0 and 12"),
        ({"name": "a/b"}, "cannot name a run"),
        ({"slug": "Big"}, "cannot name a notebook"),
        ({"name": "x" * 60}, "--slug"),
    ],
)
def test_invalid_request_is_not_sent(
    kaggle: FakeKaggle, workspace: Workspace, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        workspace.push({**REQUEST, **changes})
    assert kaggle.calls == []


def test_name_of_an_existing_run_or_submission_is_not_sent(
    kaggle: FakeKaggle, workspace: Workspace
) -> None:
    (workspace.runs / RUN).mkdir(parents=True)
    with pytest.raises(RunError, match="already exists"):
        workspace.push()
    (workspace.runs / RUN).rmdir()
    workspace.submissions.mkdir()
    (workspace.submissions / f"{RUN}.csv").touch()
    with pytest.raises(RunError, match="already exists"):
        workspace.push()
    assert kaggle.calls == []


def test_default_name_is_the_first_free_number(workspace: Workspace) -> None:
    request = {**REQUEST, "name": None}
    assert workspace.push(request).run == "linear-1"
    assert workspace.push(request).run == "linear-2"


def test_push_that_was_not_pulled_needs_force(workspace: Workspace) -> None:
    first = workspace.push()
    with pytest.raises(RunError, match="not pulled yet"):
        workspace.push()
    second = workspace.push(force=True)
    assert second.version == 2
    assert second.push_id != first.push_id
    with pytest.raises(RunError, match="trains run far"):
        workspace.push({**REQUEST, "name": "other", "slug": "kd-far"})


def test_default_slug(workspace: Workspace) -> None:
    assert workspace.push({**REQUEST, "name": "x"}).ref == "someone/kd-run-x"
    assert workspace.push({**REQUEST, "name": "a_B"}).ref == "someone/kd-a-b"
    with pytest.raises(RunError, match="trains run a_B"):
        workspace.push({**REQUEST, "name": "a-b"})


def test_kaggle_makes_the_slug_of_the_title(workspace: Workspace) -> None:
    from slugify import slugify  # the kaggle client's

    for name in ("far", "x", "fast-1", "A_b-3", "Best2"):
        prepared = workspace.prepare({**REQUEST, "name": name})
        assert slugify(prepared.slug.replace("-", " ")) == prepared.slug


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("status", 401, "Unauthenticated"), "does not accept the API key of someone"),
        (Fault("status", 403, "Permission 'kernels.create' was denied"), "verify your phone"),
        (Fault("status", 400, "Maximum batch GPU session count of 2 reached."), "GPU session"),
        (Fault("status", 429), "rate limit"),
    ],
)
def test_rejected_push_leaves_no_record(
    kaggle: FakeKaggle, workspace: Workspace, fault: Fault, message: str
) -> None:
    kaggle.fail("SaveKernel", fault, times=9)
    with pytest.raises(KaggleError, match=message) as caught:
        workspace.push()
    assert "slug" not in str(caught.value)
    assert push_record.read_all(workspace.runs) == []
    assert not kaggle.notebooks


def test_error_in_a_successful_response(kaggle: FakeKaggle, workspace: Workspace) -> None:
    kaggle.save_error = "Your notebook title must be unique"
    with pytest.raises(KaggleError, match=r"rejects the notebook .*: Your notebook title must"):
        workspace.push()
    assert push_record.read_all(workspace.runs) == []


@pytest.mark.parametrize("fault", [Fault("lost"), Fault("status", 500), Fault("html")])
def test_unconfirmed_push_is_sent_once_and_recorded(
    kaggle: FakeKaggle, workspace: Workspace, fault: Fault
) -> None:
    kaggle.fail("SaveKernel", fault, times=9)
    with pytest.raises(KaggleError, match="not known whether someone/kd-far was pushed"):
        workspace.push()
    assert kaggle.count("SaveKernel") == 1
    assert push_record.find(workspace.runs, RUN).state == "sending"


def test_push_after_an_unconfirmed_one_can_be_pulled(
    kaggle: FakeKaggle, workspace: Workspace
) -> None:
    kaggle.fail("SaveKernel", Fault("lost"))
    with pytest.raises(KaggleError, match="not known"):
        workspace.push()
    workspace.push(force=True)
    assert workspace.pull().run.finished


def test_no_credential_is_sent_or_saved(
    kaggle: FakeKaggle, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    workspace.client = NotebookClient(policy=workspace.client.policy, progress=workspace.progress)
    record = workspace.push()
    workspace.pull()
    script = kaggle.notebooks[record.ref][0].request["text"]
    contents = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    notes = "\n".join(workspace.progress.notes)
    for secret in (TOKEN, KEY):
        assert secret not in script
        assert secret not in notes
        assert not any(secret.encode() in content for content in contents)
    assert str(os.environ["HOME"]) not in script


# The script


def test_credentials_are_not_packed() -> None:
    assert is_packed(Path("kaggle_notebooks", "script.py"))
    for name in ("kaggle.json", "credentials.json", ".kaggle/a.json", "__pycache__/a.py"):
        assert not is_packed(Path("kaggle_notebooks", name))


def test_same_job_gives_the_same_script_without_local_paths() -> None:
    first = make_script(job())
    pack_source.cache_clear()
    assert make_script(job()) == first
    assert len(first.encode()) < push_module.MAX_BYTES / 2
    assert str(Path.home()) not in first
    assert str(PACKAGE) not in first
    compile(first, "script.py", "exec")


def test_whole_package_is_packed(tmp_path: Path) -> None:
    unpack(*pack_source(), tmp_path)
    here = {
        path.relative_to(PACKAGE).as_posix(): path.read_bytes()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        if path.suffix != ".npz"  # weights that only pictures need
    }
    unpacked = {
        path.relative_to(tmp_path / "kaggle_digits").as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert unpacked.pop("_version.py") == f"__version__ = {__version__!r}\n".encode()
    del here["_version.py"]
    assert unpacked == here


def test_script_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push_module, "MAX_BYTES", 1000)
    with pytest.raises(KaggleError, match=r"bytes and Kaggle accepts 1,000"):
        make_script(job())


def test_recipe_text_with_quotes_survives() -> None:
    text = '{"name": "it\'s \\"quoted\\" \\\\ and \\n é"}'
    source = make_script(job(recipe="mine.json", recipe_text=text)).rpartition("if __name__")[0]
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(source, "script.py", "exec"), names)
    assert json.loads(names["SETTINGS"])["recipe_text"] == text
