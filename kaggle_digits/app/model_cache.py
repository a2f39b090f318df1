"""The readers that the app has open: each loaded once, asked by one thread at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kaggle_digits.inference.classify import Answer, read_picture
from kaggle_digits.inference.plane import Plane, open_plane
from kaggle_digits.inference.reader import Reader, open_reader, readable_runs

MOST_POINTS = 1500


@dataclass(frozen=True)
class Known:
    """A run that can be chosen."""

    name: str
    accuracy: float | None


@dataclass(frozen=True)
class _Kept:
    reader: Reader
    lock: Lock = field(default_factory=Lock)  # an interpreter is not safe for two threads

    def predict_proba(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self.lock:
            return self.reader.predict_proba(images)


class Shelf:
    """The finished runs of one folder, opened as they are asked for."""

    def __init__(self, runs_dir: Path, run: str | None = None) -> None:
        """Open the run called ``run``, or the best one.

        Raises:
            RunError: there is none, or it is not finished.
            UsageError: ``run`` cannot name a run.
            ModelError: its model is missing or damaged.
        """
        self._runs_dir = runs_dir
        first = _Kept(open_reader(runs_dir, run))
        self.default = first.reader.run
        self._kept = {self.default: first}
        self._opening = Lock()
        self._plane: Plane | None = None
        self._looked = False
        self._placing = Lock()

    def runs(self) -> list[Known]:
        """Every finished run, best first; those trained since the start are among them."""
        return [
            Known(run.name, run.metrics().get("val_accuracy"))
            for run in readable_runs(self._runs_dir)
        ]

    def read(self, picture: Image.Image, run: str | None = None) -> tuple[str, Answer]:
        """The name of the run that read ``picture``, and its answer.

        Raises:
            RunError, UsageError, ModelError: as for the first run.
        """
        kept = self._open(run or self.default)
        return kept.reader.run, read_picture(kept, picture)

    def warm_up(self) -> None:
        """Read something, so that the first reading of a visitor is as quick as the next."""
        picture = Image.new("L", (28, 28), 0)
        picture.paste(255, (12, 5, 16, 23))
        self.read(picture)
        self.plane()

    def plane(self, *, again: bool = False) -> Plane | None:
        """The bottleneck study's plane; with ``again`` one that was missing is looked for anew."""
        with self._placing:
            if self._plane is None and (again or not self._looked):
                self._plane, self._looked = open_plane(self._runs_dir), True
            return self._plane

    def place(self, answer: Answer) -> tuple[float, float] | None:
        """Where what was read stands in the plane; None without a digit or a plane."""
        plane = self.plane()
        if plane is None or answer.digit is None:
            return None
        with self._placing:
            x, y = plane.place(answer.image)
        return float(x), float(y)

    def _open(self, name: str) -> _Kept:
        if name in self._kept:
            return self._kept[name]
        # Two visitors who choose the same run at once wait for one loading of it.
        with self._opening:
            if name not in self._kept:
                self._kept[name] = _Kept(open_reader(self._runs_dir, name))
            return self._kept[name]


def thinned(plane: Plane, most: int = MOST_POINTS) -> list[tuple[float, float, int]]:
    """At most ``most`` points of ``plane``, evenly taken, as x, y, label."""
    count = len(plane.points)
    taken = np.linspace(0, count - 1, min(count, most)).astype(int)
    return [
        (round(float(x), 3), round(float(y), 3), int(label))
        for (x, y), label in zip(plane.points[taken], plane.labels[taken], strict=True)
    ]
