"""Training in several processes gives the same bits, also if processes are killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_limits

from kaggle_digits.core import environment
from kaggle_digits.core.environment import usable_cores
from kaggle_digits.core.errors import UsageError
from kaggle_digits.data.dataset import Dataset, load
from kaggle_digits.data.splits import FoldIndices, Split, split
from kaggle_digits.executors import local
from kaggle_digits.executors.local import LocalExecutor
from kaggle_digits.runs.run import Run
from kaggle_digits.training import fold
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.fold import FoldTask
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe
from kaggle_digits.training.train import resume, train
from tests.support.recording import KillingCallback, RecordingCallback

MLP = Recipe("mlp", widths=(16,), epochs=4, batch_size=100)
FOLDS = Split("folds", folds=3)
WORK = local._work
ONE_THREAD = LocalExecutor(workers=1, threads=1)


@pytest.fixture(scope="module")
def dataset(sample: Path) -> Dataset:
    return load(sample)


@pytest.fixture(scope="module")
def serial(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three members, trained one after another in this process with one thread."""
    with threadpool_limits(1):
        return train(dataset, MLP, FOLDS, runs_dir=tmp_path_factory.mktemp("serial"))


def have_equal_results(one: Run, other: Run) -> bool:
    def losses(run: Run) -> str:
        return str([(row["member"], row["val_loss"]) for row in run.read_history()])

    return (
        np.array_equal(one.oof(), other.oof(), equal_nan=True)
        and np.array_equal(one.test(), other.test())
        and losses(one) == losses(other)
    )


def kill_worker() -> None:
    (process,) = multiprocessing.active_children()
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()


def test_two_processes_give_the_same_bits_as_one(dataset: Dataset, tmp_path: Path) -> None:
    """One process trains a Keras network, the other one a model that needs no TensorFlow."""
    cnn = Recipe("cnn", widths=(4, 8), epochs=1, batch_size=100, optimizer="sgd")
    recipe, threads = EnsembleRecipe("two", (cnn, MLP)), threads_of_this_process()
    two, callback = LocalExecutor(workers=2, threads=threads), RecordingCallback()
    parallel = train(dataset, recipe, Split(), runs_dir=tmp_path, executor=two, callback=callback)
    one = train(dataset, recipe, Split(), runs_dir=tmp_path)
    assert have_equal_results(one, parallel)
    assert callback.count("epoch") == {0: 1, 1: 4}
    assert parallel.config()["trained_by"] == {
        "executor": "local",
        "workers": 2,
        "threads": threads,
    }
    assert (parallel.member_folder(0) / "model.keras").is_file()
    assert parallel.metrics()["peak_memory_mb"] > 100


def threads_of_this_process() -> int:
    """Return on how many threads TensorFlow and scikit-learn compute here."""
    return int(os.environ.get("TF_NUM_INTRAOP_THREADS") or environment._schedulable_cores())


def test_member_of_killed_process_is_retried_and_little_memory_is_said(
    serial: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that the kernel kills for want of memory cannot report it, so another one does."""
    monkeypatch.setattr(local, "memory", lambda: (1 << 30, 600 << 20))
    monkeypatch.setattr(local, "usable_cores", lambda: 1)  # with memory, this process would train
    callback = KillingCallback(1, 1, kill_worker)
    run = train(dataset, MLP, FOLDS, runs_dir=tmp_path, executor=LocalExecutor(), callback=callback)
    assert have_equal_results(run, serial)
    assert callback.count("finished") == {0: 1, 1: 1, 2: 1}
    assert not callback.restarted_after_finish
    little, retried = callback.notes
    assert little == "600 MB of memory are free; training 1 at a time may need 2,000 MB"
    assert retried.startswith("retrying member 2: its process was killed by SIGKILL")
    assert "(out of memory? 1.0 GB may be used here" in retried
    assert "failed" not in run.metrics()


def test_member_fails_after_three_attempts_and_the_others_complete(
    serial: Run, dataset: Dataset, tmp_path: Path
) -> None:
    callback = KillingCallback(1, 3, kill_worker)
    run = train(
        dataset, MLP, FOLDS, runs_dir=tmp_path, name="k", executor=ONE_THREAD, callback=callback
    )
    held_out = split(dataset.labels, FOLDS)[1].val
    assert np.isnan(run.oof()[held_out]).all()
    others = np.setdiff1d(np.arange(len(dataset.train)), held_out)
    assert np.array_equal(run.oof()[others], serial.oof()[others])
    (failed,) = run.metrics()["failed"]
    assert (failed["member"], failed["tries"]) == (1, 3)
    assert "SIGKILL" in failed["reason"]
    assert run.metrics()["n_val"] == len(others)
    with threadpool_limits(1):
        resumed = resume(dataset, runs_dir=tmp_path, name="k")
    assert have_equal_results(resumed, serial)
    assert "failed" not in resumed.metrics()


def test_resume_uses_the_checkpoint_that_a_process_sent(
    serial: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_work", work_with_checkpoints)
    checkpoint = tmp_path / serial.name / "members/0/checkpoint.npz"
    with pytest.raises(KeyboardInterrupt):
        train(
            dataset,
            MLP,
            FOLDS,
            runs_dir=tmp_path,
            name=serial.name,
            executor=ONE_THREAD,
            callback=InterruptAfterCheckpoint(checkpoint),
        )
    assert not multiprocessing.active_children()
    callback = RecordingCallback()
    with threadpool_limits(1):
        resumed = resume(dataset, runs_dir=tmp_path, callback=callback)
    assert have_equal_results(resumed, serial)
    assert 0 < callback.count("epoch")[0] < MLP.epochs


class InterruptAfterCheckpoint(TrainingCallback):
    """Raises KeyboardInterrupt after the first epoch that follows a checkpoint."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_epoch_end(self, row: EpochMetrics) -> None:
        if self._path.is_file():
            raise KeyboardInterrupt


def work_with_checkpoints(*arguments: Any) -> None:
    """Run a worker process that saves a checkpoint after every epoch."""
    fold.CHECKPOINT_INTERVAL = 0.0
    WORK(*arguments)


def test_worker_processes_end_with_their_parent(sample: Path, tmp_path: Path) -> None:
    """After kill -9 of kd no worker is left, finished members are kept and --resume continues."""
    command = [sys.executable, "-m", "kaggle_digits", "train", "--model", "mlp", "--folds", "4"]
    command += ["--epochs", "10", "--widths", "100", "--workers", "2", "--name", "k"]
    command += ["--data-dir", str(sample), "--runs-dir", str(tmp_path / "runs")]
    command += ["--submissions-dir", str(tmp_path / "submissions")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as kd:
        done = tmp_path / "runs/k/members/0/member.json"
        end = time.monotonic() + 60
        while not done.is_file() and time.monotonic() < end:
            time.sleep(0.02)
        started = psutil.Process(kd.pid).children(recursive=True)
        kd.kill()
    assert done.is_file()
    assert len(started) >= 2
    _, alive = psutil.wait_procs(started, timeout=20)
    assert not alive
    resumed = resume(load(sample), runs_dir=tmp_path / "runs", executor=LocalExecutor())
    assert resumed.metrics()["n_val"] == len(load(sample).train)
    assert resumed.config()["trained_by"]["threads"] == max(1, usable_cores() // 2)


def test_error_that_concerns_all_members_is_raised_once(dataset: Dataset, tmp_path: Path) -> None:
    broken = Recipe("mlp", dropout=0.5)
    for executor in (None, LocalExecutor(workers=2)):
        with pytest.raises(UsageError, match="has no option `dropout`"):
            train(dataset, broken, FOLDS, runs_dir=tmp_path, executor=executor)
    assert not list(tmp_path.glob("*/config.json"))


@pytest.mark.parametrize(
    ("settings", "members", "rows", "expected"),
    [
        ({}, 5, 1_000, (1, 4)),  # too few images for several processes
        ({}, 5, 40_000, (4, 1)),
        ({}, 1, 400_000, (1, 4)),
        ({"workers": 2}, 5, 1_000, (2, 2)),
        ({"workers": 8}, 5, 1_000, (5, 1)),
        ({"threads": 2}, 5, 1_000, (2, 2)),
        ({"workers": 1, "threads": 1}, 5, 40_000, (1, 1)),
        ({"gpus": 2}, 5, 1_000, (2, 2)),
        ({"gpus": 1}, 5, 40_000, (1, 4)),
    ],
)
def test_allocation(
    settings: dict[str, int],
    members: int,
    rows: int,
    expected: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(local, "usable_cores", lambda: 4)
    monkeypatch.setattr(local, "memory", lambda: (64_000 << 20, 64_000 << 20))
    indices = FoldIndices(np.arange(rows), np.arange(0))
    tasks = [FoldTask(k, Recipe("dense", epochs=10), indices, 0) for k in range(members)]
    assert LocalExecutor(**settings).allocation(tasks) == expected
    monkeypatch.setattr(local, "memory", lambda: (64_000 << 20, 3_000 << 20))
    if not settings:
        assert LocalExecutor().allocation(tasks) == (1, 4)


def test_a_container_with_one_core_trains_one_member_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ``docker run --cpus=1`` on a machine with eight cores."""
    (tmp_path / "own").write_text("0::/\n")
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    monkeypatch.setattr(environment, "CGROUPS", tmp_path)
    monkeypatch.setattr(environment, "OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(environment, "_schedulable_cores", lambda: 8)
    environment._cgroup_cores.cache_clear()
    indices = FoldIndices(np.arange(40_000), np.arange(0))
    tasks = [FoldTask(k, Recipe("dense", epochs=10), indices, 0) for k in range(5)]
    try:
        assert LocalExecutor().allocation(tasks) == (1, 1)
    finally:
        environment._cgroup_cores.cache_clear()


@pytest.mark.parametrize("settings", [{"workers": 0}, {"threads": -1}])
def test_zero_workers_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        LocalExecutor(**settings)
