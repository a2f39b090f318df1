"""kd remote push through the real kaggle client."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kaggle_digits.core.errors import KaggleError, RunError, UsageError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.push import PushRequest
from tests.kaggle_notebooks.conftest import REQUEST, Workspace
from tests.support.kaggle_server import KEY, TOKEN, FakeKaggle, Fault
from tests.support.kaggle_session import RUN


def test_request_for_a_gpu_session(kaggle: FakeKaggle, workspace: Workspace) -> None:
    record = workspace.push(PushRequest("linear", name=RUN, seed=3))
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
    ("request_", "message"),
    [
        (PushRequest("no-such"), "no recipe called"),
        (replace(REQUEST, folds=1), "folds"),
        (replace(REQUEST, epochs=0), "epochs"),
        (replace(REQUEST, hours=13), "between 0 and 12"),
        (replace(REQUEST, name="a/b"), "cannot name a run"),
        (replace(REQUEST, slug="Big"), "cannot name a notebook"),
        (replace(REQUEST, name="x" * 60), "--slug"),
    ],
)
def test_invalid_request_is_not_sent(
    kaggle: FakeKaggle, workspace: Workspace, request_: PushRequest, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        workspace.push(request_)
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
    request = replace(REQUEST, name=None)
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
        workspace.push(replace(REQUEST, name="other", slug="kd-far"))


def test_default_slug(workspace: Workspace) -> None:
    assert workspace.push(replace(REQUEST, name="x")).ref == "someone/kd-run-x"
    assert workspace.push(replace(REQUEST, name="a_B")).ref == "someone/kd-a-b"
    with pytest.raises(RunError, match="trains run a_B"):
        workspace.push(replace(REQUEST, name="a-b"))


def test_kaggle_makes_the_slug_of_the_title(workspace: Workspace) -> None:
    from slugify import slugify  # the kaggle client's

    for name in ("far", "x", "fast-1", "A_b-3", "Best2"):
        prepared = workspace.prepare(replace(REQUEST, name=name))
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
