"""The record of a push, and kd remote status through the real kaggle client."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kaggle_digits.core.errors import DigitsError, KaggleError, RunError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.push_record import PushStatus, get_status, wait
from kaggle_digits.runs.store import list_runs
from tests.kaggle_notebooks.conftest import REQUEST, Workspace
from tests.support.kaggle_server import FakeKaggle
from tests.support.kaggle_session import RUN
from tests.support.kernels import Session


def test_record_is_read_back(workspace: Workspace) -> None:
    record = workspace.push()
    assert push_record.read(workspace.runs, RUN) == record
    assert push_record.find(workspace.runs, None) == record


def test_two_processes_cannot_use_one_push(workspace: Workspace) -> None:
    workspace.push()
    with push_record.lock(workspace.runs, RUN), pytest.raises(RunError, match="another kd"):
        workspace.pull()


def test_record_of_a_run_called_config_is_not_a_run(workspace: Workspace) -> None:
    workspace.push({**REQUEST, "name": "config"})
    assert list_runs(workspace.runs) == []


@pytest.mark.parametrize("content", ["{", "{}", '{"run": 1}'])
def test_damaged_record_names_its_folder(workspace: Workspace, content: str) -> None:
    workspace.push()
    (push_record.record_dir(workspace.runs, RUN) / "push.json").write_text(content)
    with pytest.raises(DigitsError, match="is damaged; delete"):
        push_record.find(workspace.runs, RUN)


def test_wait_reports_each_change(kaggle: FakeKaggle, workspace: Workspace) -> None:
    seen_running = threading.Event()
    finish = kaggle.runner

    def run(request: dict[str, Any]) -> Session:
        assert seen_running.wait(30)
        return finish(request)

    kaggle.runner = run
    states: list[str] = []

    def on_change(status: PushStatus) -> None:
        states.append(status.state)
        seen_running.set()

    assert wait(workspace.push(), workspace.client, on_change).state == "complete"
    assert states == ["running", "complete"]


def test_queued_session_cannot_be_pulled(kaggle: FakeKaggle, workspace: Workspace) -> None:
    record = workspace.push()
    kaggle.status = "QUEUED"
    assert get_status(record, workspace.client).state == "queued"
    with pytest.raises(KaggleError, match="is queued; wait for it"):
        workspace.pull()


@pytest.mark.parametrize("numbers", [True, False])
def test_earlier_version_cannot_be_pulled(
    kaggle: FakeKaggle, workspace: Workspace, *, numbers: bool
) -> None:
    kaggle.numbers = numbers
    workspace.push()
    second = workspace.push(force=True)
    kaggle.lagging = True
    assert get_status(second, workspace.client).stale is numbers
    with pytest.raises(KaggleError, match="still shows the earlier version"):
        workspace.pull()
    workspace.assert_nothing_pulled()
    kaggle.lagging = False
    assert workspace.pull().manifest.push_id == second.push_id
