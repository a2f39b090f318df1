"""The record of a push."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaggle_digits.core.errors import DigitsError, RunError
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.runs.store import list_runs
from tests.kaggle_notebooks.conftest import REQUEST, Workspace
from tests.support.kaggle_session import RUN


def test_record_is_read_back(workspace: Workspace) -> None:
    record = workspace.push()
    assert push_record.read(workspace.runs, RUN) == record
    assert push_record.find(workspace.runs, None) == record


def test_two_processes_cannot_use_one_push(workspace: Workspace) -> None:
    workspace.push()
    with push_record.lock(workspace.runs, RUN), pytest.raises(RunError, match="another kd"):
        workspace.pull()


def test_record_of_a_run_called_config_is_not_a_run(workspace: Workspace) -> None:
    workspace.push(replace(REQUEST, name="config"))
    assert list_runs(workspace.runs) == []


@pytest.mark.parametrize("content", ["{", "{}", '{"run": 1}'])
def test_damaged_record_names_its_folder(workspace: Workspace, content: str) -> None:
    workspace.push()
    (push_record.record_dir(workspace.runs, RUN) / "push.json").write_text(content)
    with pytest.raises(DigitsError, match="is damaged; delete"):
        push_record.find(workspace.runs, RUN)
