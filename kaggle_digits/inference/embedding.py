"""The two-dimensional embedding of digits that ``kd study bottleneck`` trains and saves."""

import io
from collections.abc import Callable
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from kaggle_digits.core.atomic_io import read_file
from kaggle_digits.models.formats import LITERT_FILE, LiteRTClassifier

FOLDER, POINTS_FILE = Path("studies", "bottleneck"), "points.npz"
MAX_POINTS_BYTES = 64 << 20


class Embedding:
    """The encoder of a bottleneck network, and held-out ``points`` (n, 2) that it encoded."""

    def __init__(
        self,
        points: NDArray[np.float32],
        labels: NDArray[np.uint8],
        encoder: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    ) -> None:
        self.points, self.labels = points, labels
        self._encoder, self._lock = encoder, Lock()  # a LiteRT interpreter is not thread-safe

    def transform(self, image: NDArray[np.uint8]) -> tuple[float, float]:
        """Encode one (28, 28) uint8 image, 0 background to 255 ink."""
        with self._lock:
            ((x, y),) = self._encoder(image[None]).tolist()
        return x, y


def load_embedding(runs_dir: Path) -> Embedding | None:
    """Load the embedding saved in ``runs_dir``; None if it is missing or damaged."""
    folder = runs_dir / FOLDER
    try:
        with np.load(io.BytesIO(read_file(folder / POINTS_FILE, MAX_POINTS_BYTES))) as arrays:
            points, labels = arrays["points"], arrays["labels"]
        if points.shape != (len(labels), 2) or not np.isfinite(points).all():
            return None
        return Embedding(points, labels, LiteRTClassifier(folder / LITERT_FILE))
    except Exception:  # also files of another version: the study rebuilds them in a minute
        return None


def dump_points(points: NDArray[np.float32], labels: NDArray[np.uint8]) -> bytes:
    """Return the content of points.npz."""
    out = io.BytesIO()
    np.savez(out, points=points.astype(np.float32), labels=labels.astype(np.uint8))
    return out.getvalue()
