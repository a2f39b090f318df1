"""The plane of the bottleneck study: where a digit stands among others, as two numbers."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.models.litert import LITERT_FILE, LiteRTClassifier

FOLDER, POINTS = Path("studies", "bottleneck"), "points.npz"


class Plane:
    """The encoding half of a bottleneck network, and where held-out digits stand in its plane.

    Attributes:
        points: (n, 2) float32.
        labels: (n,) uint8, the digit of each point.
    """

    def __init__(
        self,
        points: NDArray[np.float32],
        labels: NDArray[np.uint8],
        encode: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    ) -> None:
        self.points, self.labels, self._encode = points, labels, encode

    def place(self, image: NDArray[np.uint8]) -> tuple[float, float]:
        """(28, 28) uint8, 0 background to 255 ink → its point; one thread at a time."""
        ((across, down),) = self._encode(image[None]).tolist()
        return across, down


def open_plane(runs_dir: Path) -> Plane | None:
    """What ``kd study bottleneck`` left in ``runs_dir``; None where it left nothing whole."""
    folder = runs_dir / FOLDER
    try:
        with np.load(folder / POINTS) as kept:
            points, labels = kept["points"], kept["labels"]
        return Plane(points, labels, LiteRTClassifier(folder / LITERT_FILE))
    except Exception:
        # Missing, of another version or damaged: the study makes it again in a minute.
        return None


def points_file(points: NDArray[np.float32], labels: NDArray[np.uint8]) -> bytes:
    """points.npz as bytes, for the study to keep."""
    out = io.BytesIO()
    np.savez(out, points=points.astype(np.float32), labels=labels.astype(np.uint8))
    return out.getvalue()
