"""Tests of kaggle_digits.tuning.storage: full disks, damaged files, killed processes, passwords."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import optuna
import pytest

from kaggle_digits.core.errors import RunError, StorageError, UsageError
from kaggle_digits.data.dataset import Dataset
from kaggle_digits.tuning import storage
from kaggle_digits.tuning.results import TrialCallback, save_plots, write_recipe
from kaggle_digits.tuning.search import load_search, search
from tests.support.disks import SmallDisk, small_disk
from tests.support.searches import RATES, SMALL, SPLIT, start_search
from tests.support.windows import windows_files

__all__ = ["small_disk", "windows_files"]

PASSWORD = "s3cret-%7Bword"


class Warnings(TrialCallback):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def on_warning(self, text: str) -> None:
        self.texts.append(text)


def test_trial_of_killed_process_fails_and_is_retried(
    sample: Path, dataset: Dataset, tmp_path: Path
) -> None:
    process = start_search(sample, tmp_path, trials=5, pause=60, first_pause=3)
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["1\n", "2\n", "3\n"]
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    before = load_search(SMALL, RATES, runs_dir=tmp_path)
    assert [trial.state for trial in before.trials] == ["finished", "finished", "running"]
    started = time.monotonic()
    callback = Warnings()
    result = search(dataset, SMALL, RATES, SPLIT, trials=5, runs_dir=tmp_path, callback=callback)
    (warning,) = callback.texts
    assert warning.startswith("the process of trial 3 was killed (out of memory?")
    assert time.monotonic() - started < 30, "the search waited for the killed process"
    assert result.done == 5
    assert [trial.state for trial in result.trials].count("stopped") == 1
    assert result.trials[2].state == "stopped"
    assert result.trials[3].values == result.trials[2].values
    assert not list(result.folder.glob(".trial-*"))


def test_trials_of_live_processes_are_not_failed(tmp_path: Path, windows_files: None) -> None:
    study = optuna.create_study(storage=storage.open_storage(None, tmp_path), study_name="a")
    here, on_another_machine = study.ask(), study.ask()
    with storage.trial_lock(tmp_path, here.number):
        storage.fail_stale_trials(study, tmp_path)
        assert [trial.state.name for trial in study.trials] == ["RUNNING", "RUNNING"]
    storage.fail_stale_trials(study, tmp_path)
    assert [trial.state.name for trial in study.trials] == ["FAIL", "RUNNING"]
    assert on_another_machine.number == 1
    assert not list(tmp_path.glob(".trial-*"))


def test_trial_is_retried_twice_at_most(tmp_path: Path) -> None:
    study = optuna.create_study(storage=storage.open_storage(None, tmp_path), study_name="a")
    study.enqueue_trial({"x": 0.5})
    for attempt in range(1, 4):
        trial = study.ask()
        assert trial.suggest_float("x", 0, 1) == 0.5
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        for _ in range(2):  # the second call finds nothing to do
            storage.fail_stale_trials(study, tmp_path)
        assert len(study.trials) == min(attempt + 1, 3)


def test_full_disk_keeps_finished_trials(small_disk: SmallDisk, dataset: Dataset) -> None:
    disk = small_disk(2_000)

    class FillDisk(TrialCallback):
        def on_trial_begin(self, number: int, values: object, folds: int) -> None:
            if number == 2:
                with suppress(OSError):
                    (disk / "filler").write_bytes(b"0" * 3_000_000)

    with pytest.raises(StorageError, match=r"no space left .*journal\.log; .* trials are kept"):
        search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=disk, callback=FillDisk())
    (disk / "filler").unlink()
    assert search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=disk).done >= 3


def test_partial_last_line_of_journal_is_removed(dataset: Dataset, tmp_path: Path) -> None:
    first = search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path)
    journal = first.folder / storage.JOURNAL
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"a","study')
    result = search(dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path)
    assert result.done == 2
    assert load_search(SMALL, RATES, runs_dir=tmp_path).trials == result.trials


@pytest.mark.parametrize("content", [b"no journal" * 1000, b"no\njournal\n", b'{"a": 1}\n', b"5\n"])
def test_damaged_journal_is_reported(content: bytes, dataset: Dataset, tmp_path: Path) -> None:
    folder = search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path).folder
    (folder / storage.JOURNAL).write_bytes(content)
    with pytest.raises(RunError, match=r"journal\.log is damaged .*; delete the file") as raised:
        search(dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path)
    assert "\n" not in str(raised.value)
    assert (folder / storage.JOURNAL).read_bytes() == content


def test_journal_damaged_during_the_search_is_reported(dataset: Dataset, tmp_path: Path) -> None:
    class Damage(TrialCallback):
        def on_trial_begin(self, number: int, values: object, folds: int) -> None:
            journal = tmp_path / "tuning" / "mlp" / storage.JOURNAL
            journal.write_bytes(b"no journal" * 1000)

    with pytest.raises(RunError, match=r"journal\.log is damaged") as raised:
        search(dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path, callback=Damage())
    assert "\n" not in str(raised.value)


def test_study_of_older_version_is_continued_with_its_url(dataset: Dataset, tmp_path: Path) -> None:
    folder = tmp_path / "tuning" / "mlp"
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder / storage.OLD_DATABASE}"
    search(dataset, SMALL, RATES, SPLIT, trials=2, runs_dir=tmp_path, storage=url)
    with pytest.raises(RunError, match=rf"older version .* `storage='{url}"):
        search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path)
    result = search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path, storage=url)
    in_journal = search(dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=tmp_path / "new")
    values = [trial.values for trial in in_journal.trials]
    assert [trial.values for trial in result.trials] == values


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:1/digits",
        f"mysql://me:{PASSWORD}@127.0.0.1/digits",
        f"nonsense://me:{PASSWORD}@host/digits",
        f"me:{PASSWORD}@host",
        f"sqlite:////dev/null/no/{PASSWORD}.db",
    ],
)
def test_password_is_not_in_messages(url: str, dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`storage`") as raised:
        search(dataset, SMALL, RATES, SPLIT, trials=1, runs_dir=tmp_path, storage=url)
    error: BaseException | None = raised.value
    assert raised.value.__suppress_context__
    while error is not None:
        assert "s3cret" not in str(error)
        error = error.__cause__


def test_url_is_not_saved(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "s3cret.db"
    file.parent.mkdir()
    runs_dir = tmp_path / "runs"
    result = search(
        dataset, SMALL, RATES, SPLIT, trials=3, runs_dir=runs_dir, storage=f"sqlite:///{file}"
    )
    write_recipe(result)
    save_plots(result)
    assert file.is_file()
    files = [path for path in runs_dir.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {".study.lock", "best.json", "slice.png"}
    assert all(b"s3cret" not in path.read_bytes() for path in [*files, file])
