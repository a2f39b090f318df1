"""kd remote status through the real kaggle client."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kaggle_digits.core.errors import KaggleError
from kaggle_digits.kaggle_notebooks.status import PushStatus, get_status, wait
from tests.kaggle_notebooks.conftest import Workspace
from tests.support.kaggle_server import FakeKaggle
from tests.support.kernels import Session


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
