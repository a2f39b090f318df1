"""A working folder whose pushes go to the fake Kaggle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kaggle_digits.kaggle_api.http import RetryPolicy
from kaggle_digits.kaggle_notebooks import push_record
from kaggle_digits.kaggle_notebooks.api import NotebookClient
from kaggle_digits.kaggle_notebooks.pull import PullResult, pull
from kaggle_digits.kaggle_notebooks.push import JobSpec, make_script, prepare, push
from kaggle_digits.kaggle_notebooks.push_record import PushRecord
from kaggle_digits.runs.store import list_runs
from tests.support.competition_files import data_folder
from tests.support.fixtures import RecordingProgress
from tests.support.kaggle_server import FakeKaggle
from tests.support.kaggle_session import RUN, listing, session
from tests.support.kernels import Session, replay

__all__ = ["session"]

SETTINGS = {"recipe": "linear", "name": RUN, "accelerator": None, "internet": True, "hours": 8.5}
REQUEST: dict[str, Any] = {**SETTINGS, "folds": 2}


class Workspace:
    """Folders for runs, submissions and data, and a client of the fake Kaggle."""

    def __init__(self, folder: Path, policy: RetryPolicy, kaggle: FakeKaggle) -> None:
        self.runs, self.submissions = folder / "runs", folder / "submissions"
        self.data = data_folder(folder / "data")
        self.kaggle = kaggle
        self.progress = RecordingProgress()
        slow = replace(policy, connect_timeout=10.0, read_timeout=10.0, call_timeout=30.0)
        self.client = NotebookClient(policy=slow, progress=self.progress)

    def prepare(self, request: dict[str, Any]) -> JobSpec:
        return prepare(**request, runs_dir=self.runs, submissions_dir=self.submissions)

    def push(self, request: dict[str, Any] = REQUEST, *, force: bool = False) -> PushRecord:
        spec = self.prepare(request)
        script = make_script(spec)
        return push(spec, script, client=self.client, runs_dir=self.runs, force=force)

    def pull(self, run: str | None = None, data: Path | None = None) -> PullResult:
        record = push_record.find(self.runs, run)
        for versions in self.kaggle.notebooks.values():
            assert versions[-1].done.wait(60)
        return pull(
            record,
            self.client,
            runs_dir=self.runs,
            submissions_dir=self.submissions,
            data_dir=data or self.data,
        )

    def assert_nothing_pulled(self) -> None:
        """There is no run and no submission; only the record of the push and its downloads."""
        assert list_runs(self.runs) == []
        names = [name for name in listing(self.runs) if Path(name).parent.name != "downloads"]
        assert names == [f".remote/{RUN}/push.json"]
        assert not self.submissions.exists()


@pytest.fixture
def workspace(
    kaggle: FakeKaggle, tmp_path: Path, policy: RetryPolicy, session: Session
) -> Workspace:
    """A workspace in which every push has the result of the same real session."""
    kaggle.runner = replay(session)
    return Workspace(tmp_path, policy, kaggle)
