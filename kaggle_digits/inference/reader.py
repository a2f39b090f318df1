"""A finished run that reads images at once, without TensorFlow where its networks allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.errors import RunError
from kaggle_digits.metrics.calibration import apply_temperature
from kaggle_digits.models.litert import load_for_inference
from kaggle_digits.runs.run import Run
from kaggle_digits.runs.store import list_runs, open_run
from kaggle_digits.training.predict import predict_images


class Reader:
    """A finished run with all its members loaded; one thread at a time may ask it.

    Attributes:
        run: the run's name.
        accuracy: on its held-out rows, 0 to 1; None where nothing was held out.
    """

    def __init__(self, run: Run) -> None:
        """Load every member.

        Raises:
            RunError: the run is not finished.
            ModelError: a member's model is missing or damaged.
        """
        self.run = run.name
        self.accuracy: float | None = run.metrics().get("val_accuracy")
        self._temperature = float(run.metrics().get("temperature", 1.0))
        self._run = run
        self._members = [load_for_inference(folder) for folder in run.member_folders()]

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, 28, 28) uint8, 0 background to 255 ink → (n, 10) float32.

        As test.csv was predicted: all members, the views of the recipe, a committee's weights. Then
        by the temperature learnt on the held-out rows, so that 90 % sure is 9 times of 10 right.
        """
        return apply_temperature(
            predict_images(self._run, self._members, images), self._temperature
        )


def readable_runs(runs_dir: Path) -> list[Run]:
    """The finished runs in ``runs_dir``, best accuracy on held-out rows first."""
    known = []
    for run in list_runs(runs_dir):
        try:
            known.append((run.metrics().get("val_accuracy") or 0.0, run))
        except RunError:  # unfinished or damaged: kd runs says more
            continue
    return [run for _, run in sorted(known, key=lambda pair: (-pair[0], pair[1].name))]


def open_reader(runs_dir: Path, name: str | None = None) -> Reader:
    """The run called ``name``, or the best one, ready to read.

    Raises:
        RunError: there is none, or it is not finished.
        ModelError: a member's model is missing or damaged.
    """
    if name is not None:
        return Reader(open_run(runs_dir, name))
    runs = readable_runs(runs_dir)
    if not runs:
        raise RunError(
            f"no finished run in {runs_dir} to read with; make one: "
            "kd fetch --source sample, then kd train --model cnn"
        )
    return Reader(runs[0])
