"""Small recipes, a callback that interrupts a training, a process on JAX, a comparison of runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from kaggle_digits.data.splits import Split
from kaggle_digits.runs.run import Run
from kaggle_digits.training.callbacks import EpochMetrics, TrainingCallback
from kaggle_digits.training.recipe import EnsembleRecipe, Recipe

# SGD, because TensorFlow traces a step of AdamW in twice the time.
DENSE = Recipe("dense", widths=(64,), epochs=3, batch_size=32, optimizer="sgd", learning_rate=0.1)
MLP = Recipe("mlp", widths=(16,), epochs=4, batch_size=100)
TWO = EnsembleRecipe("two", (DENSE, MLP.with_changes(widths=(32,), epochs=10)), folds=3)
FOLDS = Split("folds", folds=3)
# As in tests/conftest.py. By default, JAX keeps only what takes a second to compile.
SET_UP_JAX = """
import jax
from kaggle_digits.training import keras_trainer
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
keras_trainer.BATCHNORM_STEPS, keras_trainer.BATCHNORM_BATCH_SIZE = 8, 64
"""


def identical(one: Run, other: Run) -> bool:
    """Whether two runs agree bit for bit in everything but times and memory."""
    measured = ("train_seconds", "finished", "peak_memory_mb")
    metrics, histories = [], []
    for run in (one, other):
        assert "peak_memory_mb" in run.metrics()
        metrics.append({k: v for k, v in run.metrics().items() if k not in measured})
        histories.append(
            [{k: v for k, v in row.items() if k != "seconds"} for row in run.read_history()]
        )
    return (
        np.array_equal(one.oof(), other.oof(), equal_nan=True)
        and np.array_equal(one.test(), other.test())
        and metrics[0] == metrics[1]
        and str(histories[0]) == str(histories[1])  # as text, because NaN != NaN
    )


class StopAfter(TrainingCallback):
    """Interrupts the training when ``epoch`` of ``member`` has ended."""

    def __init__(self, member: int, epoch: int) -> None:
        self.at = (member, epoch)

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """Raise what Ctrl-C raises."""
        if (row.member, row.epoch) == self.at:
            raise KeyboardInterrupt


class CopyAfter(TrainingCallback):
    """Copies the run's folder when ``epoch`` of member 0 has ended, as kill -9 would leave it."""

    def __init__(self, epoch: int, folder: Path, copy: Path) -> None:
        self._epoch, self._folder, self._copy = epoch, folder, copy

    def on_epoch_end(self, row: EpochMetrics) -> None:
        """Copy the folder."""
        if (row.member, row.epoch) == (0, self._epoch):
            shutil.copytree(self._folder, self._copy)


class RecordStarts(StopAfter):
    """Records (member, first epoch) of every member that starts; may also interrupt."""

    def __init__(self, member: int = -1, epoch: int = 0) -> None:
        super().__init__(member, epoch)
        self.starts: list[tuple[int, int]] = []

    def on_member_begin(self, member: int, *rest: Any) -> None:
        """Record it."""
        self.starts.append((member, rest[-1]))


def run_on_jax(code: str, sample: Path, folder: Path) -> None:
    """Run ``code`` with the arguments ``sample`` and ``folder`` in a process that uses JAX.

    It must print nothing to stderr; what JAX compiles is kept in ``folder``, so that trainings of
    the same network compile once.
    """
    done = subprocess.run(
        [sys.executable, "-c", SET_UP_JAX + code, str(sample), str(folder)],
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "JAX_COMPILATION_CACHE_DIR": f"{folder}/compiled",
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
